"""How many sends a worker has in hand at once: no more than it was told, and none that only listens counts."""

from __future__ import annotations

import asyncio

from otp_service.delivery import Worker
from otp_service.ports import TryResult
from otp_service.store import RedisOutbox
from tests.world import ACCEPTED, World, until


async def stop(worker: Worker, outbox: RedisOutbox, running: asyncio.Task[bool]) -> None:
    worker.stop()
    await running
    await outbox.aclose()


def test_a_burst_over_all_partitions_is_no_more_at_once_than_the_worker_was_told(world: World) -> None:
    """A read takes from every partition; a worker that began all of that was late for its own gateways."""
    in_hand, most = 0, 0

    async def answer() -> TryResult:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        await asyncio.sleep(0.01)
        in_hand -= 1
        return ACCEPTED

    gateway = world.gateways[0]
    gateway.answers = [answer] * 60
    for number in range(60):
        world.start(f"+86138{number:04d}8000")
    worker, outbox = world.worker(concurrency=4)

    async def work() -> None:
        running = asyncio.create_task(worker.run())
        await world.is_idle()
        await stop(worker, outbox, running)

    asyncio.run(work())
    assert sum(len(one.inbox) for one in world.gateways) == 60  # some go by the other, to see how it is
    assert most <= 4


def test_a_send_that_only_awaits_a_late_answer_makes_room_for_the_next_one(world: World) -> None:
    """Else a gateway that falls silent takes every turn of the worker for its whole deadline."""
    primary, backup = world.gateways
    for number in range(3):
        world.start(f"+86138{number:04d}8000")
    worker, outbox = world.worker(concurrency=1)

    async def work() -> None:
        answers = asyncio.Event()

        async def late() -> TryResult:
            await answers.wait()
            return ACCEPTED

        primary.answer_within, primary.answers = 0.05, [late] * 3
        running = asyncio.create_task(worker.run())
        await until(lambda: len(backup.inbox) == 3)
        assert len(primary.inbox) == 3
        answers.set()
        await world.is_idle()
        await stop(worker, outbox, running)

    asyncio.run(work())
