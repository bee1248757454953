"""The streams of the outbox as one member of their consumer group sees them: reading, taking over, putting aside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from otp_service.keyring import PARTITIONS, Keyring
from otp_service.ports import Entry
from otp_service.store.groups import each, fields_of, open_group
from otp_service.store.keys import Keys
from otp_service.store.reads import GROUP as GROUP
from otp_service.store.reads import Found, OneRead, PartitionReads, Reads
from otp_service.store.rows import text
from otp_service.store.trips import Trips

_LOG = structlog.get_logger("otp_service.store")

MOST_DELIVERIES = 3
"""An entry that was left so often is not worked on again: it is what its workers die of."""
DEAD_LETTERS = 1000
"""The latest that are kept, a partition."""


class Entries:
    def __init__(self, trips: Trips, consumer: str, keyring: Keyring, keys: Keys) -> None:
        self._trips = trips
        self._consumer = consumer
        self._keyring = keyring
        self._keys = keys
        streams = {partition: keys.outbox(partition) for partition in range(PARTITIONS)}
        read = PartitionReads if trips.is_cluster else OneRead
        self._reads: Reads = read(trips, consumer, streams)

    async def open(self) -> None:
        await asyncio.gather(*(open_group(self._trips, self._keys.outbox(n), GROUP) for n in range(PARTITIONS)))

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        return await self._entries(await self._reads.read(count, block_ms))

    async def last(self) -> Sequence[Entry]:
        return await self._entries(await self._reads.last())

    async def _entries(self, found: Found) -> list[Entry]:
        return [entry for partition, messages in found for entry in await self._readable(partition, messages)]

    async def reclaim(self, idle_ms: int, count: int) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """Entries left for `idle_ms`, and those that were left too often to be tried again."""
        claimed = await each(self._claim(partition, idle_ms, count) for partition in range(PARTITIONS))
        taken = [entry for entries in claimed for entry in entries]
        poison = [entry for entry in taken if entry.turn > MOST_DELIVERIES]
        return [entry for entry in taken if entry not in poison], poison

    async def _claim(self, partition: int, idle_ms: int, count: int) -> list[Entry]:
        outbox = self._keys.outbox(partition)
        reply = await self._trips.command("XAUTOCLAIM", outbox, GROUP, self._consumer, idle_ms, "0-0", "COUNT", count)
        found = await self._readable(partition, [message for message in reply[1] if message])
        turns = await each(self._turn(entry) for entry in found)
        return [replace(entry, turn=turn) for entry, turn in turns if turn]

    async def renew(self, entries: Sequence[Entry]) -> None:
        by_partition: dict[int, list[str]] = {}
        for entry in entries:
            by_partition.setdefault(entry.partition, []).append(entry.entry)
        for partition, messages in self._reads.kept():
            by_partition.setdefault(partition, []).extend(text(id) for id, _ in messages)
        await each(self._renew(partition, ids) for partition, ids in by_partition.items() if ids)

    async def _renew(self, partition: int, ids: Iterable[str]) -> None:
        outbox = self._keys.outbox(partition)
        await self._trips.command("XCLAIM", outbox, GROUP, self._consumer, 0, *ids, "JUSTID")

    async def keep_aside(self, entry: Entry, words: str = "left by its workers too often") -> None:
        """Put it with the dead letters; acknowledging it is the caller's."""
        _LOG.error("a send is put with the dead letters", id=entry.id, send=entry.send, why=words)
        dead, fields = self._keys.dead(entry.partition), ("id", entry.id, "send", entry.send, "at", entry.at)
        await self._trips.command("XADD", dead, "MAXLEN", "~", DEAD_LETTERS, "*", *fields, "why", words)

    async def drop(self, entry: Entry) -> None:
        outbox = self._keys.outbox(entry.partition)
        await self._trips.command("XACK", outbox, GROUP, entry.entry)
        await self._trips.command("XDEL", outbox, entry.entry)

    async def _turn(self, entry: Entry) -> tuple[Entry, int]:
        """How often it was handed out; 0 when somebody else has it, or has done it, by now."""
        outbox, id = self._keys.outbox(entry.partition), entry.entry
        pending = await self._trips.command("XPENDING", outbox, GROUP, id, id, 1)
        return entry, max((int(turns) for _, consumer, _, turns in pending if self._is_ours(consumer)), default=0)

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
                entries.append(self._entry(partition, text(id), fields_of(fields)))
            except (KeyError, ValueError):
                await self.keep_aside(Entry(partition, text(id), "", 0, 0), "it can't be read")
                await self.drop(Entry(partition, text(id), "", 0, 0))
        return entries

    def _entry(self, partition: int, entry: str, fields: dict[bytes, bytes]) -> Entry:
        id = text(fields[b"id"])
        parsed = self._keyring.parse_id(id)
        return Entry(
            partition,
            entry,
            id,
            int(fields[b"send"]),
            int(fields[b"at"]),
            route=tuple(text(fields.get(b"route", b"")).split()),
            recipient=parsed.recipient if parsed else "",
            avoid=text(fields.get(b"avoid", b"")),
            request_id=text(fields.get(b"rid", b"")),
        )
