"""A verification as callers see it: its words, its states and its tries. Pure data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

LOOKED_UP = 20
"""Verifications of one client and recipient that a look-up shows."""


class Status(StrEnum):
    """`PENDING`, then exactly one of the others, for good."""

    PENDING = "pending"
    APPROVED = "approved"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    CANCELED = "canceled"


class Delivery(StrEnum):
    """What became of the latest send: the first three in this order, then exactly one of the others."""

    QUEUED = "queued"
    TRYING = "trying"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


OPEN_DELIVERIES = frozenset({Delivery.QUEUED, Delivery.TRYING, Delivery.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Try:
    """One hand-over of a send to one channel."""

    send: int
    channel: str
    outcome: str | None
    """None while the gateway has not answered."""
    reason: str | None
    detail: str
    gateway_id: str
    at: int
    """Milliseconds since the epoch, Redis's clock."""
    took_ms: int | None
    report: str | None = None
    report_words: str = ""
    """The gateway's own, for the operator."""


class Verification(NamedTuple):
    """A snapshot at `now`. Times are milliseconds since the epoch, by Redis's clock."""

    id: str
    status: Status
    delivery: Delivery
    to: str
    """The mask, never the number."""
    purpose: str
    now: int
    created_at: int
    expires_at: int
    resend_at: int
    code_length: int
    attempts_left: int
    sends: int
    max_sends: int
    test: bool = False
    """A configured test number: nothing was or will be sent."""
    metadata: Mapping[str, str] | None = None
    tries: tuple[Try, ...] = ()

    @property
    def sends_left(self) -> int:
        return max(self.max_sends - self.sends, 0) if self.status is Status.PENDING else 0

    @property
    def expires_in(self) -> int:
        """Whole seconds left; 0 once it has ended."""
        return _seconds_until(self.expires_at, self.now) if self.status is Status.PENDING else 0

    @property
    def resend_in(self) -> int:
        """Whole seconds until the cooldown is over, rounded up."""
        return -(-max(self.resend_at - self.now, 0) // 1000)


def newest(seen: Iterable[Verification]) -> tuple[Verification, ...]:
    """The latest LOOKED_UP of them, the newest first."""
    return tuple(sorted(seen, key=attrgetter("created_at"), reverse=True)[:LOOKED_UP])


def _seconds_until(moment: int, now: int) -> int:
    return max(moment - now, 0) // 1000
