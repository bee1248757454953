"""`RedisEventLog`: the EventLog of `ports`, read by one consumer group on every stream of events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio

from otp_service.events import OF_THE_INSTALLATION, Value
from otp_service.keyring import PARTITIONS
from otp_service.ports import Logged, StoreDown
from otp_service.store.async_scripts import AsyncScripts
from otp_service.store.event_rows import event_of
from otp_service.store.keys import Keys
from otp_service.store.rows import text

GROUP = "hooks"
CONSUMER = "dispatchers"
"""One name for all: who reads an entry queues it at once, so it matters how long one pends, and not with whom. Names of
their own would stay in 33 groups for ever."""
MOST_INSTALLATION_EVENTS = 10_000
"""Where nobody reads them, the oldest go."""


class RedisEventLog:
    def __init__(self, client: redis.asyncio.Redis, prefix: str = "otp") -> None:
        self._client = client
        self._answer = AsyncScripts(client, {}).answer
        keys = Keys(prefix)
        self._installation = keys.installation_events()
        self._streams = [*(keys.events(n) for n in range(PARTITIONS)), self._installation]

    async def open(self) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipeline.xgroup_create(stream, GROUP, id="0", mkstream=True)
        for reply in await self._answer(pipeline.execute(raise_on_error=False)):
            if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                raise StoreDown(type(reply).__name__) from reply

    async def emit(self, type: str, data: Mapping[str, Value]) -> None:
        if type not in OF_THE_INSTALLATION:
            raise ValueError(f"{type!r} is no event of the installation")
        fields: dict[Any, Any] = {"type": type, "data": json.dumps(data)}
        await self._answer(
            self._client.xadd(self._installation, fields, maxlen=MOST_INSTALLATION_EVENTS, approximate=True)
        )

    async def read(self, count: int) -> Sequence[Logged]:
        streams: dict[Any, Any] = dict.fromkeys(self._streams, ">")
        reply = await self._answer(self._client.xreadgroup(GROUP, CONSUMER, streams, count=count))
        return [logged for stream, entries in reply or [] for logged in _logged(text(stream), entries)]

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Logged]:
        pipeline = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipeline.xautoclaim(stream, GROUP, CONSUMER, idle_ms, start_id="0-0", count=count)
        replies = await self._answer(pipeline.execute())
        return [
            logged for stream, reply in zip(self._streams, replies, strict=True) for logged in _logged(stream, reply[1])
        ]

    async def forget(self, logged: Sequence[Logged]) -> None:
        by_stream: dict[str, list[str]] = {}
        for one in logged:
            by_stream.setdefault(one.stream, []).append(one.entry)
        pipeline = self._client.pipeline(transaction=False)
        for stream, entries in by_stream.items():
            # Deleted first: an entry that were acknowledged and then left would stay for ever.
            pipeline.xdel(stream, *entries)
            pipeline.xack(stream, GROUP, *entries)
        await self._answer(pipeline.execute())


def _logged(stream: str, entries: Any) -> list[Logged]:
    # One without fields was deleted while it pended: Redis itself drops it from the pending list.
    return [Logged(stream, text(entry), event_of(stream, text(entry), fields)) for entry, fields in entries if fields]
