"""`RedisOperations`: the Operations of `ports`. It looks in one or two trips, by the names that are configured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis

from otp_service.keyring import PARTITIONS, VerificationId
from otp_service.policy import Window
from otp_service.ports import (
    ChannelState,
    CommonLimit,
    FullLimits,
    Hindrance,
    Installation,
    Origin,
    Pause,
    QueueState,
    RecipientLimits,
    StoreDown,
    TooManyPauses,
    Untold,
    WorkerSign,
)
from otp_service.store import common_limits
from otp_service.store.cluster import Cluster
from otp_service.store.connection import asked
from otp_service.store.fields import RECORD
from otp_service.store.figures import in_the_last_hour, spans
from otp_service.store.keys import Keys
from otp_service.store.parts import Ask, Replies, in_parts, of_partitions
from otp_service.store.redis_presence import SILENT_MS
from otp_service.store.redis_watch import UNTOLD
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script
from otp_service.store.sky import standing

MOST_PAUSES = 100
"""Of sends, beside those of channels."""
_SAID = ("words", "words_at", "balance", "balance_at", "paused_at", "paused_by", "lately", "lately_at")
_ASKED_FOR = ("balance", "reports", "replies")


class RedisOperations:
    def __init__(
        self, client: redis.Redis, prefix: str = "otp", scripts: Mapping[str, Script] = DEFAULT_SCRIPTS
    ) -> None:
        self._client = client
        self._keys = Keys(prefix)
        self._scripts = scripts

    # --- looking --------------------------------------------------------------------------------------------------

    def look(self, channels: Sequence[str]) -> Installation:
        recent, keys = spans(time.time()), self._keys

        parts: list[Ask] = [
            lambda pipeline: pipeline.zrange(keys.workers(), 0, -1, withscores=True),
            lambda pipeline: pipeline.hgetall(keys.pauses()),
            *(self._waiting(partition) for partition in range(PARTITIONS)),
            *(self._channel(name, recent) for name in channels),
        ]
        now, (seen, paused, *rest) = in_parts(self._client, self._now, parts)
        queues, of_channels = rest[:PARTITIONS], rest[PARTITIONS:]
        unknown = [*of_partitions("sends that wait", queues)]
        unknown += ["pauses of sends"] if paused is None else []
        pauses, states = list(_pauses(now, next(paused) if paused else {})), []
        for name, replies in zip(channels, of_channels, strict=True):
            if replies is None:
                unknown.append(f"the channel {name}")
                continue
            state, pause = _channel(name, next(replies), next(replies), list(replies))
            states.append(state)
            pauses += [pause] if pause.until > now else []
        workers, silent = self._workers(now, seen)
        queue = _queue(now, [list(replies) for replies in queues if replies])
        return Installation(now, workers, queue, states, pauses, [*unknown, *silent])

    def _waiting(self, partition: int) -> Ask:
        def ask(pipeline: Any) -> None:
            pipeline.xlen(self._keys.outbox(partition))
            pipeline.xrange(self._keys.outbox(partition), count=1)
            pipeline.zcard(self._keys.later(partition))
            pipeline.xlen(self._keys.dead(partition))

        return ask

    def _channel(self, name: str, recent: Sequence[int]) -> Ask:
        def ask(pipeline: Any) -> None:
            self._ask(pipeline, "standing", self._keys.channel(name))
            pipeline.hmget(self._keys.channel(name), *_SAID, *(f"{UNTOLD}{what}" for what in _ASKED_FOR))
            for span in recent:
                pipeline.hgetall(self._keys.figures(name, span))

        return ask

    def _workers(self, now: int, replies: Replies | None) -> tuple[list[WorkerSign], list[str]]:
        """Those that live, and what of them is not known."""
        if replies is None:
            return [], ["the workers"]
        seen = {text(name): int(at) for name, at in next(replies) if at > now - SILENT_MS}
        if not seen:
            return [], []
        try:
            said = in_parts(self._client, self._now, [self._sign(name) for name in seen])[1]
        except StoreDown:
            if not isinstance(self._client, Cluster):
                raise
            said = [None] * len(seen)
        known = {name: next(told) for name, told in zip(seen, said, strict=True) if told}
        signs = ((name, json.loads(row)) for name, row in known.items() if row)
        alive = [
            WorkerSign(name, one["version"], one["up"], one["in_flight"], one["done"], seen[name])
            for name, one in signs
        ]
        return alive, [f"the worker {name}, which lives" for name in seen if name not in known]

    def _sign(self, name: str) -> Ask:
        return lambda pipeline: pipeline.get(self._keys.worker(name))

    def client_of(self, id: VerificationId) -> str | None:
        client = asked(lambda: self._client.hget(self._keys.record(id.partition, id.text), RECORD["client"]))
        return text(client) if client else None

    def hindrances(self, origin: Origin, limits: RecipientLimits) -> tuple[int, Sequence[Hindrance]]:
        partition = origin.partition
        kept = [("recipient", "", self._keys.recipient(partition, origin.recipient), limits.recipient)]
        kept += [("failures", origin.client, self._keys.failures(partition, origin.owner), limits.failures)]
        kept += [("prefix", "", self._keys.prefix(partition, origin.prefix), limits.prefix)]
        kept += [
            (f"channel:{name}", "", self._keys.recipient_at(partition, name, origin.recipient), windows)
            for name, windows in limits.channels.items()
        ]
        pipeline = self._client.pipeline(transaction=False)
        self._ask(pipeline, "now")
        pipeline.exists(self._keys.suppressed(partition, origin.owner))
        pipeline.get(self._keys.failed(partition, origin.owner))
        for _, _, key, windows in kept:
            for window in windows:
                pipeline.zrevrange(key, window.count - 1, window.count - 1, withscores=True)
        replies = iter(asked(pipeline.execute))
        now = int(next(replies))
        found = [Hindrance("suppressed", 0, origin.client)] if next(replies) else []
        failed = int(next(replies) or 0)
        if 0 < limits.disable_after <= failed:
            detail = "wrong codes in a row; POST /v1/recipients/enable lifts it"
            found.append(Hindrance("recipient_disabled", 0, origin.client, detail))
        for limit, client, _, windows in kept:
            moments = {_room_at(next(replies), window): window for window in windows}
            until = max(moments, default=0)
            if until > now:
                used = f"{moments[until].count} in {moments[until].seconds} s are used up"
                found.append(Hindrance(limit, until, client, used))
        return now, found

    def full(self, limits: Sequence[CommonLimit]) -> FullLimits:
        def limit(one: CommonLimit) -> Ask:
            return lambda pipeline: common_limits.ask(pipeline, self._keys, [one])

        now, replies = in_parts(self._client, self._now, list(map(limit, limits)))
        found, unknown = list[Hindrance](), list[str]()
        for one, of_limit in zip(limits, replies, strict=True):
            if of_limit is None:
                unknown.append(f"the limit `{one.limit}`" + (f" of {one.client}" if one.client else ""))
            else:
                found += common_limits.found(now, [one], of_limit)
        return FullLimits(now, found, unknown)

    # --- acting ---------------------------------------------------------------------------------------------------

    def pause_channel(self, channel: str, ms: int, by: str) -> int:
        return int(self._run("pause_channel", self._keys.channel(channel), ms, by))

    def resume_channel(self, channel: str) -> bool:
        key = self._keys.channel(channel)
        until = asked(lambda: self._client.hget(key, "paused"))
        asked(lambda: self._client.hdel(key, "paused", "paused_at", "paused_by"))
        return int(until or 0) > int(self._run("now"))

    def pause_sends(self, what: str, ms: int, by: str) -> int:
        until = int(self._run("pause_sends", self._keys.pauses(), what, ms, by, MOST_PAUSES))
        if not until:
            raise TooManyPauses
        return until

    def resume_sends(self, what: str) -> Sequence[str]:
        now = int(self._run("now"))
        held = asked(lambda: self._client.hgetall(self._keys.pauses()))
        running = [pause.what for pause in _pauses(now, held) if what in {"", pause.what}]
        if running:
            asked(lambda: self._client.hdel(self._keys.pauses(), *running))
        return running

    # --- the one way to Redis -------------------------------------------------------------------------------------

    def _run(self, name: str, key: str = "", *arguments: str | int) -> Any:
        keys = [key] if key else []
        return asked(lambda: self._client.eval(self._scripts[name].text, len(keys), *keys, *arguments))

    def _now(self, pipeline: Any) -> None:
        self._ask(pipeline, "now")

    def _ask(self, pipeline: Any, name: str, key: str = "") -> None:
        keys = [key] if key else []
        pipeline.eval(self._scripts[name].text, len(keys), *keys)


def _queue(now: int, partitions: Sequence[Any]) -> QueueState:
    depth = sum(waiting for waiting, _, _, _ in partitions)
    asked = [int(fields.get(b"at", now)) for _, first, _, _ in partitions for _, fields in first]
    return QueueState(
        depth=depth,
        oldest_ms=max(now - min(asked, default=now), 0),
        later=sum(put_off for _, _, put_off, _ in partitions),
        dead=sum(dead for _, _, _, dead in partitions),
    )


def _pauses(now: int, held: Mapping[bytes, bytes]) -> Iterator[Pause]:
    for what, value in sorted(held.items()):
        until, since, by = [*text(value).split(" ", 2), "", ""][:3]
        if int(until) > now:
            yield Pause(text(what), int(until), int(since or 0), by)


def _channel(name: str, stands: Any, said: Sequence[bytes | None], figures: Any) -> tuple[ChannelState, Pause]:
    words, words_at, balance, balance_at, paused_at, paused_by, lately, lately_at, *untold = [
        text(one or b"") for one in said
    ]
    stand = standing(stands[2])
    state = ChannelState(
        name,
        stand,
        *in_the_last_hour(figures),
        words=words,
        words_at=int(words_at or 0),
        balance=balance,
        balance_at=int(balance_at or 0),
        lately=tuple(lately.split()),
        lately_at=int(lately_at or 0),
        untold=tuple(_untold(untold)),
    )
    return state, Pause(f"channel:{name}", stand.paused_until, int(paused_at or 0), paused_by)


def _untold(kept: Sequence[str]) -> Iterator[Untold]:
    for what, one in zip(_ASKED_FOR, kept, strict=True):
        if one:
            since, _, words = one.partition(" ")
            yield Untold(what, int(since), words)


def _room_at(nth: Sequence[tuple[bytes, float]], window: Window) -> int:
    return int(nth[0][1]) + window.seconds * 1000 if nth else 0
