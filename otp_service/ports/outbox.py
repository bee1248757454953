"""The sends that wait to be delivered, and the steps of a delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from otp_service.ports.channel import TryResult


@dataclass(frozen=True, slots=True)
class Entry:
    """One send that waits to be delivered."""

    partition: int
    entry: str
    """Its place in the stream."""
    id: str
    send: int
    at: int
    """When it was queued."""
    reclaimed: bool = False
    """Taken over from a worker that is thought dead."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A try that is written down as begun: the caller must now send, and record what it came to."""

    index: int
    channel: str
    now: int
    to: bytes
    """Sealed, as it stands in the record."""
    kid: str
    seed: bytes
    counter: int
    purpose: str
    locale: str
    expires: int
    code_length: int


@dataclass(frozen=True, slots=True)
class NoChannel:
    """No channel may try now."""

    may_have_sent: bool
    retryable: bool
    """At least one channel said "later"."""
    left: int
    """Milliseconds that the verification still lives."""


class TakeEnd(StrEnum):
    """Why no try begins: the send is over; the number can't be reached; another has it; it is to be played only."""

    OVER = "over"
    STOP = "stop"
    LOST = "lost"
    PRETEND = "pretend"


class Verdict(StrEnum):
    DONE = "done"
    FAILED = "failed"
    LATER = "later"
    ACCEPTED = "accepted"


class Outbox(Protocol):
    """The sends that wait, as the members of one consumer group share them. All methods raise `StoreDown`."""

    async def open(self) -> None:
        """Make what is missing (the consumer group). May be called again."""
        ...

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        """Up to `count` a partition; waits `block_ms` for the first, not at all for 0."""
        ...

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Entry]:
        """Entries that their reader left for `idle_ms`."""
        ...

    async def renew(self, entries: Sequence[Entry]) -> None:
        """Say that these are still being worked on."""
        ...

    async def take(
        self, entry: Entry, fence: str, channels: Sequence[str], on_unknown: str
    ) -> Begun | NoChannel | TakeEnd: ...

    async def record(self, entry: Entry, index: int, fence: str, result: TryResult, took_ms: int) -> bool:
        """False when this try was recorded before, or is not this holder's."""
        ...

    async def settle(self, entry: Entry, fence: str, verdict: Verdict, delay_ms: int = 0) -> None: ...

    async def wake(self, count: int) -> int:
        """Do what is due: end what has expired, queue what waited. How many were due."""
        ...

    async def aclose(self) -> None: ...
