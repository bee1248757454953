"""`Shifts`: a worker process that changes over from one crew to the next, and loses no send by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from otp_service.delivery.crew import Crew
from otp_service.delivery.shifts import Shifts
from otp_service.verification import Delivery
from tests.world import UNLIMITED, Server, World, silent, until


@dataclass
class Hand:
    """A member of a crew that notes when it begins and ends, and ends when a test lets it."""

    name: str
    noted: list[str]
    ready: bool = True
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self, drain_seconds: float) -> bool:
        self.noted.append(f"{self.name} begins")
        await self._stopping.wait()
        self.noted.append(f"{self.name} is asked to stop")
        await self.may_end.wait()
        self.noted.append(f"{self.name} ends")
        return True


@asynccontextmanager
async def crew_of(hand: Hand) -> AsyncIterator[Crew]:
    try:
        yield Crew(hand, {})
    finally:
        hand.noted.append(f"{hand.name} closes")


@asynccontextmanager
async def broken() -> AsyncIterator[Crew]:
    raise OSError("no such certificate")
    yield


async def at_the_change(noted: list[str]) -> tuple[Shifts, Hand, Hand, asyncio.Task[None]]:
    """The first crew works, and the second has begun but is not ready. The task ends when the first is relieved."""
    first, second = Hand("first", noted), Hand("second", noted, ready=False)
    shifts = Shifts()
    await shifts.relieve(crew_of(first), 1)
    relief = asyncio.create_task(shifts.relieve(crew_of(second), 1))
    await until(lambda: "second begins" in noted)
    return shifts, first, second, relief


def test_the_next_is_ready_before_the_one_before_it_stops() -> None:
    async def story() -> list[str]:
        noted: list[str] = []
        shifts, first, second, relief = await at_the_change(noted)
        await asyncio.sleep(0.05)
        assert "first is asked to stop" not in noted
        second.ready = True
        await relief
        first.may_end.set()
        await until(lambda: "first closes" in noted)
        assert not shifts.draining
        second.may_end.set()
        shifts.stop()
        await shifts.ended()
        return noted

    assert asyncio.run(story()) == [
        "first begins",
        "second begins",
        "first is asked to stop",
        "first ends",
        "first closes",
        "second is asked to stop",
        "second ends",
        "second closes",
    ]


def test_a_crew_that_can_not_be_made_up_relieves_nobody() -> None:
    async def story() -> None:
        noted: list[str] = []
        hand = Hand("first", noted)
        shifts = Shifts()
        await shifts.relieve(crew_of(hand), 1)
        with pytest.raises(OSError, match="certificate"):
            await shifts.relieve(broken(), 1)
        await until(lambda: noted)
        assert noted == ["first begins"]
        hand.may_end.set()
        shifts.stop()
        await shifts.ended()

    asyncio.run(story())


def test_a_stop_in_the_midst_of_a_change_ends_both() -> None:
    async def story() -> list[str]:
        noted: list[str] = []
        shifts, first, second, relief = await at_the_change(noted)
        shifts.stop()
        first.may_end.set()
        second.may_end.set()
        await relief
        await shifts.ended()
        return noted

    assert {"first closes", "second closes"} <= set(asyncio.run(story()))


def test_a_crew_that_ends_by_itself_ends_the_process() -> None:
    async def story() -> None:
        hand = Hand("first", [])
        shifts = Shifts()
        await shifts.relieve(crew_of(hand), 1)
        hand.may_end.set()
        hand.stop()
        await shifts.ended()
        assert shifts.draining

    asyncio.run(story())


def test_sends_go_on_while_one_crew_relieves_another(server: Server) -> None:
    """Every send exactly once, those included that a crew had begun when it was relieved."""
    world = World(server, UNLIMITED)
    gateway = world.gateways[0]
    gateway.answers = [silent(0.05) for _ in range(60)]  # type: ignore[assignment]

    @asynccontextmanager
    async def opening(name: str) -> AsyncIterator[Crew]:
        worker, outbox = world.worker(name)
        yield Crew(worker, {})
        await outbox.aclose()

    async def story() -> list[str]:
        shifts, ids = Shifts(), []
        await shifts.relieve(opening("w0"), 20)
        for n in range(1, 5):
            ids += [world.start(f"+86138{n}{k:07d}").verification.id for k in range(10)]
            await asyncio.sleep(0.02)
            await shifts.relieve(opening(f"w{n}"), 20)
        await world.is_idle()
        shifts.stop()
        await shifts.ended()
        return ids

    ids = asyncio.run(story())
    assert [world.get(id).delivery for id in ids] == [Delivery.ACCEPTED] * 40
    assert len(gateway.inbox) == len({message.to for message in gateway.inbox}) == 40
    assert not world.gateways[1].inbox
