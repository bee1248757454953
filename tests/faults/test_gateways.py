"""F23 to F27: gateways that lose answers, fail, crawl, are all gone at once or can't be found by name."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from otp_service.channels.http import GatewayClient
from otp_service.channels.sms_aspx import SmsAspxChannel, SmsAspxSettings
from otp_service.errors import Unavailable
from otp_service.ports import Message, Outcome, Reason, TryResult
from otp_service.verification import Delivery
from tests.faults.installation import installation
from tests.world import ACCEPTED, UNLIMITED, FakeGateway, Server, World, until

DOWN = TryResult(Outcome.RETRYABLE, Reason.NETWORK, "connection refused")
OVERLOADED = TryResult(Outcome.RETRYABLE, Reason.RATE, "HTTP 429", retry_after=40.0, overloaded=True)
BROKEN = TryResult(Outcome.UNKNOWN, Reason.ANSWER, "HTTP 500", overloaded=True)
RESET = TryResult(Outcome.UNKNOWN, Reason.NETWORK, "reset")
MOST_CALLS = 20
"""Until then a breaker has opened."""


def is_open(world: World, channel: str = "primary") -> bool:
    return world.store.sky([channel]).standings[channel].is_open


def number(n: int) -> str:
    return f"+861380{n:07d}"


def always(gateway: FakeGateway, *answers: TryResult) -> None:
    gateway.answers = list(answers) * (400 // len(answers))


def test_f23_a_lost_answer_is_unknown_and_one_other_channel_sends_the_same_code(
    tmp_path: Path, real_server: Server
) -> None:
    faults = ("reset", "truncated", "http_500_accepted", "hang")
    with installation(tmp_path, real_server) as there:
        with there.worker(), there.watched():
            for n, fault in enumerate(faults):
                there.set_fault("c0", fault, next=1)
                id = there.start(n)
                there.until_nothing_is_left()
                tries = [(one.channel, one.outcome) for one in there.get(id).tries]
                assert tries == [("c0", "unknown"), ("c1", "accepted")], fault
        assert [line["account"] for line in there.accepted()] == ["c0", "c1"] * len(faults)
        there.approve_all()
        checker = there.checker()
        assert checker.violations() == []
        assert str(checker.totals()) == "sends 4 · kills 0 · lost 0 · duplicates 4 · unknown 4"


def test_f24_a_channel_that_fails_six_times_in_ten_is_left_alone_within_twenty_calls(server: Server) -> None:
    world = World(server, UNLIMITED)
    always(world.gateways[0], BROKEN, ACCEPTED, DOWN, RESET, ACCEPTED)
    ids = []
    for n in range(MOST_CALLS):
        ids.append(world.start(number(n)).verification.id)
        world.deliver()
    assert is_open(world)
    calls = len(world.gateways[0].inbox)
    assert calls <= MOST_CALLS
    ids.append(world.start(number(99)).verification.id)
    world.deliver()
    assert len(world.gateways[0].inbox) == calls
    assert {world.get(id).delivery for id in ids} == {Delivery.ACCEPTED}


def test_f24_a_gateway_that_names_a_time_is_left_alone_until_then(server: Server) -> None:
    world = World(server, UNLIMITED)
    world.gateways[0].answers = [OVERLOADED]
    for n, (passes, asked) in enumerate(((0, 1), (30, 1), (11, 2))):
        world.move_clock(passes)
        world.start(number(n))
        world.deliver()
        assert len(world.gateways[0].inbox) == asked


class Slow(FakeGateway):
    """Accepts, once the same message has gone to `other`."""

    other: list[Message]

    async def deliver(self, message: Message) -> TryResult:
        self.inbox.append(message)
        before = len(self.other)
        await until(lambda: len(self.other) > before)
        return ACCEPTED


@pytest.mark.parametrize("sends", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_f25_a_channel_that_crawls_is_passed_over_after_a_few_and_everybody_is_sent_their_code(
    server: Server, sends: int
) -> None:
    """Silence counts twice, so five of them in a row open the breaker."""
    world = World(server, UNLIMITED)
    world.gateways[0] = slow = Slow("primary", answer_within=0.05)
    slow.other = world.gateways[1].inbox
    ids = []
    for n in range(sends):
        ids.append(world.start(number(n)).verification.id)
        world.deliver()
    print(f"F25: {sends} sends, {len(world.gateways[0].inbox)} calls of the channel that crawls")
    assert is_open(world)
    assert {world.get(id).delivery for id in ids} == {Delivery.ACCEPTED}
    assert len(world.gateways[1].inbox) == sends
    assert len(world.gateways[0].inbox) < sends


@pytest.mark.slow
def test_f25_nobody_waits_longer_than_five_seconds_for_a_gateway_that_takes_eight(
    tmp_path: Path, real_server: Server
) -> None:
    """Five sends a second: from the start to the moment at which some gateway has it, in 99 of 100."""
    with installation(tmp_path, real_server) as there:
        with there.worker():
            first = there.start(99)
            there.until_nothing_is_left()
            there.set_fault("c0", "slower")
            for n in range(60):
                there.start(n)
                time.sleep(0.2)
            there.until_nothing_is_left()
        seen = [there.get(id) for id in there.ids if id != first]
        assert {one.delivery for one in seen} == {Delivery.ACCEPTED}
        took = sorted(
            one.at + (one.took_ms or 0) - each.created_at
            for each in seen
            for one in each.tries
            if one.outcome == "accepted"
        )
        print(f"p50 {took[30]} ms, p99 {took[59]} ms")
        assert len(took) == 60
        assert took[59] <= 5000
        asked = sum(one.channel == "c0" for each in seen for one in each.tries)
        assert 5 <= asked <= 30
        there.approve_all()
        assert there.checker().violations() == []


@pytest.mark.parametrize("arrivals", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_f26_ten_minutes_without_any_gateway(server: Server, arrivals: int) -> None:
    """The queue is bounded, starts are refused with a time, what waits ends before its code, and nobody storms."""
    world = World(server, UNLIMITED).with_rules(outbox_max=40)
    for gateway in world.gateways:
        always(gateway, DOWN)
    ids, refused = [], []
    for half_minute in range(20):
        world.with_rules()  # an API that looks at the channels anew: the clock jumps, and not its own
        for n in range(arrivals // 20):
            try:
                ids.append(world.start(number(half_minute * 1000 + n)).verification.id)
            except Unavailable as error:
                refused.append(error.retry_after)
        client = world.server.client
        waiting = [client.xlen(key) + client.zcard(key[: -len("outbox")] + b"later") for key in client.keys("*:outbox")]
        assert max(waiting) <= 40
        world.deliver()
        world.move_clock(1 if half_minute % 2 == 0 else 59)
    print(f"F26: {arrivals} arrivals, {len(ids)} queued, {len(refused)} refused")
    assert ids
    assert refused
    assert all(seconds and seconds >= 1 for seconds in refused)

    world.move_clock(400)
    world.deliver()
    assert {world.get(id).delivery for id in ids} == {Delivery.EXPIRED}

    for gateway in world.gateways:
        gateway.answers, gateway.inbox = [], []
    world.deliver()
    assert [gateway.inbox for gateway in world.gateways] == [[], []]


def test_f26_what_waited_for_the_gateways_to_come_back_meets_them_one_by_one(server: Server) -> None:
    """Until three probes went well, one call at a time is all that a gateway gets."""
    world = World(server, UNLIMITED)
    ids = [world.start(number(n)).verification.id for n in range(30)]
    client = world.server.client
    for gateway in world.gateways:
        client.hset(f"otp:c:{{{gateway.name}}}", mapping={"open": world.store.now() - 1, "spell": 5000, "probed": 0})
    busy, most = Counter[str](), 0

    def delivering(name: str) -> Callable[[Message], Awaitable[TryResult]]:
        async def deliver(message: Message) -> TryResult:
            nonlocal most
            busy[name] += 1
            if client.hexists(f"otp:c:{{{name}}}", "open"):
                most = max(most, busy[name])
            await asyncio.sleep(0.01)
            busy[name] -= 1
            return ACCEPTED

        return deliver

    for gateway in world.gateways:
        gateway.deliver = delivering(gateway.name)  # type: ignore[method-assign]
    for _ in range(30):
        world.deliver()
        if all(world.get(id).delivery is Delivery.ACCEPTED for id in ids):
            break
        world.move_clock(45)
    assert {world.get(id).delivery for id in ids} <= {Delivery.ACCEPTED, Delivery.EXPIRED}
    assert most == 1


# --- F27 --------------------------------------------------------------------------------------------------------------


def channel(look_up: Any) -> SmsAspxChannel:
    settings = SmsAspxSettings(
        name="primary",
        url="http://gateway.invalid/sms.aspx",
        account="demo",
        password="demo",
        answer_within=0.2,
        deadline=0.4,
    )
    return SmsAspxChannel(settings, client=GatewayClient(look_up=look_up))


def unknown_name(host: str, port: int) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


@pytest.mark.parametrize("kind", ["no such name", "silent name server", "flapping"])
def test_f27_a_name_that_does_not_resolve_opens_the_breaker_and_stops_nobody(server: Server, kind: str) -> None:
    world = World(server, UNLIMITED)
    over, asked = threading.Event(), [0]

    def look_up(host: str, port: int) -> Any:
        asked[0] += 1
        if kind == "silent name server" or (kind == "flapping" and asked[0] % 2):
            over.wait(30)
        return unknown_name(host, port)

    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def run() -> None:
        world.gateways[0] = channel(look_up)  # type: ignore[call-overload]
        worker, outbox = world.worker()
        running, heart = asyncio.create_task(worker.run()), asyncio.create_task(beat())
        for n in range(12):
            ids.append(world.start(number(n)).verification.id)
        await world.is_idle()
        beats.append(time.monotonic())
        heart.cancel()
        worker.stop()
        await running
        await outbox.aclose()

    ids: list[str] = []
    try:
        asyncio.run(run())
    finally:
        over.set()
    assert is_open(world)
    assert {world.get(id).delivery for id in ids} == {Delivery.ACCEPTED}
    assert len(world.gateways[1].inbox) == 12
    # A name server that is silent says nothing for 30 s.
    assert max(b - a for a, b in pairwise(beats)) < 20
