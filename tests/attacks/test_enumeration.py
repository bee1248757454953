"""Who has an account here? With `deliver: false` for those who have none, no answer and no state may tell."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from otp_service.calls import Asking
from otp_service.delivery.playing import Seen
from otp_service.policy import Limits, Window
from otp_service.ports import Outcome, Reason, TryResult, Verdict
from otp_service.routes import ChannelRule
from otp_service.verification import Delivery, Verification
from tests.attacks.http_api import Api
from tests.attacks.wire import Answer, never_given
from tests.reports.report_world import at_a_desk, hear, row
from tests.world import ACCEPTED, BANK, SHOP, UNLIMITED, FakeGateway, Server, World, refused

KNOWN, UNKNOWN = "+8613800138000", "+8613900139000"
ACCOUNTS = ((KNOWN, True), (UNKNOWN, False))
NO_LIMITS: dict[str, Any] = dict.fromkeys(("recipient", "failures", "client_ip", "prefix"), ())
LATER = TryResult(Outcome.RETRYABLE, Reason.NETWORK)


def look_of(answer: Answer) -> Any:
    """Everything that an answer shows, but for what names one request or one verification by chance."""
    body = answer.json()
    shown = body.get("verification", body)
    chance = {shown.pop(name, None) for name in ("id", "to")}
    headers = [(name, len(value) if name in {"X-Request-Id", "Location"} else value) for name, value in answer.headers]
    return answer.status, headers, len(answer.body), json.dumps(body), sorted(len(one or "") for one in chance)


def story(api: Api, world: World, to: str, deliver: bool) -> Iterator[Answer]:
    """All that a person can have an application ask, until every limit is full."""
    yield (started := api.start(to, deliver=deliver, client_ip="192.0.2.1", session="s", metadata={"a": "b"}))
    id = started.json()["id"]
    yield api.start(to, deliver=deliver, session="s")
    yield api.call("POST", f"/verifications/{id}/resend")
    yield api.check(id, code="123456", session="s")
    yield api.check(id, code="123456")
    yield api.check(id, code="1234567", session="s")
    yield api.call(
        "POST", "/verifications/check", {"to": to, "purpose": "password_reset", "session": "s", "code": "000000"}
    )
    for _ in range(4):
        world.move_clock(61)
        yield api.call("POST", f"/verifications/{id}/resend", {"exclude_last": True})
        yield api.check(id, code="123456", session="s")
    yield api.check(id, code="123456", session="s")
    yield api.call("DELETE", f"/verifications/{id}")
    world.move_clock(300)
    for n in range(6):
        yield (again := api.start(to, deliver=deliver, session=str(n), context={"n": "1"}))
        if again.status == 201:
            yield api.check(again.json()["id"], code="123456", session=str(n), context={"n": "1"})
            yield api.call("DELETE", f"/verifications/{again.json()['id']}")
            yield api.call("DELETE", f"/verifications/{again.json()['id']}")


@pytest.mark.parametrize("resend", ["reuse", "rotate"])
def test_known_and_unknown_accounts_are_answered_alike_until_every_limit_is_full(server: Server, resend: str) -> None:
    """T33, T36: the same status, headers in the same order, length and fields, at each step of the way."""
    limits = Limits(recipient=(Window(7, 3600),), failures=(Window(8, 3600),), client_ip=(Window(5, 3600),))
    looks = []
    for to, deliver in ACCOUNTS:
        world = World(server, limits, resend=resend)
        server.client.flushall()
        server.client.set("test:now", 1_800_000_000_000)
        looks.append([look_of(answer) for answer in story(Api(world), world, to, deliver)])
    for step, (known, unknown) in enumerate(zip(*looks, strict=True)):
        assert known == unknown, f"step {step}"
    assert {200, 201, 400, 410, 422, 429} <= {status for status, *_ in looks[0]}


BUCKETS = ("recipient", "session", "client_ip", "device", "prefix", "country", "client", "installation")


@pytest.mark.parametrize("limit", BUCKETS)
def test_a_full_limit_is_full_alike_and_starts_of_either_kind_fill_it_alike(real_server: Server, limit: str) -> None:
    """T36: the same 429, `limit` and Retry-After."""
    said = {"session": "s", "client_ip": "192.0.2.1", "device": "d"}
    looks = []
    for fillers in (True, False):
        for to, deliver in (("+8613800138000", True), ("+8613800138001", False)):
            world = World(real_server, Limits(**{**NO_LIMITS, limit: (Window(2, 3600),)}), cooldown=(1,))
            real_server.client.flushall()
            real_server.client.set("test:now", 1_800_000_000_000)
            api = Api(world)
            for n in range(2):
                filler = to if limit == "recipient" else f"+861380013800{n + 2}"
                assert (
                    api.start(
                        filler,
                        deliver=fillers,
                        **{**said, "session": said["session"] if limit == "session" else str(n)},
                    ).status
                    == 201
                )
                world.move_clock(2)
            looks.append(look_of(api.start(to, deliver=deliver, **said)))
    assert looks[0][0] == 429
    assert looks == [looks[0]] * 4


@pytest.mark.parametrize("to", ["+8613800138000", "+16502530000", "+4420", "+86108888888", "+881612345678", "12"])
def test_a_number_that_gets_nothing_is_refused_alike_whoever_asks_for_what_account(server: Server, to: str) -> None:
    """T33: `recipient_blocked` depends on the number only."""
    world = World(server)
    server.client.set("test:now", 1_800_000_000_000)
    answers = [Api(world).start(to, deliver=deliver, session=str(deliver)) for deliver in (True, False)]
    assert look_of(answers[0]) == look_of(answers[1])


def commands(world: World, call: Callable[[], object]) -> int:
    """How many commands Redis ran for it, those of scripts among them."""
    count = lambda: int(world.server.client.info("stats")["total_commands_processed"])  # noqa: E731
    call()
    before = count()
    call()
    return count() - before


@pytest.mark.parametrize("resend", ["reuse", "rotate"])
def test_redis_has_the_same_work_for_known_and_unknown_accounts(real_server: Server, resend: str) -> None:
    """T33, T34: what takes no other way takes no other time."""
    world = World(real_server, UNLIMITED, cooldown=(0,), max_sends=10, resend=resend)
    api = Api(world)
    work = []
    for to, deliver in ACCOUNTS:
        id = api.start(to, deliver=deliver).json()["id"]
        calls = [
            lambda to=to, deliver=deliver: api.start(to, deliver=deliver),
            lambda id=id: api.call("POST", f"/verifications/{id}/resend"),
            lambda id=id: api.check(id, code="123456"),
            lambda to=to, deliver=deliver: api.start(to, deliver=deliver, session="other", context={"a": "b"}),
        ]
        work.append([commands(world, call) for call in calls])
    assert work[0] == work[1]


def test_another_clients_id_and_one_that_was_never_given_are_one_answer_and_one_work(real_world: World) -> None:
    """T22: the same 404, headers and body, and the same commands in Redis."""
    api = Api(real_world)
    id = api.start(KNOWN).json()["id"]
    never = never_given(id)
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/check", {"code": "123456"}),
        ("POST", "/check", {"code": "123456", "session": "s", "context": {"a": "b"}, "to": KNOWN, "purpose": "login"}),
        ("POST", "/resend", None),
        ("POST", "/resend", {"exclude_last": True}),
    ):
        foreign, unknown = (
            lambda which=which, m=method, p=path, b=body: api.call(m, f"/verifications/{which}{p}", b, client=BANK)
            for which in (id, never)
        )
        assert foreign().status == 404
        assert look_of(foreign()) == look_of(unknown())
        assert commands(real_world, foreign) == commands(real_world, unknown)
    assert api.call("GET", f"/verifications/{id}").json()["attempts_left"] == 5


# --- delivery, over time ----------------------------------------------------------------------------------------------


def played(world: World, others: int = 0) -> Verification:
    """A send to nobody, worked on by a worker that has just worked on as many real ones."""
    started: list[str] = []

    async def work() -> None:
        async with world.working():
            for n in range(others):
                world.start(f"+861380013801{n}")
            await world.is_idle()
            started.append(world.start(UNKNOWN, deliver=False).verification.id)
            await world.is_idle()

    asyncio.run(work())
    return world.get(started[0])


def wake(world: World) -> None:
    at_a_desk(world, lambda desk: desk.outbox.wake(64))


@pytest.mark.parametrize(("arrived", "end"), [(True, Delivery.DELIVERED), (False, Delivery.UNDELIVERED)])
def test_an_unknown_account_is_reported_when_known_ones_are(world: World, arrived: bool, end: Delivery) -> None:
    """T33: else `accepted` for ever would say that nothing was sent."""
    world.reporting = {"primary"}
    world.with_rules(channels=world.rules.channels[:1])
    world.freeze_clock()
    known = world.start(KNOWN).verification.id
    world.deliver()
    world.move_clock(4)
    hear(world, row(delivered=arrived))
    assert world.get(known).delivery is end

    unknown = played(world)
    assert unknown.delivery is Delivery.ACCEPTED
    world.move_clock(3.9)
    wake(world)
    assert world.get(unknown.id).delivery is Delivery.ACCEPTED
    world.move_clock(0.1)
    wake(world)
    assert world.get(unknown.id).delivery is end


def test_no_report_is_played_where_gateways_send_none(world: World) -> None:
    """T33: a known account stays `accepted`, too, and ends `unconfirmed`."""
    unknown = played(world)
    world.move_clock(290)
    wake(world)
    assert world.get(unknown.id).delivery is Delivery.ACCEPTED
    world.move_clock(11)
    assert world.get(unknown.id).delivery is Delivery.UNCONFIRMED


def test_a_played_report_comes_to_nothing_after_the_end(world: World) -> None:
    world.reporting = {"primary"}
    world.freeze_clock()
    world.start(KNOWN)
    world.deliver()
    world.move_clock(4)
    hear(world, row())
    unknown = played(world)
    world.verifier.cancel(SHOP, unknown.id)
    world.move_clock(5)
    wake(world)
    assert world.get(unknown.id).delivery is Delivery.UNCONFIRMED
    assert not [
        name
        for key in world.server.client.keys("*:due")
        for name in world.server.client.zrange(key, 0, -1)
        if name == f"r:{unknown.id}".encode()
    ]


def test_a_channels_own_limit_for_a_number_fills_for_unknown_accounts_as_well(world: World) -> None:
    """T36: `recipient` is refused after as many sends, for as long."""
    windows = (Window(2, 3600),)
    world.with_rules(channels=(ChannelRule("primary", recipient_windows=windows, strict=True),))
    world.freeze_clock()
    api = Api(world)
    answers = []
    for to, deliver in ACCOUNTS:
        for n in range(2):
            assert api.start(to, deliver=deliver, session=str(n)).status == 201
            world.deliver()
        answers.append(look_of(api.start(to, deliver=deliver, session="more")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 429


def test_a_caller_that_waits_hears_of_the_first_try_of_an_unknown_account_as_of_a_known_ones(world: World) -> None:
    """T33: where the first channel refuses at once and the second takes its time, `wait` ends after the first."""
    heard = asyncio.Event()

    async def late() -> TryResult:
        await heard.wait()
        return ACCEPTED

    world.gateways[0].answers = [refused(Reason.BALANCE)]
    world.gateways[1] = FakeGateway("backup", [late], answer_within=30.0, deadline=30.0)
    seen = []

    async def ask(to: str, deliver: bool) -> None:
        waiting = Asking(wait=5)
        started = await asyncio.to_thread(lambda: world.start(to, deliver=deliver, asking=waiting))
        seen.append(started.verification.delivery)

    async def work() -> None:
        async with world.working():
            await ask(KNOWN, deliver=True)
            heard.set()
            await world.is_idle()
        worker, outbox = world.worker("w2")
        worker._delivery._repertoire._seen.append(Seen(0.0, 3600.0, Verdict.ACCEPTED, time.monotonic()))
        running = asyncio.create_task(worker.run(drain_seconds=0.0))
        await ask(UNKNOWN, deliver=False)
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(work())
    assert seen == [Delivery.TRYING, Delivery.TRYING]


def test_a_caller_that_waits_hears_that_it_was_accepted_of_either_kind(world: World) -> None:
    """T33: `accepted` comes with the first outcome, not a moment after it."""
    seen = []

    async def work() -> None:
        async with world.working():
            for n, (to, deliver) in enumerate(ACCOUNTS * 3):
                ask = partial(world.start, to, deliver=deliver, session=str(n // 2), asking=Asking(wait=5))
                seen.append((await asyncio.to_thread(ask)).verification.delivery)

    world.with_rules(limits=UNLIMITED)
    asyncio.run(work())
    assert seen == [Delivery.ACCEPTED] * 6


def test_an_unknown_account_is_put_off_and_tried_again_while_gateways_say_later(world: World) -> None:
    """T33: `trying` until they are back, then `accepted`; where they never are, `expired`, as a known one's."""
    world.freeze_clock()
    for gateway in world.gateways:
        gateway.answers = [LATER] * 4
    unknown = played(world, others=4)
    assert unknown.delivery is Delivery.TRYING
    assert [world.server.client.zscore(key, f"1:{unknown.id}") for key in world.server.client.keys("*:later")] != [None]
    world.verifier.cancel(SHOP, unknown.id)
    assert world.get(unknown.id).delivery is Delivery.CANCELED


