"""`RedisStore`: the Store of `ports`, one script a transition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

import redis

from otp_service.keyring import VerificationId
from otp_service.ports import (
    Attempt,
    Bucket,
    Charge,
    Claim,
    Disabled,
    NewRecord,
    OtherLength,
    Prior,
    Refused,
    Row,
    SendTerms,
    Sent,
    Sky,
    StoreDown,
    Unbound,
    View,
)
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.store.lane import Asks
from otp_service.store.line import Arguments, Line
from otp_service.store.rows import buckets, latest_of, row, text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script
from otp_service.store.sky import read_sky
from otp_service.store.terms import answered, approval, arguments_of
from otp_service.store.tries import named

SUPPRESSED_SECONDS = 2 * 365 * 86400
"""By then most numbers that were given up have another owner."""
_PIECE = 1.0


class RedisStore:
    """Threads share one; each call takes a connection of its own for its one round trip."""

    def __init__(
        self,
        client: redis.Redis,
        prefix: str = "otp",
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
        lane: Asks | None = None,
        replica_within: int = 0,
    ) -> None:
        self._line = Line(client, scripts, lane, replica_within)
        self._keys = Keys(prefix)

    # --- a verification's transitions -----------------------------------------------------------------------------

    def start(self, record: NewRecord, current: VerificationId | None, terms: SendTerms) -> Sent:
        id = record.id
        partition = id.partition
        key = self._keys.record(partition, id.text)
        keys = [
            self._keys.scope(partition, record.scope),
            key,
            self._keys.record(partition, current.text) if current else key,
            self._keys.recent(partition, terms.owner),
            *self._send_keys(id, terms),
        ]
        arguments: list[str | bytes | int] = [
            id.text,
            current.text if current else "",
            record.context,
            int(record.deliver),
            record.ttl,
            int(record.in_session),
            *arguments_of(terms),
        ]
        for name, value in record.fields.items():
            arguments += (RECORD[name], value)
        return answered(self._line.run("start", keys, arguments))

    def resend(self, id: VerificationId, client: str, scope: str, terms: SendTerms) -> Sent:
        keys = [
            self._keys.scope(id.partition, scope),
            self._keys.record(id.partition, id.text),
            *self._send_keys(id, terms),
        ]
        return answered(self._line.run("resend", keys, [id.text, client, *arguments_of(terms)]))

    def check(self, attempt: Attempt) -> Row | Refused | Disabled | Unbound | OtherLength:
        id, owner, partition = attempt.id, attempt.owner, attempt.id.partition
        keys = [
            self._keys.record(partition, id.text),
            self._keys.due(partition),
            self._keys.events(partition),
            self._keys.failures(partition, owner),
            self._keys.device_failures(partition, owner, attempt.device),
            self._keys.devices(partition, owner),
            self._keys.failed(partition, owner),
            self._keys.prefix(partition, id.prefix),
            self._keys.approved(partition, id.recipient),
            self._keys.guarded_prefix(partition, id.prefix),
        ]
        arguments: list[str | bytes | int] = [
            attempt.nonce,
            id.text,
            attempt.client,
            attempt.purpose,
            attempt.bindings,
            int(attempt.wrong),
            attempt.windows,
            attempt.disable_after,
            attempt.device,
            attempt.braked,
            attempt.code_length,
            attempt.guard,
        ]
        for kid, digest in attempt.digests:
            arguments += (kid, digest)
        reply = self._line.run("check", keys, arguments)
        if reply[0] == b"unbound":
            return Unbound(text(reply[1]), row(reply[2]))
        if reply[0] == b"length":
            return OtherLength(row(reply[1]))
        if len(reply) > 4 and reply[3]:
            self._give_back(buckets(text(reply[3])), [id.nonce, *map(text, reply[4])])
        if len(reply) > 5:
            return row(reply, approval(reply[5]))
        return cast(Row | Refused | Disabled, answered(reply))

    def _give_back(self, charged: Sequence[Bucket], nonces: Sequence[str]) -> None:
        """An approval's sends no longer count for their address. Over-counting is allowed, a lost approval is not."""
        with suppress(StoreDown):
            self._uncount([bucket for bucket in charged if bucket.limit == "client_ip"], *nonces)

    def latest(self, partition: int, scope: str) -> str:
        return latest_of(self._line.call("GET", self._keys.scope(partition, scope)))

    def cancel(self, id: VerificationId, client: str) -> Row:
        keys = [
            self._keys.record(id.partition, id.text),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
        ]
        return row(self._line.run("cancel", keys, [id.text, client]))

    def view(self, id: VerificationId, client: str) -> View:
        keys = [
            self._keys.record(id.partition, id.text),
            self._keys.tries(id.partition, id.text),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
        ]
        reply = self._line.run("view", keys, [id.text, client])
        seen = row(reply)
        scope, charged, device, to, seed, binding, counter, deliver, channel = reply[4]
        return View(
            row=seen,
            tries=[named(kept) for kept in reply[3]],
            scope=text(scope),
            buckets=tuple({one.limit: one for one in buckets(text(charged or b""))}.values()),
            device=text(device or b""),
            to=to,
            seed=seed,
            binding=binding,
            counter=int(counter or 0),
            deliver=deliver is None,
            channel=text(channel or b""),
        )

    def use_token(self, id: VerificationId, client: str, token: str, nonce: str, consume: bool) -> Row | None:
        reply = self._line.run(
            "token", [self._keys.record(id.partition, id.text)], [nonce, client, token, int(consume)]
        )
        return None if reply[0] == b"used" else row(reply)

    def recent(self, partition: int, owner: str, scopes: Sequence[str]) -> Sequence[str]:
        fours = [self._keys.scope(partition, scope) for scope in scopes]
        listed, *latest = self._line.call_each(
            [("LRANGE", self._keys.recent(partition, owner), "0", "-1"), *(("GET", key) for key in fours)]
        )
        ids = [*map(latest_of, latest), *map(text, listed)]
        return list(dict.fromkeys(filter(None, ids)))

    def await_outcome(self, id: VerificationId, seconds: float) -> None:
        """Asked for in pieces: an answer of Redis may take no longer than the connection allows."""
        key, ends = self._keys.waiting(id.partition, id.text), time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._line.call("BLPOP", key, f"{min(left, _PIECE):.3f}"):
                return

    def suppress(self, partition: int, owner: str, lift: bool = False) -> None:
        key = self._keys.suppressed(partition, owner)
        self._line.call(*(("DEL", key) if lift else ("SET", key, "1", "EX", str(SUPPRESSED_SECONDS))))

    # --- what lives on other partitions ---------------------------------------------------------------------------

    def claim(self, name: str, request: str, nonce: str) -> Claim:
        held, first, answer = self._line.run("claim", [self._keys.claim(name)], [request, nonce])
        return Claim(text(held), text(first), answer)

    def keep(self, name: str, request: str, nonce: str, answer: bytes) -> None:
        self._line.run("keep", [self._keys.claim(name)], [request, nonce, answer])

    def release(self, name: str, nonce: str) -> None:
        self._line.run("release", [self._keys.claim(name)], [nonce])

    def charge(self, charges: Sequence[Charge], nonce: str) -> Prior:
        waits = [int(reply) for reply in self._line.run_each([self._charging(one, nonce) for one in charges])]
        longest = max(range(len(waits)), key=waits.__getitem__)
        return Prior(charges[longest].bucket.limit, waits[longest]) if waits[longest] else Prior()

    def _charging(self, charge: Charge, nonce: str) -> tuple[str, Sequence[str], Arguments]:
        limit, name = charge.bucket.limit, charge.bucket.name
        if charge.cap:
            return "spend", self._spend_keys(limit, name, nonce), (charge.cap, charge.price)
        return "charge", [self._keys.bucket(limit, name)], (charge.windows, nonce)

    def refund(self, charges: Sequence[Charge], nonce: str) -> None:
        windows = [one.bucket for one in charges if not one.cap]
        self._uncount(windows, nonce)
        spent = [self._spend_keys(one.bucket.limit, one.bucket.name, nonce) for one in charges if one.cap]
        if spent:
            self._line.run_each([("unspend", keys, ()) for keys in spent])

    def _uncount(self, buckets: Sequence[Bucket], *nonces: str) -> None:
        if buckets:
            self._line.call_each([("ZREM", self._keys.bucket(one.limit, one.name), *nonces) for one in buckets])

    def _spend_keys(self, limit: str, name: str, nonce: str) -> list[str]:
        return [self._keys.spent(limit, name), self._keys.spent_by(limit, name, nonce)]

    def brake(self, client: str, failed: int, approved: int) -> int:
        return int(self._line.run("brake", [self._keys.brake(client)], [failed, approved]))

    def failed(self, partition: int, owner: str) -> int:
        return int(self._line.call("GET", self._keys.failed(partition, owner)) or 0)

    def enable(self, partition: int, owner: str) -> None:
        self._line.call("DEL", self._keys.failed(partition, owner))

    def now(self) -> int:
        return int(self._line.run("now", [], []))

    def sky(self, channels: Sequence[str]) -> Sky:
        replies = [self._line.run("standing", [self._keys.channel(name)], []) for name in channels]
        pauses = self._line.call("HGETALL", self._keys.pauses())
        return read_sky(channels, replies, pauses)

    # --- names ----------------------------------------------------------------------------------------------------

    def _send_keys(self, id: VerificationId, terms: SendTerms) -> list[str]:
        """In the order of `send_keys` in `lua/sends.lua`, then one a channel that has windows."""
        keys, partition, owner = self._keys, id.partition, terms.owner
        return [
            keys.recipient(partition, id.recipient),
            keys.outbox(partition),
            keys.later(partition),
            keys.due(partition),
            keys.events(partition),
            keys.suppressed(partition, owner),
            keys.prefix(partition, id.prefix),
            keys.approved(partition, id.recipient),
            keys.devices(partition, owner),
            keys.failed(partition, owner),
            keys.guarded_prefix(partition, id.prefix),
            keys.guarded(partition),
            *(keys.recipient_at(partition, channel, id.recipient) for channel, _ in terms.channel_windows),
        ]
