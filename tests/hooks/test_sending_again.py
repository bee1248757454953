"""F32: a receiver that fails is tried again by the schedule, under one id; one that is gone is left alone."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from otp_service.hooks.lane import LEASE_MS
from otp_service.ports import AddressRefused, Fate, HookAnswer, HookFailed
from tests.hooks.hook_world import MASK, OK, START, HookWorld
from tests.hooks.test_schedule import SCHEDULE
from tests.test_store_keys import OF_EVENTS, kind_of
from tests.world import Server

DOWN = HookFailed("no connection (ConnectError)")


def count(result: str, webhook: str = "shop") -> float:
    return REGISTRY.get_sample_value("otp_webhooks_total", {"webhook": webhook, "result": result}) or 0.0


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """The log's lines."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def messages(told: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in told]


# The schedule


def test_a_receiver_that_is_down_is_tried_by_the_schedule_with_one_id(server: Server) -> None:
    world = HookWorld(server)
    world.receiver.answers = [DOWN]
    world.happen()
    world.turn()
    for number, seconds in enumerate(SCHEDULE, start=1):
        world.move_clock(seconds - 0.001)
        world.turn()
        assert len(world.receiver.got) == number
        world.move_clock(0.001)
        world.turn()
        assert len(world.receiver.got) == number + 1
    assert len({got.id for got in world.receiver.got}) == len({got.body for got in world.receiver.got}) == 1
    moments = [int(got.headers["webhook-timestamp"]) - START // 1000 for got in world.receiver.got]
    assert moments == list(itertools.accumulate([0, *SCHEDULE]))


def test_after_the_last_attempt_an_event_is_dropped_counted_and_told_once(
    server: Server, told: list[dict[str, Any]]
) -> None:
    world = HookWorld(server)
    world.receiver.answers = [DOWN]
    dropped, failed = count("dropped"), count("failed")
    for n in range(3):
        world.happen(n=n)

    async def run() -> None:
        """One process sees it all, as a worker does."""
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher.read()
            for seconds in [*SCHEDULE, 100_000]:
                await world.send_all(lanes["shop"])
                world.move_clock(seconds)

    asyncio.run(run())
    assert len(world.receiver.got) == 30
    assert count("dropped") - dropped == 3
    assert count("failed") - failed == 27
    assert messages(told) == [
        "a webhook fails; events are sent again later",
        "events are dropped: a webhook took none of their attempts",
    ]
    assert told[1]["detail"] == "no connection (ConnectError)"
    assert world.states()["shop"].queued == 0
    assert not server.client.exists("otp:{h:shop}:hooks")


@pytest.mark.parametrize("status", [199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 504])
def test_whatever_is_not_2xx_is_sent_again(server: Server, status: int) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(status), OK]
    world.happen()
    world.turn()
    world.move_clock(5)
    world.turn()
    assert len(world.receiver.got) == 2


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_whatever_is_2xx_is_the_end(server: Server, status: int) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(status)]
    delivered = count("delivered")
    world.happen()
    world.turn()
    world.move_clock(100_000)
    world.turn()
    assert len(world.receiver.got) == 1
    assert count("delivered") - delivered == 1


def test_retry_after_is_kept_to(server: Server) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(429, retry_after=90.0), OK]
    world.happen()
    world.turn()
    world.move_clock(89.9)
    world.turn()
    assert len(world.receiver.got) == 1
    world.move_clock(0.1)
    world.turn()
    assert len(world.receiver.got) == 2


def test_events_that_failed_together_come_back_apart(server: Server) -> None:
    world = HookWorld(server)
    world.chance = 0.0
    drawn = random.Random(7)
    world.receiver.answers = [DOWN]
    for n in range(50):
        world.happen(n=n)

    async def run() -> None:
        async with world.dispatcher() as (dispatcher, lanes):
            lanes["shop"]._chance = drawn.random
            await dispatcher.read()
            await world.send_all(lanes["shop"])

    asyncio.run(run())
    due = [score - START for _, score in server.client.zrange("otp:{h:shop}:due", 0, -1, withscores=True)]
    assert 4000 <= min(due) < 4400
    assert 5600 < max(due) <= 6000
    assert len(set(due)) > 40


