"""The streams of the outbox as one member of their consumer group sees them: reading, taking over, putting aside."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import redis.asyncio
import structlog

from otp_service.keyring import PARTITIONS
from otp_service.ports import Entry, StoreDown
from otp_service.store.connection import Lost
from otp_service.store.keys import Keys
from otp_service.store.rows import text

_LOG = structlog.get_logger("otp_service.store")

GROUP = "workers"
MOST_DELIVERIES = 3
"""An entry that was left so often is not worked on again: it is what its workers die of."""
DEAD_LETTERS = 1000
"""The latest that are kept, a partition."""


class Entries:
    def __init__(self, client: redis.asyncio.Redis, consumer: str, keys: Keys) -> None:
        self._client = client
        self._consumer = consumer
        self._keys = keys
        self._partitions = {keys.outbox(n).encode(): n for n in range(PARTITIONS)}

    async def open(self) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in self._partitions:
            pipeline.xgroup_create(key, GROUP, id="0", mkstream=True)
        for reply in await answer(pipeline.execute(raise_on_error=False)):
            if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                raise StoreDown(type(reply).__name__) from reply

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        streams: dict[Any, Any] = dict.fromkeys(self._partitions, ">")
        asked = self._client.xreadgroup(GROUP, self._consumer, streams, count=count, block=block_ms or None)
        try:
            reply = await answer(asked)
        except StoreDown as error:
            if "NOGROUP" not in str(error.__cause__):
                raise
            # A server that came back empty, or somebody's mistake: what waits is still to be read.
            await self.open()
            return []
        entries: list[Entry] = []
        for key, messages in reply or []:
            entries += await self._readable(self._partitions[key], messages)
        return entries

    async def reclaim(self, idle_ms: int, count: int) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """Entries left for `idle_ms`, and those that were left too often to be tried again."""
        found: list[Entry] = []
        for key, partition in self._partitions.items():
            reply = await answer(
                self._client.xautoclaim(key, GROUP, self._consumer, idle_ms, start_id="0-0", count=count)
            )
            found += await self._readable(partition, reply[1])
        taken = [replace(entry, turn=turn) for entry in found if (turn := await self._turn(entry))]
        poison = [entry for entry in taken if entry.turn > MOST_DELIVERIES]
        return [entry for entry in taken if entry not in poison], poison

    async def renew(self, entries: Sequence[Entry]) -> None:
        by_partition: dict[int, list[str]] = {}
        for entry in entries:
            by_partition.setdefault(entry.partition, []).append(entry.entry)
        for partition, ids in by_partition.items():
            claim = self._client.xclaim(self._keys.outbox(partition), GROUP, self._consumer, 0, list(ids), justid=True)
            await answer(claim)

    async def keep_aside(self, entry: Entry, words: str = "left by its workers too often") -> None:
        """Put it with the dead letters; acknowledging it is the caller's."""
        _LOG.error("a send is put with the dead letters", id=entry.id, send=entry.send, why=words)
        fields: Any = {"id": entry.id, "send": entry.send, "at": entry.at, "why": words}
        await answer(self._client.xadd(self._keys.dead(entry.partition), fields, maxlen=DEAD_LETTERS))

    async def drop(self, entry: Entry) -> None:
        outbox = self._keys.outbox(entry.partition)
        await answer(self._client.xack(outbox, GROUP, entry.entry))
        await answer(self._client.xdel(outbox, entry.entry))

    async def _turn(self, entry: Entry) -> int:
        """How often it was handed out; 0 when somebody else has it, or has done it, by now."""
        pending: Any = self._client.xpending_range(
            self._keys.outbox(entry.partition), GROUP, min=entry.entry, max=entry.entry, count=1
        )
        turns = [int(one["times_delivered"]) for one in await answer(pending) if self._is_ours(one["consumer"])]
        return max(turns, default=0)

    def _is_ours(self, consumer: bytes | str) -> bool:
        return (consumer if isinstance(consumer, str) else text(consumer)) == self._consumer

    async def _readable(self, partition: int, messages: Any) -> list[Entry]:
        """An entry without fields was deleted while it pended: Redis itself drops it from the pending list. One that is
        none of ours is put aside, so that it stops nobody."""
        entries = []
        for id, fields in messages:
            if not fields:
                continue
            try:
                entries.append(_entry(partition, text(id), fields))
            except (KeyError, ValueError):
                await self.keep_aside(Entry(partition, text(id), "", 0, 0), "it can't be read")
                await self.drop(Entry(partition, text(id), "", 0, 0))
        return entries


def _entry(partition: int, entry: str, fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        partition,
        entry,
        text(fields[b"id"]),
        int(fields[b"send"]),
        int(fields[b"at"]),
        route=tuple(text(fields.get(b"route", b"")).split()),
        recipient=text(fields.get(b"who", b"")),
        avoid=text(fields.get(b"avoid", b"")),
        request_id=text(fields.get(b"rid", b"")),
    )


async def answer(asked: Awaitable[Any]) -> Any:
    """Raises StoreDown for every way in which Redis fails to answer."""
    try:
        return await asked
    except Lost as error:
        raise StoreDown(type(error).__name__) from error
