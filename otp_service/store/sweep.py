"""`Sweep`: what waits in streams and queues and is about one recipient. It has no index: each is read through once.

The bounds of `keys.py` say how long that may take: 100,000 events of one partition and as many reports at the worst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis

from otp_service.events import Event, Webhook
from otp_service.keyring import Keyring
from otp_service.ports import Heard, Holding, Subject
from otp_service.store.cluster import Cluster
from otp_service.store.connection import Lost
from otp_service.store.entries import GROUP as WORKERS
from otp_service.store.event_rows import event_of, unpacked
from otp_service.store.heard_rows import heard_in, heard_of
from otp_service.store.keys import Keys
from otp_service.store.redis_events import GROUP as DISPATCHERS
from otp_service.store.redis_hooks import MOST_REMEMBERED, REMEMBERED_MS
from otp_service.store.redis_reports import GROUP as READERS
from otp_service.store.rows import text
from otp_service.store.scripts import Script

_PAGE = 1000
_Fields = Mapping[bytes, bytes]


class Sweep:
    """Of one subject. What goes to Redis may raise redis-py's errors: the caller translates."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        keyring: Keyring,
        scripts: Mapping[str, Script],
        webhooks: Sequence[Webhook],
        subject: Subject,
    ) -> None:
        self._client: Any = client
        self._keys = keys
        self._keyring = keyring
        self._scripts = scripts
        self._webhooks = webhooks
        self._subject = subject
        self._owners = frozenset(subject.owners.values())

    @property
    def partition(self) -> int:
        return self._subject.partition

    def is_about(self, id: str) -> bool:
        """Whether this is the id of a verification of this subject."""
        parsed = self._keyring.parse_id(id)
        return parsed is not None and parsed.recipient == self._subject.recipient

    # --- looking --------------------------------------------------------------------------------------------------

    def held(self) -> tuple[list[Holding], list[str]]:
        """And what could not be read, in words: what lies apart from the subject's partition, on a master that does
        not answer while that of the partition does."""
        found, unknown = list(self._of_partition()), list[str]()
        apart = {f"events that wait for the webhook {hook.name}": self._of_webhook(hook) for hook in self._webhooks}
        for what, holdings in {**apart, "reports and replies that wait": self._of_reports()}.items():
            try:
                found += list(holdings)
            except Lost:
                if not isinstance(self._client, Cluster):
                    raise
                unknown.append(what)
        return found, unknown

    def _of_partition(self) -> Iterator[Holding]:
        partition = self._subject.partition
        for _, fields in self._of_ids(self._keys.outbox(partition)):
            yield self._of(fields, "queued_send", int(fields.get(b"at", 0)))
        for _, fields in self._of_ids(self._keys.dead(partition)):
            yield self._of(fields, "dead_letter", int(fields.get(b"at", 0)))
        for _, fields in self._of_ids(self._keys.events(partition)):
            yield self._of(fields, "event", int(fields.get(b"at", 0)))

    def _of_webhook(self, webhook: Webhook) -> Iterator[Holding]:
        for event in self._hooks(webhook):
            about = f"{webhook.name} {event.verification_id}"
            yield Holding("webhook_event", event.client, moments=(event.at,), about=about)

    def _of_reports(self) -> Iterator[Holding]:
        for heard in self._heard():
            yield Holding("report" if heard.wish is None else "reply", about=heard.channel)

    def _of(self, fields: _Fields, kind: str, at: int) -> Holding:
        return Holding(kind, text(fields.get(b"client", b"")), moments=(at,) if at else (), about=text(fields[b"id"]))

    def _heard(self) -> Iterator[Heard]:
        for _, fields in self._entries(self._keys.reports()):
            if (heard := heard_in(fields)) and self._is_about(heard, frozenset()):
                yield heard
        for row in self._orphans():
            if (heard := heard_of(row)) and self._is_about(heard, frozenset()):
                yield heard

    # --- erasing --------------------------------------------------------------------------------------------------

    def erase(self, names: frozenset[str]) -> dict[str, int]:
        """`names` are those by which gateways' reports find this subject's tries."""
        partition = self._subject.partition
        outbox, dead, events = self._keys.outbox(partition), self._keys.dead(partition), self._keys.events(partition)
        # Events before webhooks: what leaves the one for the other meanwhile is found there.
        told = list(self._of_ids(events))
        known = [event.id for entry, fields in told if (event := event_of(events, entry, fields))]
        dropped = sum(self._drop(webhook, known) for webhook in self._webhooks)
        return {
            "queued_send": self._take_out(outbox, WORKERS, self._of_ids(outbox)),
            "dead_letter": self._take_out(dead, "", self._of_ids(dead)),
            "event": self._take_out(events, DISPATCHERS, told),
            "webhook_event": dropped,
            "report": self._reports(names),
            "expected_report": self.unexpect(names),
        }

    def unexpect(self, names: frozenset[str]) -> int:
        return sum(int(self._client.unlink(self._keys.expected_report(name))) for name in names)

    def _drop(self, webhook: Webhook, known: Sequence[str]) -> int:
        keys = [self._keys.hooks_due(webhook.name), self._keys.hooks(webhook.name), self._keys.hooks_done(webhook.name)]
        ids = [*known, *(event.id for event in self._hooks(webhook))]
        dropped = 0
        for page in _pages(ids):
            arguments = [*keys, REMEMBERED_MS, MOST_REMEMBERED, *page]
            dropped += int(self._client.eval(self._scripts["hook_drop"].text, len(keys), *arguments))
        return dropped

    def _reports(self, names: frozenset[str]) -> int:
        """Reports, and no replies: what a person answered is still to be heeded."""

        def goes(heard: Heard | None) -> bool:
            return heard is not None and heard.wish is None and self._is_about(heard, names)

        stream, orphans = self._keys.reports(), self._keys.orphans()
        waiting = ((entry, fields) for entry, fields in self._entries(stream) if goes(heard_in(fields)))
        gone = self._take_out(stream, READERS, waiting)
        rows = [row for row in self._orphans() if goes(heard_of(row))]
        return gone + sum(int(self._client.zrem(orphans, *page)) for page in _pages(rows))

    def _take_out(self, stream: str, group: str, found: Any) -> int:
        gone = 0
        for page in _pages([entry for entry, _ in found]):
            # Deleted first: an entry that were acknowledged and then left would stay for ever.
            gone += self._client.xdel(stream, *page)
            if group:
                self._client.xack(stream, group, *page)
        return gone

    # --- reading through ------------------------------------------------------------------------------------------

    def _of_ids(self, stream: str) -> Iterator[tuple[str, _Fields]]:
        for entry, fields in self._entries(stream):
            if self.is_about(fields.get(b"id", b"").decode(errors="replace")):
                yield entry, fields

    def _entries(self, stream: str) -> Iterator[tuple[str, _Fields]]:
        start = "-"
        while page := self._client.xrange(stream, start, count=_PAGE):
            for entry, fields in page:
                yield text(entry), fields
            start = f"({text(page[-1][0])}"

    def _hooks(self, webhook: Webhook) -> Iterator[Event]:
        for name, row in self._client.hscan_iter(self._keys.hooks(webhook.name), count=_PAGE):
            event = None if name.startswith(b"n:") else unpacked(text(name), row)
            if event and self.is_about(event.verification_id):
                yield event

    def _orphans(self) -> Iterator[bytes]:
        for row, _ in self._client.zscan_iter(self._keys.orphans(), count=_PAGE):
            yield row

    def _is_about(self, heard: Heard, names: frozenset[str]) -> bool:
        ours = heard.recipient == self._subject.recipient or heard.name in names
        return ours or not self._owners.isdisjoint(heard.owners)


def _pages(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[n : n + _PAGE] for n in range(0, len(items), _PAGE))
