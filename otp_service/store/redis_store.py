"""`RedisStore`: the Store of `ports`, one script a transition."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.keyring import VerificationId
from otp_service.ports import (
    Attempt,
    Claim,
    Full,
    Missing,
    Moved,
    NewRecord,
    OtherLength,
    Refused,
    Row,
    SendTerms,
    Sky,
    StoreDown,
    Suppressed,
    Unbound,
    View,
)
from otp_service.store.connection import Lost
from otp_service.store.keys import Keys
from otp_service.store.rows import Reply, row, text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script
from otp_service.store.sky import read_sky

SUPPRESSED_SECONDS = 2 * 365 * 86400
"""By then most numbers that were given up have another owner."""
_PIECE = 1.0
_Arguments = Sequence[str | bytes | int]


class RedisStore:
    """Threads share one; each call takes a connection of its own for its one round trip."""

    def __init__(
        self, client: redis.Redis, prefix: str = "otp", scripts: Mapping[str, Script] = DEFAULT_SCRIPTS
    ) -> None:
        self._client = client
        self._keys = Keys(prefix)
        self._scripts = scripts

    # --- a verification's transitions -----------------------------------------------------------------------------

    def start(self, record: NewRecord, current: VerificationId | None, terms: SendTerms) -> Row | Refused | Moved:
        id = record.id
        partition = id.partition
        key = self._keys.record(partition, id.text)
        keys = [
            self._keys.scope(partition, record.scope),
            key,
            self._keys.record(partition, current.text) if current else key,
            *self._send_keys(id, terms),
            self._keys.recent(partition, id.owner),
            *self._channel_keys(partition, terms),
        ]
        arguments: list[str | bytes | int] = [
            id.text,
            current.text if current else "",
            record.context,
            int(record.deliver),
            record.ttl,
            *_terms(terms),
        ]
        for name, value in record.fields.items():
            arguments += (name, value)
        return _sent(self._run("start", keys, arguments))

    def resend(self, id: VerificationId, client: str, scope: str, terms: SendTerms) -> Row | Refused | Moved:
        keys = [
            self._keys.scope(id.partition, scope),
            self._keys.record(id.partition, id.text),
            *self._send_keys(id, terms),
            *self._channel_keys(id.partition, terms),
        ]
        return _sent(self._run("resend", keys, [id.text, client, *_terms(terms)]))

    def check(self, attempt: Attempt) -> Row | Refused | Unbound | OtherLength:
        id = attempt.id
        keys = [
            self._keys.record(id.partition, id.text),
            self._keys.failures(id.partition, id.owner),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
        ]
        arguments: list[str | bytes | int] = [
            attempt.nonce,
            id.text,
            attempt.client,
            attempt.purpose,
            attempt.bindings,
            int(attempt.wrong),
            attempt.windows,
            attempt.code_length,
        ]
        for kid, digest in attempt.digests:
            arguments += (kid, digest)
        reply = self._run("check", keys, arguments)
        if reply[0] == b"unbound":
            return Unbound(text(reply[1]))
        if reply[0] == b"length":
            return OtherLength(int(reply[1]))
        if len(reply) > 4 and reply[3]:
            self._give_back(text(reply[3]), [text(nonce) for nonce in reply[4]])
        return cast(Row | Refused, _sent(reply))

    def _give_back(self, client_ip: str, nonces: Sequence[str]) -> None:
        """An approval's sends no longer count for their address. Over-counting is allowed, a lost approval is not."""
        try:
            self._call("ZREM", self._keys.client_ip(client_ip), *nonces)
        except StoreDown:
            return

    def latest(self, partition: int, scope: str) -> str:
        return text(self._call("HGET", self._keys.scope(partition, scope), "id") or b"")

    def cancel(self, id: VerificationId, client: str) -> Row:
        keys = [
            self._keys.record(id.partition, id.text),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
        ]
        return row(self._run("cancel", keys, [id.text, client]))

    def view(self, id: VerificationId, client: str) -> View:
        keys = [
            self._keys.record(id.partition, id.text),
            self._keys.tries(id.partition, id.text),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
        ]
        reply = self._run("view", keys, [id.text, client])
        seen = row(reply)
        scope, client_ip, to, seed, binding, counter, deliver, channel = reply[4]
        return View(
            row=seen,
            tries=reply[3],
            scope=text(scope),
            client_ip=text(client_ip or b""),
            to=to,
            seed=seed,
            binding=binding,
            counter=int(counter),
            deliver=deliver == b"1",
            channel=text(channel),
        )

    def use_token(self, id: VerificationId, client: str, token: str, nonce: str, consume: bool) -> Row | None:
        reply = self._run("token", [self._keys.record(id.partition, id.text)], [nonce, client, token, int(consume)])
        return None if reply[0] == b"used" else row(reply)

    def recent(self, partition: int, owner: str) -> Sequence[str]:
        return [text(id) for id in self._call("LRANGE", self._keys.recent(partition, owner), "0", "-1")]

    def await_outcome(self, id: VerificationId, seconds: float) -> None:
        """Asked for in pieces: an answer of Redis may take no longer than the connection allows."""
        key, ends = self._keys.waiting(id.partition, id.text), time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._call("BLPOP", key, f"{min(left, _PIECE):.3f}"):
                return

    def suppress(self, partition: int, owner: str, lift: bool = False) -> None:
        key = self._keys.suppressed(partition, owner)
        self._call(*(("DEL", key) if lift else ("SET", key, "1", "EX", str(SUPPRESSED_SECONDS))))

    # --- what lives on other partitions ---------------------------------------------------------------------------

    def claim(self, name: str, request: str, nonce: str) -> Claim:
        held, first, answer = self._run("claim", [self._keys.claim(name)], [request, nonce])
        return Claim(text(held), text(first), answer)

    def keep(self, name: str, request: str, nonce: str, answer: bytes) -> None:
        self._run("keep", [self._keys.claim(name)], [request, nonce, answer])

    def release(self, name: str, nonce: str) -> None:
        self._run("release", [self._keys.claim(name)], [nonce])

    def charge(self, client_ip: str, windows: str, nonce: str) -> int:
        return int(self._run("charge", [self._keys.client_ip(client_ip)], [windows, nonce]))

    def refund(self, client_ip: str, nonce: str) -> None:
        self._call("ZREM", self._keys.client_ip(client_ip), nonce)

    def now(self) -> int:
        return int(self._run("now", [], []))

    def sky(self, channels: Sequence[str]) -> Sky:
        replies = [self._run("standing", [self._keys.channel(name)], []) for name in channels]
        pauses = self._call("HGETALL", self._keys.pauses())
        return read_sky(channels, replies, pauses)

    # --- the one way to Redis -------------------------------------------------------------------------------------

    def _send_keys(self, id: VerificationId, terms: SendTerms) -> list[str]:
        return [
            self._keys.recipient(id.partition, terms.recipient),
            self._keys.outbox(id.partition),
            self._keys.later(id.partition),
            self._keys.due(id.partition),
            self._keys.events(id.partition),
            self._keys.suppressed(id.partition, id.owner),
        ]

    def _channel_keys(self, partition: int, terms: SendTerms) -> list[str]:
        return [self._keys.recipient_at(partition, channel, terms.recipient) for channel, _ in terms.channel_windows]

    def _run(self, name: str, keys: Sequence[str], arguments: _Arguments) -> Any:
        return self._asked(name, lambda: self._evaluate(name, keys, arguments))

    def _call(self, *command: str) -> Any:
        return self._asked(command[0], lambda: self._client.execute_command(*command))  # type: ignore[no-untyped-call]

    def _asked(self, name: str, ask: Callable[[], Any]) -> Any:
        """Ask; once more when the reply is lost: what counts knows its request by a nonce, the rest may be repeated."""
        try:
            try:
                return ask()
            except RedisTimeoutError:
                raise  # a server that is silent now is not asked again on the person's time
            except RedisConnectionError:
                return ask()
        except Lost as error:
            raise StoreDown(f"{name}: {type(error).__name__}") from error

    def _evaluate(self, name: str, keys: Sequence[str], arguments: _Arguments) -> Any:
        script = self._scripts[name]
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return self._client.eval(script.text, len(keys), *keys, *arguments)


def _terms(terms: SendTerms) -> list[str | bytes | int]:
    """The order in which `sends.lua` reads them."""
    counter, digest = terms.rotated or ("", b"")
    return [
        terms.nonce,
        terms.windows,
        terms.cooldowns,
        terms.max_sends,
        terms.outbox_max,
        int(terms.queue),
        terms.channel,
        terms.avoid,
        terms.prior.limit,
        terms.prior.wait,
        counter,
        digest,
        " ".join(terms.route),
        terms.request_id,
        int(terms.wait),
        len(terms.channel_windows),
        *(windows for _, windows in terms.channel_windows),
    ]


def _sent(reply: Reply) -> Row | Refused | Moved:
    match reply[0]:
        case b"refused":
            return Refused(text(reply[1]), int(reply[2]), row(reply[3]) if reply[3] else None)
        case b"moved":
            return Moved(text(reply[1]))
        case b"full":
            raise Full
        case b"suppressed":
            raise Suppressed
        case b"missing":
            raise Missing
    return row(reply)
