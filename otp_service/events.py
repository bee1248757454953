"""`Event`: something that callers may want to be told, and `Webhook`: who is told what.

An event never holds a code; of a number it holds the mask alone, sealed until the moment it is sent.
"""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OF_VERIFICATIONS = (
    "delivery.accepted",
    "delivery.delivered",
    "delivery.undelivered",
    "delivery.failed",
    "verification.approved",
    "verification.exhausted",
    "verification.expired",
)
OF_THE_INSTALLATION = ("channel.opened", "channel.closed", "balance.low")
TYPES = OF_VERIFICATIONS + OF_THE_INSTALLATION

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the same however often, and by whom, the event is read: it becomes the `webhook-id`."""

    id: str
    type: str
    at: int
    """Milliseconds since 1970, by Redis's clock."""
    client: str
    """Whose verification it is about; "" for one of the whole installation."""
    data: Mapping[str, Value]
    verification_id: str = ""
    kid: str = ""
    mask: bytes = field(default=b"", repr=False)
    """The number's mask, sealed under `kid` for this verification."""

    def body(self, to: str | None) -> bytes:
        """What is sent: JSON, the same bytes at each attempt. `to` is the mask, opened."""
        data: dict[str, Value] = {**self.data}
        if self.verification_id:
            data = {"verification_id": self.verification_id, "client": self.client, "to": to, **data}
        document = {"type": self.type, "timestamp": _rfc_3339(self.at), "data": data}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver, and what it is told."""

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """One, or two while one rotates: `whsec_…`."""
    client: str = ""
    """Whose events; "" for everybody's, and the installation's own."""
    events: tuple[str, ...] = ("*",)
    allow: frozenset[str] = frozenset()
    """"host:port" that are excepted from the rules on addresses."""

    def wants(self, event: Event) -> bool:
        """The installation's own events are nobody's in particular: a client's webhook is not told."""
        return self.hears(event.client) and matches(self.events, event.type)

    def hears(self, client: str) -> bool:
        """Whether events of this client can interest it."""
        return not self.client or self.client == client

    @property
    def url_name(self) -> str:
        """Names the URL in Redis: one that said 410 stays off until its address is another."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:32]


def matches(patterns: Iterable[str], type: str) -> bool:
    """`delivery.*` fits `delivery.accepted`."""
    return any(fnmatch.fnmatchcase(type, pattern) for pattern in patterns)


def _rfc_3339(at: int) -> str:
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
