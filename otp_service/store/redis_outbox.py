"""`RedisOutbox`: the Outbox of `ports`, as one member of the consumer group on every partition's stream."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError

from otp_service.keyring import PARTITIONS
from otp_service.ports import Begun, Entry, NoChannel, StoreDown, TakeEnd, TryResult, Verdict
from otp_service.store.connection import Lost
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script

GROUP = "workers"
MAX_DETAIL = 200
"""Characters of a gateway's own words."""
_DIGIT_RUN = re.compile(r"\d{4,}")
_Arguments = Sequence[str | bytes | int]


class RedisOutbox:
    """`consumer` names this member; no two members share a name."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        consumer: str,
        prefix: str = "otp",
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
    ) -> None:
        self._client = client
        self._consumer = consumer
        self._keys = Keys(prefix)
        self._scripts = scripts
        self._partitions = {self._keys.outbox(n).encode(): n for n in range(PARTITIONS)}

    async def open(self) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in self._partitions:
            pipeline.xgroup_create(key, GROUP, id="0", mkstream=True)
        for reply in await self._answer(pipeline.execute(raise_on_error=False)):
            if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                raise StoreDown(type(reply).__name__) from reply

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        streams: dict[Any, Any] = dict.fromkeys(self._partitions, ">")
        reply = await self._answer(
            self._client.xreadgroup(GROUP, self._consumer, streams, count=count, block=block_ms or None)
        )
        return [
            entry for key, messages in reply or [] for entry in self._entries(self._partitions[key], messages, False)
        ]

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Entry]:
        found: list[Entry] = []
        for key, partition in self._partitions.items():
            reply = await self._answer(
                self._client.xautoclaim(key, GROUP, self._consumer, idle_ms, start_id="0-0", count=count)
            )
            found += self._entries(partition, reply[1], True)
        return found

    def _entries(self, partition: int, messages: Any, reclaimed: bool) -> list[Entry]:
        # An entry without fields was deleted while it pended: Redis itself drops it from the pending list.
        return [
            Entry(partition, text(entry), text(fields[b"id"]), int(fields[b"send"]), int(fields[b"at"]), reclaimed)
            for entry, fields in messages
            if fields
        ]

    async def renew(self, entries: Sequence[Entry]) -> None:
        by_partition: dict[int, list[str]] = {}
        for entry in entries:
            by_partition.setdefault(entry.partition, []).append(entry.entry)
        for partition, ids in by_partition.items():
            claim = self._client.xclaim(self._keys.outbox(partition), GROUP, self._consumer, 0, list(ids), justid=True)
            await self._answer(claim)

    async def take(
        self, entry: Entry, fence: str, channels: Sequence[str], on_unknown: str
    ) -> Begun | NoChannel | TakeEnd:
        arguments: _Arguments = [
            entry.id,
            entry.send,
            fence,
            int(entry.reclaimed),
            " ".join(channels),
            on_unknown,
        ]
        reply = await self._evaluate("take", self._try_keys(entry), arguments)
        if reply[0] == b"none":
            return NoChannel(reply[1] == b"1", reply[2] == b"1", int(reply[3]))
        if reply[0] != b"try":
            return TakeEnd(text(reply[0]))
        index, channel, now, fields = reply[1:]
        to, kid, seed, counter, purpose, locale, expires, code_length = fields
        return Begun(
            index=int(index),
            channel=text(channel),
            now=int(now),
            to=to,
            kid=text(kid),
            seed=seed,
            counter=int(counter),
            purpose=text(purpose),
            locale=text(locale),
            expires=int(expires),
            code_length=int(code_length),
        )

    async def record(self, entry: Entry, index: int, fence: str, result: TryResult, took_ms: int) -> bool:
        said = [result.outcome, result.reason or "", _fit_to_keep(result.detail), result.gateway_id, took_ms]
        return bool(await self._evaluate("record", self._try_keys(entry), [entry.id, index, fence, *said]))

    async def settle(self, entry: Entry, fence: str, verdict: Verdict, delay_ms: int = 0) -> None:
        keys = [
            self._keys.record(entry.partition, entry.id),
            self._keys.outbox(entry.partition),
            self._keys.due(entry.partition),
        ]
        arguments: _Arguments = [entry.id, entry.send, fence, entry.entry, GROUP, verdict, delay_ms]
        await self._evaluate("settle", keys, arguments)

    async def wake(self, count: int) -> int:
        now = int(await self._evaluate("now", [], []))
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.zrangebyscore(self._keys.due(partition), "-inf", now, start=0, num=count)
        replies = await self._answer(pipeline.execute())
        due = [(partition, text(member)) for partition, members in enumerate(replies) for member in members]
        for partition, member in due:
            await self._wake_one(partition, member)
        return len(due)

    async def _wake_one(self, partition: int, member: str) -> None:
        """Members are `e:<id>` for an end, `d:<send>:<id>` for a delivery's next round."""
        kind, _, rest = member.partition(":")
        send, id = ("", rest) if kind == "e" else rest.split(":", 1)
        keys = [self._keys.record(partition, id), self._keys.outbox(partition), self._keys.due(partition)]
        await self._evaluate("wake", keys, [member, id, send])

    async def aclose(self) -> None:
        await self._client.aclose()

    # --- the one way to Redis -------------------------------------------------------------------------------------

    def _try_keys(self, entry: Entry) -> list[str]:
        return [
            self._keys.record(entry.partition, entry.id),
            self._keys.tries(entry.partition, entry.id),
            self._keys.due(entry.partition),
        ]

    async def _evaluate(self, name: str, keys: Sequence[str], arguments: _Arguments) -> Any:
        script = self._scripts[name]
        try:
            return await self._answer(self._client.evalsha(script.sha, len(keys), *keys, *arguments))
        except NoScriptError:
            return await self._answer(self._client.eval(script.text, len(keys), *keys, *arguments))

    async def _answer(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except NoScriptError:
            raise
        except Lost as error:
            raise StoreDown(type(error).__name__) from error


def _fit_to_keep(words: str) -> str:
    """Gateways repeat numbers and codes in their answers; whatever a channel lets through, none is kept."""
    return _DIGIT_RUN.sub("****", words)[:MAX_DETAIL]
