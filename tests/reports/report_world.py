"""A small world of reports: a channel that says what a test wants, rows as they are kept, and who acts on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from otp_service import metrics
from otp_service.ports import Balance, ChannelError, Reply, Report
from otp_service.reports import Actor, BalanceWatch, Ear, Poller, Watched
from otp_service.store import (
    RedisAccounts,
    RedisEventLog,
    RedisLeases,
    RedisOutbox,
    RedisReportLog,
    RedisStandings,
    Trips,
    trips_to,
)
from otp_service.verification import Verification
from tests.world import NUMBER, FakeGateway, World

T = TypeVar("T")
GATEWAY_ID = "93390617"
"""What the world's gateways answer."""


@dataclass
class TalkingGateway(FakeGateway):
    """Hands each row out once, as gateways do."""

    said: list[Sequence[Report] | ChannelError] = field(default_factory=list)
    replied: list[Sequence[Reply]] = field(default_factory=list)
    left: Balance | ChannelError = field(default_factory=lambda: Balance("100"))
    asked: int = 0

    async def reports(self) -> Sequence[Report]:
        self.asked += 1
        said = self.said.pop(0) if self.said else ()
        if isinstance(said, ChannelError):
            raise said
        return said

    async def replies(self) -> Sequence[Reply]:
        return self.replied.pop(0) if self.replied else ()

    async def balance(self) -> Balance:
        self.asked += 1
        if isinstance(self.left, ChannelError):
            raise self.left
        return self.left


@dataclass
class Desk:
    """What the workers of one world share; made in the loop that uses it."""

    world: World
    holder: str
    trips: Trips
    log: RedisReportLog
    outbox: RedisOutbox
    standings: RedisStandings
    leases: RedisLeases
    accounts: RedisAccounts
    events: RedisEventLog

    def ear(self, channel: str = "primary", **more: Any) -> Ear:
        return Ear(channel, self.world.keyring, **({"clients": ("shop", "bank")} | more))

    def actor(self) -> Actor:
        return Actor(self.log, self.outbox, self.standings, self.world.keyring)

    def poller(self, channel: TalkingGateway, **more: Any) -> Poller:
        ear = more.pop("ear", None) or self.ear(channel.name)
        return Poller(channel, ear, self.log, self.standings, self.leases, self.accounts, self.holder, **more)

    def watch(self, *watched: Watched) -> BalanceWatch:
        return BalanceWatch(watched, self.accounts, self.leases, self.events, self.holder, first_seconds=0.0)


def at_a_desk(world: World, work: Callable[[Desk], Awaitable[T]], holder: str = "w1") -> T:
    async def run() -> T:
        client = world.server.make_async()
        trips = trips_to(client, world.scripts)
        desk = Desk(
            world,
            holder,
            trips,
            RedisReportLog(trips),
            RedisOutbox(client, holder, world.keyring, trips=trips),
            RedisStandings(trips),
            RedisLeases(trips),
            RedisAccounts(trips),
            RedisEventLog(client),
        )
        try:
            return await work(desk)
        finally:
            await client.aclose()

    return asyncio.run(run())


def hear(world: World, *said: Report, channel: str = "primary") -> None:
    """Keep these rows, and act on what waits."""

    async def work(desk: Desk) -> None:
        await desk.log.keep(desk.ear(channel).reports(said))
        await desk.actor().step()

    at_a_desk(world, work)


def act(world: World) -> None:
    async def work(desk: Desk) -> None:
        await desk.actor().step()

    at_a_desk(world, work)


def sent(world: World) -> Verification:
    """A verification that its first channel has accepted."""
    id = world.start().verification.id
    world.deliver()
    return world.get(id)


def row(delivered: bool = True, gateway_id: str = GATEWAY_ID, to: str = NUMBER, words: str = "DELIVRD") -> Report:
    return Report(gateway_id, to, delivered, words if delivered else "UNDELIV")


def counted(end: str, channel: str = "primary") -> float:
    return metrics.REPORTS.labels(channel, end)._value.get()
