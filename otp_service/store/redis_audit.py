"""`RedisAudit`: the AuditTrail of `ports`: one stream. Its keys never reach Redis, so Redis can't forge an entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis
import structlog

from otp_service.audit import Act, Entry
from otp_service.keyring import Keyring
from otp_service.ports import StoreDown
from otp_service.retention import Retention
from otp_service.store.connection import asked
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script

_LOG = structlog.get_logger("otp_service.store")

MOST_ACTS = 100_000
"""The latest that are kept, however young: some 40 MB."""
_PAGE = 1000
_MOVES = 16
"""How often an act is linked anew behind those of others before it gives up."""


class RedisAudit:
    def __init__(
        self,
        client: redis.Redis,
        keyring: Keyring,
        prefix: str = "otp",
        retention: Retention = Retention(),  # noqa: B008 # it is frozen
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
        most: int = MOST_ACTS,
    ) -> None:
        self._client = client
        self._keyring = keyring
        self._key = Keys(prefix).audit()
        self._keep_ms = retention.audit
        self._scripts = scripts
        self._most = most

    def record_act(self, act: Act) -> Entry:
        for _ in range(_MOVES):
            now, tail = self._run("audit_tail")
            entry = self._sealed(act.fit_to_keep(), int(now), _entry(tail[0][1]) if tail else None)
            behind = text(tail[0][0]) if tail else ""
            if self._run("audit_add", behind, self._keep_ms, self._most, *_fields(entry)):
                _log(entry)
                return entry
        raise StoreDown("others write down their acts at this moment; try again")

    def acts(self, since: int = 0) -> Iterator[Entry]:
        start = str(max(since, 0))
        while page := self._page(start):
            yield from (_entry(fields) for _, fields in page)
            start = f"({text(page[-1][0])}"

    def _page(self, start: str) -> Any:
        return asked(lambda: self._client.xrange(self._key, start, count=_PAGE))

    def _sealed(self, act: Act, now: int, before: Entry | None) -> Entry:
        kid = self._keyring.current
        number, previous = (before.number + 1, before.link) if before else (1, "")
        bare = Entry(number, now, act, kid, previous)
        return Entry(number, now, act, kid, previous, self._keyring.audit_seal(kid, bare.link))

    def _run(self, name: str, *arguments: str | int) -> Any:
        # Asked once: when the reply is lost, the act is not done, and its entry says no more than that it was begun.
        return asked(lambda: self._client.eval(self._scripts[name].text, 1, self._key, *arguments))


def _fields(entry: Entry) -> Iterator[str | int]:
    act = entry.act
    yield from ("n", entry.number, "at", entry.at, "actor", act.actor, "act", act.name, "target", act.target)
    yield from ("outcome", act.outcome, "reason", act.reason, "kid", entry.kid)
    yield from ("previous", entry.previous, "seal", entry.seal)


def _entry(fields: Mapping[bytes, bytes] | list[bytes]) -> Entry:
    """Whatever lies there: what is none of ours has a seal that does not fit, and so is found."""
    if isinstance(fields, list):
        fields = dict(zip(fields[::2], fields[1::2], strict=False))
    said = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    words = [said.get(name, "") for name in ("actor", "act", "target", "outcome", "reason")]
    sealed = [said.get(name, "") for name in ("kid", "previous", "seal")]
    return Entry(_number(said.get("n")), _number(said.get("at")), Act(*words), *sealed)


def _number(written: str | None) -> int:
    return int(written) if written and written.isdecimal() and len(written) < 20 else 0


def _log(entry: Entry) -> None:
    """By this line the trail can be held against the log, which who alters Redis does not have."""
    act = entry.act
    _LOG.info(
        "audit", id=entry.name, actor=act.actor, act=act.name, target=act.target, outcome=act.outcome, reason=act.reason
    )
