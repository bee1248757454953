"""`RedisEventLog`: the EventLog of `ports`, read by one consumer group on every stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio

from otp_service.events import OF_THE_INSTALLATION, Value
from otp_service.keyring import PARTITIONS
from otp_service.ports import Logged, StoreDown
from otp_service.store.cluster_trips import trips_to
from otp_service.store.event_rows import event_of
from otp_service.store.groups import each, fields_of, has_no_group, open_group, streams_in
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.trips import Word

GROUP = "hooks"
CONSUMER = "dispatchers"
"""One name for all: who reads an entry queues it at once, so it matters how long one pends, and not with whom. Names of
their own would stay in 33 groups for ever."""
MOST_INSTALLATION_EVENTS = 10_000
"""Where nobody reads them, the oldest go."""


class RedisEventLog:
    def __init__(self, client: redis.asyncio.Redis, prefix: str = "otp") -> None:
        self._trips = trips_to(client, {})
        keys = Keys(prefix)
        self._installation = keys.installation_events()
        self._streams = [*(keys.events(n) for n in range(PARTITIONS)), self._installation]

    async def open(self) -> None:
        await asyncio.gather(*(open_group(self._trips, stream, GROUP) for stream in self._streams))

    async def emit(self, type: str, data: Mapping[str, Value]) -> None:
        if type not in OF_THE_INSTALLATION:
            raise ValueError(f"{type!r} is no event of the installation")
        fields = ("type", type, "data", json.dumps(data))
        await self._trips.command("XADD", self._installation, "MAXLEN", "~", MOST_INSTALLATION_EVENTS, "*", *fields)

    async def read(self, count: int) -> Sequence[Logged]:
        # On a cluster streams of different slots can't be read in one.
        together = [[stream] for stream in self._streams] if self._trips.is_cluster else [self._streams]
        read = await each(self._read(streams, count) for streams in together)
        return [logged for found in read for logged in found]

    async def _read(self, streams: Sequence[str], count: int) -> Sequence[Logged]:
        words: list[Word] = ["GROUP", GROUP, CONSUMER, "COUNT", count, "STREAMS", *streams, *(">" for _ in streams)]
        try:
            reply = await self._trips.command("XREADGROUP", *words)
        except StoreDown as error:
            # The caller hears of it unless others have answered.
            if has_no_group(error):
                await asyncio.gather(*(open_group(self._trips, stream, GROUP) for stream in streams))
            raise
        return [logged for stream, entries in streams_in(reply) for logged in _logged(text(stream), entries)]

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Logged]:
        claimed = await each(self._claim(stream, idle_ms, count) for stream in self._streams)
        return [logged for found in claimed for logged in found]

    async def _claim(self, stream: str, idle_ms: int, count: int) -> Sequence[Logged]:
        words = (GROUP, CONSUMER, idle_ms, "0-0", "COUNT", count)
        return _logged(stream, (await self._trips.command("XAUTOCLAIM", stream, *words))[1])

    async def forget(self, logged: Sequence[Logged]) -> None:
        by_stream: dict[str, list[str]] = {}
        for one in logged:
            by_stream.setdefault(one.stream, []).append(one.entry)
        # Deleted first: an entry that were acknowledged and then left would stay for ever.
        ask = self._trips.command
        await asyncio.gather(*(ask("XDEL", stream, *entries) for stream, entries in by_stream.items()))
        await asyncio.gather(*(ask("XACK", stream, GROUP, *entries) for stream, entries in by_stream.items()))


def _logged(stream: str, entries: Any) -> list[Logged]:
    # One without fields was deleted while it pended: Redis itself drops it from the pending list.
    found = ((text(entry), fields_of(fields)) for entry, fields in filter(None, entries) if fields)
    return [Logged(stream, entry, event_of(stream, entry, fields)) for entry, fields in found]