def test_an_unknown_account_waits_while_every_channel_is_open_or_paused(world: World) -> None:
    """T33: no play of better days goes on while no known account could be sent anything."""
    unknown = world.start(UNKNOWN, deliver=False).verification.id
    for gateway in world.gateways:
        world.operations.pause_channel(gateway.name, 600_000, "a test")
    world.deliver()
    assert world.get(unknown).delivery is Delivery.TRYING


@pytest.mark.parametrize("starts", [3, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_start_waits_for_a_gateway_that_takes_its_time(real_server: Server, starts: int) -> None:
    """T35: every start is answered while the gateway has not answered one."""
    world = World(real_server, UNLIMITED)
    answered = asyncio.Event()

    async def late() -> TryResult:
        await answered.wait()
        return ACCEPTED

    world.gateways[0] = FakeGateway("primary", [late] * starts, answer_within=30.0, deadline=30.0)

    async def work() -> None:
        async with world.working():
            ask = lambda n: world.start(f"+86138{n:08d}")  # noqa: E731
            ids = [(await asyncio.to_thread(ask, n)).verification.id for n in range(starts)]
            assert not answered.is_set()
            answered.set()
            await world.is_idle()
            assert {world.get(id).delivery for id in ids} == {Delivery.ACCEPTED}

    asyncio.run(work())