def test_a_webhook_that_works_again_is_told_what_it_missed(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server)
    world.receiver.answers = [DOWN]
    ids = [world.happen(n=n) for n in range(5)]

    async def run() -> None:
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher.read()
            await world.send_all(lanes["shop"])
            world.receiver.answers = [OK]
            world.move_clock(5)
            await world.send_all(lanes["shop"])

    asyncio.run(run())
    assert {got.document["data"]["verification_id"] for got in world.receiver.got[5:]} == set(ids)
    assert messages(told) == ["a webhook fails; events are sent again later", "a webhook works again"]


def test_a_refused_address_is_counted_as_such_and_tried_again(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server)
    refused = count("refused")
    world.receiver.answers = [AddressRefused("its name stands for an address that is not of the open Internet"), OK]
    world.happen()
    world.turn()
    world.move_clock(5)
    world.turn()
    assert count("refused") - refused == 1
    assert len(world.receiver.got) == 2


# Gone


def test_410_switches_a_webhook_off_and_the_others_go_on(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server, gone={}, stays={})
    world.receivers["gone"].answers = [HookAnswer(500), HookAnswer(410)]
    gone = count("gone", "gone")
    for n in range(2):
        world.happen(n=n)
    world.turn()
    world.happen(n=3)
    world.move_clock(100_000)
    world.turn()
    assert len(world.receivers["gone"].got) == 2
    assert len(world.receivers["stays"].got) == 3
    assert count("gone", "gone") - gone == 1
    states = world.states()
    assert (states["gone"].queued, states["gone"].gone_since) == (0, START)
    assert (states["stays"].queued, states["stays"].gone_since) == (0, None)
    assert "a webhook is off: its address answered 410; change its url to tell it of events again" in messages(told)
    assert world.logged() == 0


def test_another_address_is_told_of_events_again(server: Server) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(410)]
    world.happen(n=1)
    world.turn()
    world.happen(n=2)
    world.turn()
    moved = HookWorld(server, shop={"url": "https://shop.example.com/new"})
    third = moved.happen(n=3)
    moved.turn()
    assert [got.document["data"]["verification_id"] for got in moved.receiver.got] == [third]
    back = HookWorld(server)
    back.happen(n=4)
    back.turn()
    assert back.receiver.got == []


def test_nothing_is_queued_for_an_address_that_is_gone(server: Server) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(410)]
    world.happen(n=1)
    world.turn()
    world.happen(n=2)

    async def only_read() -> None:
        async with world.dispatcher() as (dispatcher, _):
            await dispatcher.read()

    asyncio.run(only_read())
    assert world.states()["shop"].queued == 0
    assert world.logged() == 0


def test_what_waited_for_another_address_goes_when_the_gone_one_is_back(server: Server) -> None:
    """A configuration that is taken back: its events would wait for nobody."""
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(410)]
    world.happen(n=1)
    world.turn()
    moved = HookWorld(server, shop={"url": "https://shop.example.com/new"})
    moved.receiver.answers = [DOWN]
    moved.happen(n=2)
    moved.turn()
    assert moved.states()["shop"].queued == 1
    world.turn()
    assert world.states()["shop"].queued == 0


def test_what_was_under_way_when_it_went_is_not_sent_again(server: Server) -> None:
    """Eight at once: one hears 410, seven fail."""
    world = HookWorld(server)
    world.receiver.answers = [DOWN, DOWN, DOWN, HookAnswer(410), DOWN]
    for n in range(8):
        world.happen(n=n)
    world.turn()
    world.move_clock(100_000)
    world.turn()
    assert len(world.receiver.got) == 8


# Bounds


def test_a_queue_that_is_full_drops_and_counts(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server)
    world.most = 10
    world.receiver.answers = [DOWN]
    full = count("full")
    for n in range(25):
        world.happen(n=n)
    world.turn()
    assert world.states()["shop"].queued == 10
    assert count("full") - full == 15
    assert messages(told).count("events are dropped: too many wait for a webhook") == 1
    assert world.logged() == 0
    world.receiver.answers = [OK]
    world.move_clock(5)
    world.turn()
    world.happen(n=30)
    world.turn()
    assert world.states()["shop"].queued == 0
    assert count("full") - full == 15


def test_every_key_of_a_webhook_has_an_end(server: Server) -> None:
    world = HookWorld(server, gone={}, shop={})
    world.receivers["gone"].answers = [HookAnswer(410)]
    world.receivers["shop"].answers = [OK, DOWN]
    for n in range(3):
        world.happen(n=n)
    world.turn()
    client = server.client
    lives = {key.decode().split(":h:")[-1]: client.pttl(key) for key in client.keys("otp:{h:*")}
    days = 86_400_000
    for name, most in (("due", 5 * days), ("hooks", 5 * days), ("done", 900_000)):
        assert 0 < lives[f"otp:{{h:shop}}:{name}"] <= most
    [gone] = [life for key, life in lives.items() if ":gone:" in key]
    assert 29 * days < gone <= 30 * days


