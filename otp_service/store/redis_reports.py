"""`RedisReportLog`: the ReportLog of `ports`: one stream, the orphans beside it. `ReportInbox`: the way in for threads.

Every worker reads at once and forgets what it has acted on; what it leaves is taken over. Acting twice does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import redis

from otp_service.ports import Heard, Kept, StoreDown
from otp_service.store.connection import Lost
from otp_service.store.groups import fields_of, open_group, streams_in
from otp_service.store.heard_rows import encoded, heard_in
from otp_service.store.keys import Keys
from otp_service.store.redis_store import SUPPRESSED_SECONDS
from otp_service.store.rows import text
from otp_service.store.trips import LONGEST, Trips

GROUP = "workers"
CONSUMER = "readers"
"""One name for all: it matters how long a row pends, and not with whom."""
MOST_ROWS = 100_000
"""Where nobody reads them, the oldest go."""
MOST_ORPHANS = 20_000


class RedisReportLog:
    def __init__(self, trips: Trips, prefix: str = "otp") -> None:
        self._trips = trips
        self._keys = Keys(prefix)
        self._stream, self._orphans = self._keys.reports(), self._keys.orphans()

    async def open(self) -> None:
        await open_group(self._trips, self._stream, GROUP)

    async def keep(self, rows: Sequence[Heard]) -> None:
        trim = ("MAXLEN", "~", MOST_ROWS, "*")
        # What is asked for at once beyond one trip may overtake it, and rows are acted on in their order.
        for first in range(0, len(rows), LONGEST):
            page = rows[first : first + LONGEST]
            ask = self._trips.command
            await asyncio.gather(*(ask("XADD", self._stream, *trim, "row", encoded(row)) for row in page))

    async def read(self, count: int) -> Sequence[Kept]:
        words = ("GROUP", GROUP, CONSUMER, "COUNT", count, "STREAMS", self._stream, ">")
        reply = await self._trips.command("XREADGROUP", *words)
        return [kept for _, entries in streams_in(reply) for kept in _kept(entries)]

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Kept]:
        words = (GROUP, CONSUMER, idle_ms, "0-0", "COUNT", count)
        return _kept((await self._trips.command("XAUTOCLAIM", self._stream, *words))[1])

    async def forget(self, kept: Sequence[Kept]) -> None:
        if not kept:
            return
        entries = [one.entry for one in kept]
        # Deleted first: an entry that were acknowledged and then left would stay for ever.
        await self._trips.command("XDEL", self._stream, *entries)
        await self._trips.command("XACK", self._stream, GROUP, *entries)

    async def put_off(self, heard: Heard, delay_ms: int) -> bool:
        return bool(await self._trips.script("put_off", [self._orphans], [encoded(heard), delay_ms, MOST_ORPHANS]))

    async def bring_back(self, count: int) -> int:
        return int(await self._trips.script("bring_back", [self._orphans, self._stream], [count, MOST_ROWS]))

    async def answered(self, name: str, recipient: str) -> tuple[str, str]:
        stands_for = await self._trips.command("GET", self._keys.expected_report(name)) if name else None
        if not stands_for:
            return "", ""
        _, id, _, expected, client = text(stands_for).split(" ")
        return (id, client) if recipient == expected else ("", "")

    async def suppress(self, partition: int, owner: str, lift: bool = False) -> None:
        key = self._keys.suppressed(partition, owner)
        await self._trips.command(*(("DEL", key) if lift else ("SET", key, "1", "EX", SUPPRESSED_SECONDS)))


class ReportInbox:
    """Where the API puts what is pushed to it."""

    def __init__(self, client: redis.Redis, prefix: str = "otp") -> None:
        self._client = client
        self._stream = Keys(prefix).reports()

    def keep(self, rows: Sequence[Heard]) -> None:
        """As `ReportLog.keep`. Raises StoreDown: then some may be kept, and all of them may come again."""
        pipeline = self._client.pipeline(transaction=False)
        for row in rows:
            pipeline.xadd(self._stream, {"row": encoded(row)}, maxlen=MOST_ROWS, approximate=True)
        try:
            pipeline.execute()
        except Lost as error:
            raise StoreDown(type(error).__name__) from error


def _kept(entries: Any) -> list[Kept]:
    # One without fields was deleted while it pended: Redis itself drops it from the pending list.
    found = ((text(entry), fields_of(fields)) for entry, fields in filter(None, entries) if fields)
    return [Kept(entry, heard_in(fields)) for entry, fields in found]
