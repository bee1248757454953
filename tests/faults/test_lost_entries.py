"""F21, F22: entries that vanish from under their workers, and entries that no worker survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from otp_service.ports import Begun, Message, TakeEnd, Verdict
from otp_service.store.entries import GROUP
from otp_service.verification import Delivery, Status
from tests.faults.hands import Hands, by_hand
from tests.world import ACCEPTED, SHOP, World, until

LOOK_AGAIN = 31
"""Seconds after which somebody looks whether an open send's entry is still there (queue.lua)."""


def outbox_of(world: World) -> str:
    [key] = [key for key in world.server.client.keys("*:outbox") if world.server.client.xlen(key)]
    return str(key.decode())


def dead_letters(world: World) -> list[dict[bytes, bytes]]:
    client = world.server.client
    return [fields for key in client.keys("*:dead") for _, fields in client.xrange(key)]


def left(world: World) -> int:
    client = world.server.client
    waiting = sum(client.xlen(key) for key in client.keys("*:outbox"))
    return waiting + sum(client.zcard(key) for key in client.keys("*:later"))


def delete(world: World, entry: str) -> None:
    world.server.client.xdel(outbox_of(world), entry)


def trim(world: World, entry: str) -> None:
    world.server.client.xtrim(outbox_of(world), maxlen=0, approximate=False)


def delete_consumer(world: World, entry: str) -> None:
    """Its entry stays in the stream, in nobody's pending list: no reader is ever given it again."""
    assert world.server.client.xgroup_delconsumer(outbox_of(world), GROUP, "dead") == 1


@pytest.mark.parametrize("lose", [delete, trim, delete_consumer])
def test_f21_an_entry_that_vanishes_is_written_anew_from_the_list_of_open_sends(world: World, lose: Any) -> None:
    id = world.start().verification.id

    @by_hand(world, "dead")
    async def steps(dead: Hands) -> None:
        [entry] = await dead.read()
        lose(world, entry.entry)

    world.move_clock(LOOK_AGAIN)
    world.deliver()
    assert world.get(id).delivery is Delivery.ACCEPTED
    assert len(world.gateways[0].inbox) == 1
    assert left(world) == 0


def test_f21_a_send_that_somebody_still_works_on_is_not_written_twice(world: World) -> None:
    world.start()

    @by_hand(world, "slow")
    async def steps(slow: Hands) -> None:
        [entry] = await slow.read()
        world.move_clock(LOOK_AGAIN)
        await slow.outbox.wake(64)
        assert world.server.client.xlen(outbox_of(world)) == 1
        assert isinstance(await slow.take(entry), Begun)


def test_f21_one_that_waits_for_its_first_reader_is_not_written_twice(world: World) -> None:
    world.start()

    @by_hand(world, "w1")
    async def steps(worker: Hands) -> None:
        world.move_clock(LOOK_AGAIN)
        await worker.outbox.wake(64)
        assert len(await worker.read()) == 1


def test_f21_whoever_still_holds_the_vanished_entry_neither_tries_nor_ends_the_send(world: World) -> None:
    id = world.start().verification.id

    @by_hand(world, "old", "new")
    async def steps(old: Hands, new: Hands) -> None:
        [entry] = await old.read()
        delete(world, entry.entry)
        world.move_clock(LOOK_AGAIN)
        await new.outbox.wake(64)
        [again] = await new.read()
        assert await old.take(entry) is TakeEnd.OVER
        await old.settle(entry, Verdict.FAILED)
        assert isinstance(await new.take(again), Begun)
        await new.record(again)
        await new.settle(again, Verdict.ACCEPTED)

    assert world.get(id).delivery is Delivery.ACCEPTED
    assert left(world) == 0


class Poison:
    """A composer that raises for one number what nobody expects."""

    def __init__(self, composer: Any, number: str) -> None:
        self._composer, self._number = composer, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._composer, name)

    def compose(self, entry: Any, begun: Begun) -> Message:
        message: Message = self._composer.compose(entry, begun)
        if message.to == self._number:
            raise RuntimeError("poison")
        return message


