"""`RedisPersonalData`: the PersonalData of `ports`. Names are computed; verifications alone are looked for (`Look`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import redis

from otp_service.events import Webhook
from otp_service.keyring import Keyring, VerificationId
from otp_service.ports import Busy, Erased, Held, HeldVerification, Holding, StoreDown, Subject
from otp_service.store.connection import asked
from otp_service.store.entries import GROUP
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.store.look import Look
from otp_service.store.rows import latest_of, text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script
from otp_service.store.sweep import Sweep
from otp_service.store.tries import named

AT_ONCE = 400
"""Verifications that one step forgets: Lua takes some 8,000 keys and arguments in one call."""
_MOVES = 16
"""How often an erasure begins anew because somebody started a verification meanwhile."""
_FACTS = ("locale", "bindings", "deliver", "channel", "buckets", "device")
_T = TypeVar("_T")
_Keys = tuple[str, str, str, str]


class _Named(NamedTuple):
    """What names verifications of one recipient, by its key: who starts one meanwhile changes one of these."""

    lists: Mapping[str, str]
    """Ids, by spaces."""
    scopes: Mapping[str, str]
    """One id, or none."""

    def keys(self) -> list[str]:
        return [*self.lists, *self.scopes]

    def texts(self) -> list[str]:
        return [*self.lists.values(), *self.scopes.values()]

    def ids(self) -> set[str]:
        return {id for text in self.texts() for id in text.split()}


class RedisPersonalData:
    def __init__(
        self,
        client: redis.Redis,
        keyring: Keyring,
        prefix: str = "otp",
        channels: Sequence[str] = (),
        webhooks: Sequence[Webhook] = (),
        scripts: Mapping[str, Script] = DEFAULT_SCRIPTS,
        at_once: int = AT_ONCE,
    ) -> None:
        self._client: Any = client
        self._keyring = keyring
        self._keys = Keys(prefix)
        self._channels = channels
        self._webhooks = webhooks
        self._scripts = scripts
        self._at_once = at_once

    # --- looking --------------------------------------------------------------------------------------------------

    def held(self, subject: Subject) -> Held:
        answer: Held = asked(lambda: self._held(subject))
        return answer

    def _held(self, subject: Subject) -> Held:
        now = int(self._client.eval(self._scripts["now"].text, 0))
        sweep = self._sweep(subject)
        look = self._look(sweep)
        verifications = [self._verification(id) for id in look.verifications]
        holdings = [*self._limits(subject, now), *self._facts(subject, now)]
        known = {key for _, _, key in self._limit_keys(subject)}
        for scope in look.scopes.values():
            if scope not in known:
                holdings += self._cooldown(scope, "", now)
        waiting, unknown = sweep.held()
        return Held(now, verifications, [*holdings, *waiting], [*look.unknown, *unknown])

    def _verification(self, id: VerificationId) -> HeldVerification:
        tries = [named(kept) for kept in self._client.lrange(self._keys.tries(id.partition, id.text), 0, -1)]
        record = self._keys.record(id.partition, id.text)
        fields = [RECORD[name] for name in ("client", *_FACTS)]
        client, *kept = (text(value or b"") for value in self._client.hmget(record, *fields))
        facts = {name: value for name, value in zip(_FACTS, kept, strict=True) if value}
        return HeldVerification(client, id.text, facts, tries)

    def _cooldown(self, key: str, client: str, now: int) -> Iterator[Holding]:
        until, sends = map(int, (self._client.get(key) or b"0 0 ").rpartition(b" ")[0].split())
        if until:
            yield Holding("cooldown", client, now + max(self._client.pttl(key), 0), sends, (until,))

    def _limits(self, subject: Subject, now: int) -> Iterator[Holding]:
        """What counts against the limits."""
        for kind, client, key in self._limit_keys(subject):
            yield from self._cooldown(key, client, now) if kind == "cooldown" else self._key(kind, client, key, now)

    def _facts(self, subject: Subject, now: int) -> Iterator[Holding]:
        """What makes things easier for whoever asks, and for the recipient."""
        for kind, client, key in self._fact_keys(subject):
            yield from self._key(kind, client, key, now)

    def _key(self, kind: str, client: str, key: str, now: int) -> Iterator[Holding]:
        sizes: dict[bytes, Callable[[], int]] = {
            b"zset": lambda: self._client.zcard(key),
            b"hash": lambda: self._client.hlen(key),
            b"list": lambda: self._client.llen(key),
            b"string": lambda: _count(self._client.get(key)),
        }
        type = self._client.type(key)
        if type in sizes:
            scores = self._client.zrange(key, 0, -1, withscores=True) if type == b"zset" else []
            until = now + max(self._client.pttl(key), 0)
            yield Holding(kind, client, until, sizes[type](), [int(score) for _, score in scores])

    # --- erasing --------------------------------------------------------------------------------------------------

    def erase(self, subject: Subject, also_limits: bool = False) -> Erased:
        answer: Erased = asked(lambda: self._erase(subject, also_limits))
        return answer

    def _erase(self, subject: Subject, also_limits: bool) -> Erased:
        sweep = self._sweep(subject)
        look = self._look(sweep)
        if look.unknown:
            raise StoreDown("not all of it can be read")
        # Before the tries go, for they alone lead to these names: whoever is interrupted and begins again finds none.
        expected = sweep.unexpect(self._names(self._tries_of(look)))
        counts, tries = self._forget(subject, look, also_limits)
        counts.update(sweep.erase(self._names(tries)))
        counts["expected_report"] += expected
        now = int(self._client.eval(self._scripts["now"].text, 0))
        return Erased(counts, list(self._limits(subject, now)))

    def _tries_of(self, look: Look) -> list[Any]:
        keys = [self._keys.tries(id.partition, id.text) for id in look.verifications]
        return [named(kept) for key in keys for kept in self._client.lrange(key, 0, -1)]

    def _names(self, tries: Sequence[Any]) -> frozenset[str]:
        """By which gateways' reports find them."""
        said = ((one["channel"], one.get("gateway_id")) for one in tries)
        return frozenset(self._keyring.report(channel, id) for channel, id in said if id)

    def _forget(self, subject: Subject, look: Look, also_limits: bool) -> tuple[dict[str, int], list[Any]]:
        """In steps of a bounded size. The last takes the lists, and whoever started meanwhile has changed one, or a
        scope."""
        counts = dict.fromkeys(("key", "verification", "pending", "cooldown"), 0)
        tries: list[Any] = []
        found = {id.text: id for id in (*look.verifications, *look.scopes)}
        for _ in range(_MOVES):
            now = _Named(self._lists(subject), self._fours(subject))
            fresh = now.ids() - found.keys()
            found |= {id: parsed for id in sorted(fresh) if (parsed := self._keyring.parse_id(id))}
            ids = list(found.values())
            steps = [ids[n : n + self._at_once] for n in range(0, len(ids), self._at_once)] or [[]]
            for step in steps:
                last = step is steps[-1]
                watched, goes = (now, self._goes(subject, also_limits)) if last else (_Named({}, {}), [])
                result, *numbers = self._step(subject, watched, goes, self._records(step, look), also_limits)
                if result == b"moved":
                    break
                for kind, number in zip(counts, numbers, strict=False):
                    counts[kind] += int(number)
                tries += [named(kept) for kept in numbers[-1]]
            else:
                counts["try"] = len(tries)
                # Without the limits, a cooldown only forgot what it was for.
                return counts if also_limits else {**counts, "cooldown": 0}, tries
        raise Busy

    def _step(
        self, subject: Subject, watched: _Named, goes: Sequence[str], records: Mapping[str, _Keys], all: bool
    ) -> Any:
        partition = subject.partition
        keys = [self._keys.due(partition), self._keys.events(partition)]
        keys += [self._keys.outbox(partition), self._keys.later(partition), *watched.keys(), *goes]
        for of_record in records.values():
            keys += of_record
        counts = (len(watched.lists), len(watched.keys()), len(goes), int(all))
        arguments = [GROUP, *counts, *watched.texts(), *records]
        return self._client.eval(self._scripts["erase"].text, len(keys), *keys, *arguments)

    def _records(self, ids: Sequence[VerificationId], look: Look) -> dict[str, _Keys]:
        """Keys of each verification, by its id: record, tries, who waits, scope."""
        found = {}
        for id in ids:
            record = self._keys.record(id.partition, id.text)
            scope = text(self._client.hget(record, RECORD["scope"]) or b"")
            named = self._keys.scope(id.partition, scope) if scope else look.scopes.get(id, record)
            found[id.text] = (
                record,
                self._keys.tries(id.partition, id.text),
                self._keys.waiting(id.partition, id.text),
                named,
            )
        return found

    def _lists(self, subject: Subject) -> dict[str, str]:
        """Each client's look-up list as it stands, by its key."""
        keys = [self._keys.recent(subject.partition, owner) for owner in subject.owners.values()]
        return {key: " ".join(text(id) for id in self._client.lrange(key, 0, -1)) for key in keys}

    def _fours(self, subject: Subject) -> dict[str, str]:
        """Which id each scope without a session names, by its key: a list does not hold that one."""
        keys = [self._keys.scope(subject.partition, scope) for scope in subject.scopes]
        return {key: latest_of(self._client.get(key)) for key in keys}

    def _goes(self, subject: Subject, also_limits: bool) -> list[str]:
        limits = self._limit_keys(subject) if also_limits else ()
        return [key for _, _, key in (*self._fact_keys(subject), *limits)]

    # --- names ----------------------------------------------------------------------------------------------------

    def _limit_keys(self, subject: Subject) -> Iterator[tuple[str, str, str]]:
        partition, recipient = subject.partition, subject.recipient
        yield "recipient", "", self._keys.recipient(partition, recipient)
        for channel in self._channels:
            yield f"channel:{channel}", "", self._keys.recipient_at(partition, channel, recipient)
        for client, owner in subject.owners.items():
            yield "failures", client, self._keys.failures(partition, owner)
            yield "failures_in_a_row", client, self._keys.failed(partition, owner)
            yield "suppressed", client, self._keys.suppressed(partition, owner)
        for scope, client in subject.scopes.items():
            yield "cooldown", client, self._keys.scope(partition, scope)

    def _fact_keys(self, subject: Subject) -> Iterator[tuple[str, str, str]]:
        """A device's own wrong codes go with the device: it is a stranger's then, and counts as one."""
        partition = subject.partition
        yield "approved", "", self._keys.approved(partition, subject.recipient)
        for client, owner in subject.owners.items():
            yield "lookup", client, self._keys.recent(partition, owner)
            devices = self._keys.devices(partition, owner)
            yield "devices", client, devices
            for device in self._client.zrange(devices, 0, -1):
                yield "failures_of_device", client, self._keys.device_failures(partition, owner, text(device))

    def _look(self, sweep: Sweep) -> Look:
        return Look.of(self._client, self._keys, self._keyring, sweep)

    def _sweep(self, subject: Subject) -> Sweep:
        return Sweep(self._client, self._keys, self._keyring, self._scripts, self._webhooks, subject)


def _count(value: bytes | None) -> int:
    return int(value) if value and value.isdigit() else 1
