"""What two hands do to one send: a pause, a report, a probe or a long sleep between two steps of a worker."""

from __future__ import annotations

import asyncio
from typing import Any

from otp_service.policy import Window
from otp_service.ports import Begun, Judgement, Outcome, Reason, TryResult, Verdict
from otp_service.ports.standing import Call
from otp_service.routes import ChannelRule
from otp_service.store import RedisStandings, Trips
from otp_service.store.sky import ALL_SENDS
from otp_service.verification import Delivery
from tests.faults.hands import Hands, by_hand
from tests.world import MOVABLE, NUMBER, Server, World

LIFE = 2
"""Seconds that a code lives, for a test that sleeps through it."""


def test_a_send_that_is_held_back_when_its_worker_dies_waits_and_is_not_given_up(world: World) -> None:
    """However often it is looked at during a pause: nobody dies of it, so it is no poison."""
    id = world.start().verification.id

    @by_hand(world, "dead")
    async def steps(dead: Hands) -> None:
        [entry] = await dead.read()
        assert isinstance(await dead.take(entry), Begun)
        await dead.fall_asleep(entry)

    world.server.client.hset("otp:pauses", ALL_SENDS, world.store.now() + 60_000)

    async def take_over() -> None:
        worker, outbox = world.worker(idle_ms=1000)
        running = asyncio.create_task(worker.run())
        await world.is_idle()
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(take_over())
    assert world.get(id).delivery is Delivery.TRYING
    assert not world.server.client.keys("*:dead")
    world.server.client.delete("otp:pauses")
    world.move_clock(5)
    world.deliver()
    assert [(one.channel, one.outcome) for one in world.get(id).tries] == [
        ("primary", "unknown"),
        ("backup", "accepted"),
    ]


def test_a_report_that_brings_one_more_channel_is_not_overruled_by_the_entry_before(world: World) -> None:
    """It comes between the answer and the end of the work: the other channel has yet to be asked."""
    id = world.start().verification.id

    @by_hand(world, "w1")
    async def steps(worker: Hands) -> None:
        [entry] = await worker.read()
        await worker.take(entry)
        await worker.outbox.expect_report("name", entry, worker.began[-1])
        await worker.record(entry)
        await worker.outbox.report("name", "", False, "UNDELIV")
        await worker.settle(entry, Verdict.ACCEPTED)
        assert world.get(id).delivery is Delivery.ACCEPTED

    world.deliver()
    assert [(one.channel, one.report) for one in world.get(id).tries] == [("primary", "undelivered"), ("backup", None)]
    assert len(world.gateways[1].inbox) == 1


def half_open(world: World, channel: str) -> str:
    key = f"otp:c:{{{channel}}}"
    world.server.client.hset(key, mapping={"open": world.store.now() - 1, "spell": 5000, "probed": 0})
    return key


def test_a_probe_that_its_send_can_not_use_is_given_back_at_once(world: World) -> None:
    full = ChannelRule("primary", recipient_windows=(Window(1, 3600),), strict=True)
    world.with_rules(channels=(full, ChannelRule("backup", priority=1)))
    world.start()
    world.deliver()
    key = half_open(world, "primary")
    world.move_clock(61)
    world.start()
    world.deliver()
    assert [len(gateway.inbox) for gateway in world.gateways] == [1, 1]
    assert world.server.client.hget(key, "probe") is None
    world.start("+8613900139000")
    world.deliver()
    assert len(world.gateways[0].inbox) == 2


def test_f24_a_half_open_breaker_lets_one_call_of_all_workers_through_and_closes_after_three(world: World) -> None:
    key = half_open(world, "primary")

    async def run() -> None:
        clients = [world.server.make_async() for _ in range(2)]
        one, other = (RedisStandings(Trips(client, MOVABLE)) for client in clients)
        good = TryResult(Outcome.ACCEPTED)
        for n in range(3):
            assert await one.probe("primary", f"one.{n}", 5000)
            assert not await other.probe("primary", f"other.{n}", 5000)
            await other.note(Call("primary", Judgement.GOOD, good, 5, "other"))
            assert not await other.probe("primary", f"other.{n}", 5000)
            await one.note(Call("primary", Judgement.GOOD, good, 5, f"one.{n}"))
        assert world.server.client.hget(key, "open") is None
        assert await other.probe("primary", "other", 5000)
        for client in clients:
            await client.aclose()

    asyncio.run(run())


def test_f24_a_probe_whose_worker_dies_is_free_again_after_its_deadline(world: World) -> None:
    half_open(world, "primary")

    async def run() -> None:
        client = world.server.make_async()
        standings = RedisStandings(Trips(client, MOVABLE))
        assert await standings.probe("primary", "dead", 5000)
        world.move_clock(4)
        assert not await standings.probe("primary", "other", 5000)
        world.move_clock(2)
        assert await standings.probe("primary", "other", 5000)
        # The dead one comes back: its word is no longer the probe's.
        bad = TryResult(Outcome.RETRYABLE, Reason.NETWORK)
        await standings.note(Call("primary", Judgement.BAD, bad, 5, "dead"))
        assert world.store.sky(["primary"]).standings["primary"].probe_until > 0
        await client.aclose()

    asyncio.run(run())


class Sleepy:
    """An outbox whose caller sleeps after each step that it begins."""

    def __init__(self, outbox: Any, seconds: float) -> None:
        self._outbox, self._seconds = outbox, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def take(self, *arguments: Any) -> Any:
        step = await self._outbox.take(*arguments)
        await asyncio.sleep(self._seconds)
        return step


def test_f19_a_worker_that_slept_through_the_life_of_the_code_sends_nothing(real_server: Server) -> None:
    """I4: it was told to begin, and then did not run for longer than the code lives."""
    world = World(real_server, ttl=LIFE)
    id = world.start(NUMBER).verification.id

    async def run() -> None:
        worker, outbox = world.worker()
        worker._delivery._outbox = Sleepy(outbox, LIFE + 0.1)
        running = asyncio.create_task(worker.run())
        await world.is_idle()
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(run())
    assert [gateway.inbox for gateway in world.gateways] == [[], []]
    # It ended while the try was under way, and what was said then stays.
    assert world.get(id).delivery is Delivery.UNCONFIRMED