def test_every_key_of_an_event_is_of_a_listed_kind(server: Server) -> None:
    world = HookWorld(server, gone={}, shop={})
    world.receivers["gone"].answers = [HookAnswer(410)]
    world.receivers["shop"].answers = [OK, DOWN]
    for n in range(3):
        world.happen(n=n)
    world.turn()
    kinds = {kind_of(key) for key in server.client.keys("*") if not key.startswith(b"test:")}
    assert kinds == OF_EVENTS | {"events"}


def test_a_glance_keeps_a_gone_webhook_off(server: Server) -> None:
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(410)]
    world.happen()
    world.turn()
    [key] = server.client.keys("*:gone:*")
    server.client.pexpire(key, 1000)
    world.states()
    assert server.client.pttl(key) > 86_400_000


# Crashes, and several dispatchers


@pytest.mark.parametrize("between", [None, OK, DOWN], ids=["not sent", "taken", "failed"])
def test_a_crash_between_queueing_and_acknowledging_queues_once(server: Server, between: Any) -> None:
    """Whatever came of it meanwhile: one that was taken is not told again, one that failed keeps its schedule."""
    world = HookWorld(server)
    world.receiver.answers = [between or OK]
    world.happen()

    async def crash() -> None:
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher._log.open()
            logged = await dispatcher._log.read(64)
            await lanes["shop"].add([one.event for one in logged])
            if between:
                await world.send_all(lanes["shop"])

    async def recover() -> None:
        async with world.dispatcher(reclaim_idle_ms=0) as (dispatcher, lanes):
            await dispatcher.read()
            await dispatcher.reclaim()
            await world.send_all(lanes["shop"])

    asyncio.run(crash())
    assert world.logged() == 2
    asyncio.run(recover())
    assert world.logged() == 0
    assert len(world.receiver.got) == 1


def test_an_event_whose_reader_died_before_it_queued_it_is_not_lost(server: Server) -> None:
    world = HookWorld(server)
    world.happen()

    async def run() -> None:
        async with world.dispatcher() as (first, _):
            await first._log.open()
            await first._log.read(64)
        async with world.dispatcher(reclaim_idle_ms=0) as (second, lanes):
            await second.reclaim()
            await world.send_all(lanes["shop"])

    asyncio.run(run())
    assert len(world.receiver.got) == 1


def test_two_dispatchers_never_send_one_event_at_the_same_time(server: Server) -> None:
    world = HookWorld(server)
    under_way: set[str] = set()
    twice: list[str] = []

    async def slowly() -> HookAnswer:
        id = world.receiver.got[-1].id
        if id in under_way:
            twice.append(id)
        under_way.add(id)
        await asyncio.sleep(0.001)
        under_way.discard(id)
        return OK

    world.receiver.answers = [slowly]
    for n in range(100):
        world.happen(n=n)

    async def run() -> None:
        async with world.dispatcher() as (a, in_a), world.dispatcher() as (b, in_b):
            await asyncio.gather(a.read(), b.read())
            await asyncio.gather(world.send_all(in_a["shop"]), world.send_all(in_b["shop"]))

    asyncio.run(run())
    assert twice == []
    assert len({got.id for got in world.receiver.got}) == len(world.receiver.got) == 100


def test_what_a_dead_dispatcher_was_sending_is_sent_again_with_its_id(server: Server) -> None:
    world = HookWorld(server)
    world.happen()

    async def run() -> None:
        async with world.dispatcher() as (first, lanes):
            await first.read()
            [dead] = await lanes["shop"]._queue.claim(world.webhooks["shop"], 8, LEASE_MS)
            world.move_clock(LEASE_MS / 1000 - 0.001)
            await world.send_all(lanes["shop"])
            assert world.receiver.got == []
            world.move_clock(0.001)
            await world.send_all(lanes["shop"])
            [got] = world.receiver.got
            assert got.id == dead.event.id
            assert not await lanes["shop"]._queue.settle(world.webhooks["shop"], dead, Fate.RETRY)

    asyncio.run(run())
    assert world.states()["shop"].queued == 0


