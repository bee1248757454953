"""F19, F20: workers that come back when they were thought dead, and many that take over at once."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from otp_service.policy import Limits
from otp_service.ports import Begun, Entry, Outcome, Reason, TakeEnd, TryResult, Verdict
from otp_service.verification import Delivery
from tests.cli.processes import PATIENCE, until
from tests.faults.hands import Hands, all_asleep, by_hand, hands
from tests.faults.installation import installation
from tests.world import Server, World
from tests.world import until as comes

TURNS = (("primary", 2), ("backup", 3))
"""Which turn of an entry begins which try: the first was the dead worker's, which had begun none."""
UNKNOWN = TryResult(Outcome.UNKNOWN, Reason.TIMEOUT)


def outcomes(world: World, id: str) -> list[tuple[str, str | None]]:
    return [(one.channel, one.outcome) for one in world.get(id).tries]


def is_idle(world: World) -> bool:
    return not any(world.server.client.xlen(key) for key in world.server.client.keys("*:outbox"))


def test_f19_a_worker_that_slept_finishes_its_one_try_and_begins_no_other(world: World) -> None:
    id = world.start().verification.id

    @by_hand(world, "asleep", "awake")
    async def steps(asleep: Hands, awake: Hands) -> None:
        [entry] = await asleep.read()
        assert isinstance(await asleep.take(entry), Begun)
        [taken] = await awake.take_over()
        assert isinstance(await awake.take(taken), Begun)
        assert await asleep.take(entry) is TakeEnd.LOST
        await asleep.settle(entry, Verdict.FAILED)
        assert not is_idle(world)
        assert world.get(id).delivery is Delivery.TRYING
        assert await asleep.record(entry)
        assert not await asleep.record(entry, UNKNOWN)
        assert outcomes(world, id) == [("primary", "accepted"), ("backup", None)]
        await awake.record(taken)
        await awake.settle(taken, Verdict.ACCEPTED)

    assert outcomes(world, id) == [("primary", "accepted"), ("backup", "accepted")]
    assert world.get(id).delivery is Delivery.ACCEPTED
    assert is_idle(world)


@pytest.mark.parametrize("began", [True, False])
def test_f19_one_that_slept_after_it_had_taken_over_begins_no_other_either(world: World, began: bool) -> None:
    id = world.start().verification.id

    @by_hand(world, "dead", "asleep", "awake")
    async def steps(dead: Hands, asleep: Hands, awake: Hands) -> None:
        await dead.read()
        [entry] = await asleep.take_over()
        if began:
            assert isinstance(await asleep.take(entry), Begun)
        [again] = await awake.take_over()
        assert isinstance(await awake.take(again), Begun)
        assert await asleep.take(entry) is TakeEnd.LOST
        await awake.record(again)
        assert await asleep.take(entry) in (TakeEnd.LOST, TakeEnd.OVER)
        await awake.settle(again, Verdict.ACCEPTED)

    assert len(outcomes(world, id)) == 1 + began
    assert is_idle(world)


def test_f19_a_worker_that_takes_over_what_it_left_itself_is_another_holder(world: World) -> None:
    id = world.start().verification.id

    @by_hand(world, "asleep")
    async def steps(worker: Hands) -> None:
        [entry] = await worker.read()
        before = worker.for_one(entry)
        assert isinstance(await before.take(entry), Begun)
        [again] = await worker.take_over()
        after = worker.for_one(again)
        assert isinstance(await after.take(again), Begun)
        assert await before.take(entry) is TakeEnd.LOST
        await after.record(again)
        await after.settle(again, Verdict.ACCEPTED)

    assert outcomes(world, id) == [("primary", "unknown"), ("backup", "accepted")]
    assert is_idle(world)


def test_f19_a_stopped_process_comes_back_to_a_send_that_another_has_done(tmp_path: Path, real_server: Server) -> None:
    with installation(tmp_path, real_server) as there:
        there.set_fault("c0", "hang", next=1)
        with there.worker() as first:
            id = there.start(1)
            until(lambda: there.accepted(), "the silent gateway was asked")
            first.send_signal(signal.SIGSTOP)
            there.note("kill", point="stopped")
            all_asleep(real_server.client)
            with there.worker():
                there.until_nothing_is_left()
                first.send_signal(signal.SIGCONT)
                until(lambda: [one.outcome for one in there.get(id).tries] == ["unknown", "accepted"], "both are known")
                first.terminate()
                assert first.wait(PATIENCE) == 0
        there.approve_all()
        checker = there.checker()
        assert checker.violations() == []
        assert str(checker.totals()) == "sends 1 · kills 1 · lost 0 · duplicates 1 · unknown 1"


@pytest.mark.parametrize("sends", [8, pytest.param(500, marks=pytest.mark.slow)])
def test_f20_sixteen_that_take_over_one_pending_list_start_each_try_once(real_world: World, sends: int) -> None:
    """Whoever has begun the first try falls asleep, so that another takes over; all wake up in the end."""
    real_world.with_rules(limits=Limits(prefix=()))  # one prefix, so that all lie in one partition
    ids = [real_world.start(f"+861380{n:07d}").verification.id for n in range(sends)]
    started: list[tuple[str, str, int]] = []

    async def handle(worker: Hands, entry: Entry) -> None:
        step = await worker.take(entry)
        if isinstance(step, Begun):
            started.append((entry.id, step.channel, entry.turn))
        if entry.turn == 2:
            await worker.fall_asleep(entry)
            await comes(lambda: (entry.id, "backup", 3) in started)
            assert await worker.take(entry) in (TakeEnd.LOST, TakeEnd.OVER)
        if isinstance(step, Begun):
            assert await worker.record(entry)
            await worker.settle(entry, Verdict.ACCEPTED)

    async def claim(worker: Hands) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not is_idle(real_world):
                for entry in await worker.take_over(idle_ms=60_000):
                    tasks.create_task(handle(worker.for_one(entry), entry))

    async def run() -> None:
        async with AsyncExitStack() as stack:
            dead, *claimers = [await stack.enter_async_context(hands(real_world, f"w{n}")) for n in range(17)]
            while entries := await dead.read():
                for entry in entries:
                    await dead.fall_asleep(entry)
            await asyncio.gather(*(claim(one) for one in claimers))

    asyncio.run(run())
    print(f"F20: {sends} sends, {len(started)} tries started")
    assert sorted(started) == sorted((id, channel, turn) for id in ids for channel, turn in TURNS)
    assert {real_world.get(id).delivery for id in ids} == {Delivery.ACCEPTED}
