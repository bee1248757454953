"""`RedisOutbox`: the Outbox of `ports`, as one member of the consumer group on every partition's stream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio

from otp_service.keyring import PARTITIONS, Keyring
from otp_service.masking import fit_to_keep
from otp_service.ports import (
    Begun,
    Candidate,
    Entry,
    Finished,
    NoChannel,
    Played,
    Pretend,
    ReportEnd,
    StoreDown,
    TakeEnd,
    TryResult,
    Verdict,
)
from otp_service.retention import Retention
from otp_service.store.cluster_trips import trips_to
from otp_service.store.entries import Entries
from otp_service.store.fields import RECORD
from otp_service.store.groups import each
from otp_service.store.keys import Keys
from otp_service.store.reads import GROUP
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script
from otp_service.store.trips import Arguments, Trips


class RedisOutbox:
    """`consumer` names this member; no two members share a name."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        consumer: str,
        keyring: Keyring,
        prefix: str = "otp",
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
        trips: Trips | None = None,
        tries_ms: int = Retention().tries,
    ) -> None:
        self._client = client
        self._keys = Keys(prefix)
        self._trips = trips or trips_to(client, scripts)
        self._entries = Entries(self._trips, consumer, keyring, self._keys)
        self._tries_ms = tries_ms

    # --- the stream -----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        await self._entries.open()

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        return await self._entries.read(count, block_ms)

    async def last(self) -> Sequence[Entry]:
        return await self._entries.last()

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Entry]:
        entries, poison = await self._entries.reclaim(idle_ms, count)
        for entry in poison:
            await self._bury(entry)
        return entries

    async def renew(self, entries: Sequence[Entry]) -> None:
        await self._entries.renew(entries)

    async def _bury(self, entry: Entry) -> None:
        """The send has failed unless a try may have sent it; its entry is kept aside for whoever looks into it."""
        await self._entries.keep_aside(entry)
        try:
            taken = await self.take(entry, f"{entry.entry}.dead", [], "failover")
            may_have_sent = isinstance(taken, NoChannel) and taken.may_have_sent
            await self.settle(entry, f"{entry.entry}.dead", Verdict.DONE if may_have_sent else Verdict.FAILED)
        except StoreDown:
            # No script can work on its record, and the others must not wait for it; or Redis is gone, and says so here.
            await self._entries.drop(entry)

    # --- a delivery's steps ---------------------------------------------------------------------------------------

    async def take(
        self, entry: Entry, fence: str, candidates: Sequence[Candidate], on_unknown: str
    ) -> Begun | NoChannel | Pretend | TakeEnd:
        windows = [self._keys.recipient_at(entry.partition, one.channel, entry.recipient) for one in candidates]
        arguments: list[str | bytes | int] = [entry.id, entry.send, fence, entry.turn, on_unknown, entry.entry]
        for one in candidates:
            arguments += (one.channel, one.windows, int(one.strict))
        reply = await self._trips.script("take", [*self._try_keys(entry), *windows], arguments)
        if reply[0] == b"none":
            closed, full = reply[4:]
            waits = {text(name): int(wait) for name, wait in zip(full[::2], full[1::2], strict=True)}
            return NoChannel(reply[1] == b"1", reply[2] == b"1", int(reply[3]), waits, frozenset(map(text, closed)))
        if reply[0] == b"pretend":
            return Pretend(text(reply[1]), int(reply[2]))
        return _begun(reply) if reply[0] == b"try" else TakeEnd(text(reply[0]))

    async def record(self, entry: Entry, begun: Begun, fence: str, result: TryResult, took_ms: int) -> bool:
        keys = [
            *self._send_keys(entry.partition, entry.id),
            self._keys.recipient_at(entry.partition, begun.channel, entry.recipient),
            self._keys.waiting(entry.partition, entry.id),
        ]
        said = [result.outcome.value, str(result.reason or ""), fit_to_keep(result.detail), result.gateway_id, took_ms]
        return bool(await self._trips.script("record", keys, [entry.id, begun.index, fence, *said]))

    async def settle(
        self, entry: Entry, fence: str, verdict: Verdict, delay_ms: int = 0, played: Played | None = None
    ) -> None:
        keys = [*self._send_keys(entry.partition, entry.id), self._keys.waiting(entry.partition, entry.id)]
        arguments: list[str | bytes | int] = [entry.id, entry.send, fence, entry.entry, GROUP, verdict.value, delay_ms]
        if played:
            keys.append(self._keys.recipient_at(entry.partition, played.channel, entry.recipient))
            arguments += (played.channel, played.windows, *_report(played))
        await self._trips.script("settle", keys, arguments)

    async def tell(self, entry: Entry) -> None:
        partition, id = entry.partition, entry.id
        keys = [self._keys.record(partition, id), self._keys.waiting(partition, id)]
        await self._trips.script("tell", keys, [entry.send])

    async def recipient(self, entry: Entry) -> tuple[str, bytes] | None:
        record = self._keys.record(entry.partition, entry.id)
        kid, to = await self._trips.command("HMGET", record, RECORD["kid"], RECORD["to"])
        return (text(kid), to) if kid and to else None

    # --- reports --------------------------------------------------------------------------------------------------

    async def expect_report(self, name: str, entry: Entry, begun: Begun) -> None:
        stands_for = f"{entry.partition} {entry.id} {begun.index} {entry.recipient} {begun.client}"
        await self._trips.command("SET", self._keys.expected_report(name), stands_for, "PX", self._tries_ms)

    async def report(self, name: str, recipient: str, delivered: bool, words: str) -> tuple[ReportEnd, str, int | None]:
        stands_for = await self._trips.command("GET", self._keys.expected_report(name))
        if not stands_for:
            return ReportEnd.ORPHAN, "", None
        partition, id, index, expected, _ = text(stands_for).split(" ")
        if recipient and recipient != expected:
            return ReportEnd.ORPHAN, id, None
        arguments: Arguments = [id, index, int(delivered), fit_to_keep(words)]
        end, *after = await self._trips.script("report", self._send_keys(int(partition), id), arguments)
        return ReportEnd(text(end)), id, int(after[0]) if after else None

    # --- what is due ----------------------------------------------------------------------------------------------

    async def wake(self, count: int) -> tuple[int, Sequence[Finished]]:
        asked = (self._due(partition, moment, count) for partition, moment in await self._moments())
        due = [one for found in await each(asked) for one in found]
        ends = await each(self._wake_one(partition, member) for partition, member in due)
        # What no script can work on is due for ever, and does not count.
        return len(ends), [end for end in ends if end is not None]

    async def _moments(self) -> Sequence[tuple[int, int]]:
        """The time of each partition's server: clocks of several may differ."""
        if self._trips.is_cluster:
            return await each(self._moment(partition) for partition in range(PARTITIONS))
        _, now = await self._moment(0)
        return [(partition, now) for partition in range(PARTITIONS)]

    async def _moment(self, partition: int) -> tuple[int, int]:
        return partition, int(await self._trips.script("now", [self._keys.due(partition)], []))

    async def _due(self, partition: int, now: int, count: int) -> Sequence[tuple[int, str]]:
        keys = (self._keys.due(partition), self._keys.later(partition))
        words = ("-inf", now, "LIMIT", 0, count)
        due = await asyncio.gather(*(self._trips.command("ZRANGEBYSCORE", key, *words) for key in keys))
        return [(partition, text(member)) for members in due for member in members]

    async def _wake_one(self, partition: int, member: str) -> Finished | None:
        """`e:<id>` is a look or an end, `a:<id>` an approval, `r:<id>` a played report, `<send>:<id>` a next round."""
        first, _, id = member.partition(":")
        kind, send = (first, "") if first in ("a", "e", "r") else ("d", first)
        reply = await self._trips.script("wake", self._send_keys(partition, id), [kind, id, send, GROUP])
        return Finished(text(reply[0]), tuple(text(name) for name in reply[1:])) if reply else None

    async def aclose(self) -> None:
        await self._client.aclose()

    # --- keys -----------------------------------------------------------------------------------------------------

    def _try_keys(self, entry: Entry) -> list[str]:
        return self._send_keys(entry.partition, entry.id)[:4]

    def _send_keys(self, partition: int, id: str) -> list[str]:
        return [
            self._keys.record(partition, id),
            self._keys.tries(partition, id),
            self._keys.due(partition),
            self._keys.events(partition),
            self._keys.outbox(partition),
            self._keys.later(partition),
        ]


def _report(played: Played) -> tuple[int | str, str]:
    """As `settle` reads it."""
    if played.report is None:
        return "", ""
    after_ms, arrived = played.report
    return after_ms, "delivered" if arrived else "undelivered"


def _begun(reply: Any) -> Begun:
    index, channel, now, fields = reply[1:]
    to, kid, seed, counter, purpose, locale, expires, code_length, client = fields
    return Begun(
        index=int(index),
        channel=text(channel),
        now=int(now),
        to=to,
        kid=text(kid),
        seed=seed,
        counter=int(counter or 0),
        purpose=text(purpose),
        locale=text(locale or b""),
        expires=int(expires),
        code_length=int(code_length),
        client=text(client),
    )
