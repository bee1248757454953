"""A worker's steps, done by hand: what a test stops between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import redis

from otp_service.ports import Begun, Candidate, Entry, NoChannel, TakeEnd, TryResult, Verdict
from otp_service.store import RedisOutbox, Trips, trips_to
from otp_service.store.entries import GROUP
from tests.world import ACCEPTED, KEYS, World

CANDIDATES = (Candidate("primary"), Candidate("backup"))


@dataclass
class Hands:
    """One worker that does what it is told, a step at a time."""

    name: str
    outbox: RedisOutbox
    trips: Trips
    began: list[Begun] = field(default_factory=list)
    fence: str = ""

    def __post_init__(self) -> None:
        self.fence = self.fence or self.name

    def for_one(self, entry: Entry) -> Hands:
        """With a fence of its own, as a worker has one for each entry: it may take over what it left itself."""
        return replace(self, began=[], fence=f"{self.name}.{entry.turn}")

    async def read(self) -> list[Entry]:
        return list(await self.outbox.read(64, 50))

    async def take_over(self, idle_ms: int = 0) -> list[Entry]:
        return list(await self.outbox.reclaim(idle_ms, 64))

    async def take(self, entry: Entry) -> Begun | NoChannel | TakeEnd:
        step = await self.outbox.take(entry, self.fence, CANDIDATES, "failover")
        if isinstance(step, Begun):
            self.began.append(step)
        return step

    async def record(self, entry: Entry, result: TryResult = ACCEPTED) -> bool:
        """What the latest try came to."""
        return await self.outbox.record(entry, self.began[-1], self.fence, result, 5)

    async def settle(self, entry: Entry, verdict: Verdict) -> None:
        await self.outbox.settle(entry, self.fence, verdict)

    async def fall_asleep(self, entry: Entry) -> None:
        """Let its lease run out at once, and others go on."""
        outbox = KEYS.outbox(entry.partition)
        await self.trips.command("XCLAIM", outbox, GROUP, self.name, 0, entry.entry, "IDLE", 1 << 20, "JUSTID")
        await asyncio.sleep(0.01)


def all_asleep(client: redis.Redis) -> None:
    """Let every lease run out at once: whoever comes next takes over what dead or stopped workers left."""
    for outbox in client.keys("*:outbox"):
        for left in client.xpending_range(outbox, GROUP, "-", "+", 1000):
            client.xclaim(outbox, GROUP, left["consumer"], 0, [left["message_id"]], idle=1 << 20, justid=True)


@asynccontextmanager
async def hands(world: World, name: str) -> AsyncIterator[Hands]:
    client = world.server.make_async()
    trips = trips_to(client, world.scripts)
    outbox = RedisOutbox(client, name, world.keyring, trips=trips)
    await outbox.open()
    try:
        yield Hands(name, outbox, trips)
    finally:
        await outbox.aclose()


def by_hand(world: World, *names: str) -> Callable[[Callable[..., Awaitable[None]]], None]:
    """Decorates what is done at once, with one pair of hands for each name."""

    def do(steps: Callable[..., Awaitable[None]]) -> None:
        async def run(ready: list[Hands]) -> None:
            if len(ready) == len(names):
                await steps(*ready)
            else:
                async with hands(world, names[len(ready)]) as more:
                    await run([*ready, more])

        asyncio.run(run([]))

    return do