def test_one_whose_lease_was_lost_decides_nothing(server: Server) -> None:
    """A zombie that comes back with 410 or a failure after another took its event over."""
    world = HookWorld(server)
    world.happen()

    async def run() -> list[bool]:
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher.read()
            queue, webhook = lanes["shop"]._queue, world.webhooks["shop"]
            [zombie] = await queue.claim(webhook, 8, LEASE_MS)
            world.move_clock(LEASE_MS / 1000)
            [holder] = await queue.claim(webhook, 8, LEASE_MS)
            assert (zombie.attempt, holder.attempt) == (1, 2)
            settled = [await queue.settle(webhook, zombie, fate) for fate in Fate]
            return [*settled, await queue.settle(webhook, holder, Fate.DONE)]

    assert asyncio.run(run()) == [False, False, False, True]


def test_an_event_that_kills_its_sender_ends_as_well(server: Server) -> None:
    """Each claim counts as an attempt."""
    world = HookWorld(server)
    world.happen()

    async def run() -> None:
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher.read()
            for _ in range(10):
                assert await lanes["shop"]._queue.claim(world.webhooks["shop"], 1, LEASE_MS)
                world.move_clock(LEASE_MS / 1000)
            await world.send_all(lanes["shop"])

    asyncio.run(run())
    assert world.receiver.got == []
    assert world.states()["shop"].queued == 0


def test_a_row_of_another_version_is_passed_over(server: Server) -> None:
    world = HookWorld(server)
    world.happen()

    async def run() -> None:
        async with world.dispatcher() as (dispatcher, lanes):
            await dispatcher.read()
            [id] = server.client.hkeys("otp:{h:shop}:hooks")
            server.client.hset("otp:{h:shop}:hooks", id, "?")
            await world.send_all(lanes["shop"])

    asyncio.run(run())
    assert world.receiver.got == []
    assert world.states()["shop"].queued == 0


# The running dispatcher


def until(done: Any, world: HookWorld, **options: Any) -> bool:
    """Run one dispatcher until `done()`, asked again and again, then stop it. What `run` said of the drain."""

    async def run() -> bool:
        async with world.dispatcher(tick_seconds=0.02, **options) as (dispatcher, _):
            running = asyncio.create_task(dispatcher.run(drain_seconds=0.05))
            async with asyncio.timeout(20):
                while not done():  # noqa: ASYNC110 (what it waits for has no event)
                    await asyncio.sleep(0.005)
            dispatcher.stop()
            drained = bool(await running)
            await dispatcher.aclose()
            return drained

    return asyncio.run(run())


def test_a_receiver_that_hangs_delays_no_other(server: Server) -> None:
    world = HookWorld(server, hangs={}, works={})

    async def never() -> HookAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    world.receivers["hangs"].answers = [never]
    for n in range(40):
        world.happen(n=n)
    assert not until(lambda: len(world.receivers["works"].got) == 40, world)
    assert len(world.receivers["hangs"].got) == 8
    assert world.states()["hangs"].queued == 40
    assert all(receiver.closed for receiver in world.receivers.values())


def test_events_are_read_while_it_runs_and_it_stops_when_it_is_told(server: Server) -> None:
    world = HookWorld(server)
    late = iter([lambda: world.happen(n=1), lambda: world.happen(n=2)])

    def done() -> bool:
        if len(world.receiver.got) >= 2:
            return True
        next(late, lambda: "")()
        return False

    assert until(done, world)
    assert world.logged() == 0


def test_a_server_that_comes_back_empty_is_worked_with_again(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server)
    world.happen(n=1)
    flushed = False

    def done() -> bool:
        nonlocal flushed
        # Once an event has been through, all that reads has its group: emptied before, it would be made without a word.
        if world.receiver.got and not flushed:
            server.client.flushall()
            flushed = True
            world.happen(n=2)
        return len(world.receiver.got) > 1

    assert until(done, world)
    # Two loops may each meet the loss, and one of them mend it between.
    assert set(messages(told)) == {"Redis does not answer: events wait"}


def test_a_fault_of_ours_ends_no_loop_and_is_told_without_the_event(server: Server, told: list[dict[str, Any]]) -> None:
    world = HookWorld(server)

    async def breaks() -> HookAnswer:
        raise RuntimeError("ours")

    world.receiver.answers = [breaks, OK]
    world.happen(n=1)

    def done() -> bool:
        if len(world.receiver.got) == 1:
            world.happen(n=2)
        return len(world.receiver.got) >= 2

    assert until(done, world)
    [line] = told
    assert (line["event"], line["log_level"]) == ("an event could not be sent", "error")
    assert MASK not in repr(line)