def work(world: World, poisoned: str, done: Callable[[], object]) -> None:
    """One worker that takes over at once what it left itself."""

    async def run() -> None:
        worker, outbox = world.worker(idle_ms=60)
        worker._delivery._composer = Poison(worker._delivery._composer, poisoned)  # type: ignore[assignment]
        running = asyncio.create_task(worker.run())
        await until(done)
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(run())


def test_f22_work_that_always_raises_ends_and_others_go_on(world: World) -> None:
    """Each try was begun, so nobody knows what it sent: the channels are used up, and the end decides."""
    poison = world.start("+8613800138000").verification.id
    well = [world.start(f"+86138001390{n:02d}").verification.id for n in range(8)]
    work(world, "+8613800138000", done=lambda: left(world) == 0)
    assert {world.get(id).delivery for id in well} == {Delivery.ACCEPTED}
    assert [one.outcome for one in world.get(poison).tries] == ["unknown", "unknown"]
    world.verifier.cancel(SHOP, poison)
    assert world.get(poison).delivery is Delivery.UNCONFIRMED


def test_f22_an_entry_that_kills_its_workers_is_put_aside_after_three_deliveries(world: World) -> None:
    id = world.start().verification.id

    @by_hand(world, "w1", "w2", "w3", "w4")
    async def steps(first: Hands, *others: Hands) -> None:
        await first.read()
        for worker in others[:2]:
            assert len(await worker.take_over()) == 1
        assert await others[2].take_over() == []

    assert world.get(id).delivery is Delivery.FAILED
    assert [letter[b"id"].decode() for letter in dead_letters(world)] == [id]
    assert left(world) == 0
    assert world.gateways[0].inbox == []


def test_f22_an_entry_whose_record_no_script_can_work_on_stops_nobody(world: World) -> None:
    """Even what puts it with the dead letters fails then."""
    poison = world.start("+8613800138000").verification.id
    [record] = world.server.client.keys(f"*:v:{poison}")
    world.server.client.rpush(record.replace(b":v:", b":t:"), "no JSON")
    well = [world.start(f"+86138001390{n:02d}").verification.id for n in range(8)]

    @by_hand(world, "dead", "w1", "w2", "w3", "w4")
    async def steps(dead: Hands, *workers: Hands) -> None:
        await dead.read()
        for worker in workers[:2]:
            assert len(await worker.take_over()) == 9
        # From here on the eight have had bad luck as well: what matters is that nobody is stopped.
        await workers[2].take_over()
        await workers[3].take_over()

    assert poison in [letter[b"id"].decode() for letter in dead_letters(world)]
    assert len(dead_letters(world)) == 9
    assert {world.get(id).delivery for id in well} == {Delivery.FAILED}


@pytest.mark.parametrize("fields", [{"id": "x"}, {"id": "x", "send": "one", "at": "0"}, {"what": "ever"}])
def test_f22_an_entry_that_nobody_can_read_is_put_aside_at_once(world: World, fields: dict[Any, Any]) -> None:
    id = world.start().verification.id
    world.server.client.xadd(outbox_of(world), fields)
    world.deliver()
    assert world.get(id).delivery is Delivery.ACCEPTED
    assert [letter[b"why"] for letter in dead_letters(world)] == [b"it can't be read"]
    assert left(world) == 0


def test_a_group_that_is_gone_is_made_again(world: World) -> None:
    """A Redis that came back empty, or an operator's mistake: workers need no restart."""
    id = world.start().verification.id

    @by_hand(world, "w1")
    async def steps(worker: Hands) -> None:
        world.server.client.xgroup_destroy(outbox_of(world), GROUP)
        assert await worker.read() == []
        [entry] = await worker.read()
        assert isinstance(await worker.take(entry), Begun)
        await worker.record(entry, ACCEPTED)

    assert world.get(id).delivery is Delivery.ACCEPTED


def test_an_end_comes_even_when_every_trace_of_the_entry_is_gone(world: World) -> None:
    """I1 by the clock: what was neither sent nor ended by anybody has expired."""
    id = world.start().verification.id
    for key in world.server.client.keys("*:outbox") + world.server.client.keys("*:later"):
        world.server.client.delete(key)
    world.move_clock(301)
    world.deliver()
    seen = world.get(id)
    assert (seen.status, seen.delivery) == (Status.EXPIRED, Delivery.EXPIRED)
