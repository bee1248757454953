"""The sends that wait to be delivered, and the steps of a delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """When the send was asked for, however often it was put off since."""
    turn: int = 1
    """How often it was handed out: who has a later turn has taken it over from one that is thought dead."""
    route: tuple[str, ...] = ()
    """Names of the channels that may carry it, as the start found them."""
    recipient: str = ""
    """Fingerprint."""
    avoid: str = ""
    """The channel to try last."""
    request_id: str = ""
    """Of the request that asked for it."""


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
    client: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that may be asked next, and the windows that it keeps for the recipient."""

    channel: str
    windows: str = ""
    """As `5/3600000 10/86400000`."""
    strict: bool = False
    """False: full windows only put it behind the others."""


@dataclass(frozen=True, slots=True)
class NoChannel:
    """No channel may try now."""

    may_have_sent: bool
    retryable: bool
    """At least one channel said "later"."""
    left: int
    """Milliseconds that the verification still lives."""
    full: Mapping[str, int] = field(default_factory=dict)
    """Channels that are full for this number, each with the milliseconds until it has room."""
    closed: frozenset[str] = frozenset()
    """Channels that this send will not ask again."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A verification that has come to its end, and the channels that had carried it."""

    status: str
    channels: tuple[str, ...]


class ReportEnd(StrEnum):
    """What a report did."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    AGAIN = "again"
    """One more channel is tried."""
    LATE = "late"
    """Kept beside its try; the verification was over."""
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"
    """Another report had said the opposite: nothing changed."""
    ORPHAN = "orphan"
    """No such try is known (yet)."""


class TakeEnd(StrEnum):
    """Why no try begins: the send is over; the number can't be reached; another has it."""

    OVER = "over"
    STOP = "stop"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Pretend:
    """No try begins, as nobody is to get anything: who looks on must not tell (`deliver: false`)."""

    channel: str
    """The one that would be asked; "" where none would."""
    left: int
    """Milliseconds that the verification still lives."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a send that was only played leaves behind it, as one that its channel took."""

    channel: str
    windows: str
    """The channel's, for the recipient."""
    report: tuple[int, bool] | None
    """Milliseconds until its report, and whether that says that the message has arrived; None where none comes."""


class Verdict(StrEnum):
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    """Every channel said "later" until the code had too little life left."""
    LATER = "later"
    ACCEPTED = "accepted"


class Outbox(Protocol):
    """The sends that wait, as the members of one consumer group share them. All methods raise `StoreDown`."""

    async def open(self) -> None:
        """Make what is missing (the consumer group). May be called again."""
        ...

    async def read(self, count: int, block_ms: int) -> Sequence[Entry]:
        """Up to `count` a partition; waits `block_ms` for the first. What is unreadable is put aside."""
        ...

    async def last(self) -> Sequence[Entry]:
        """What was handed out and no `read` has returned: ask for it once when nothing more is read.

        Takes as long as the latest `read` might have waited.
        """
        ...

    async def reclaim(self, idle_ms: int, count: int) -> Sequence[Entry]:
        """Entries that their reader left for `idle_ms`; what was left too often is put with the dead letters."""
        ...

    async def renew(self, entries: Sequence[Entry]) -> None:
        """Say that these are still being worked on."""
        ...

    async def take(
        self, entry: Entry, fence: str, candidates: Sequence[Candidate], on_unknown: str
    ) -> Begun | NoChannel | Pretend | TakeEnd: ...

    async def record(self, entry: Entry, begun: Begun, fence: str, result: TryResult, took_ms: int) -> bool:
        """False when this try was recorded before, or is not this holder's."""
        ...

    async def expect_report(self, name: str, entry: Entry, begun: Begun) -> None:
        """Remember which try the gateway's id stands for, `name` being the keyed hash of channel and id."""
        ...

    async def report(self, name: str, recipient: str, delivered: bool, words: str) -> tuple[ReportEnd, str, int | None]:
        """Apply a report, and name the channel's try's verification ("" for an orphan).

        The third is how many milliseconds after its try it came, where that is how long one waits for such a report.

        `recipient` is the fingerprint of the number that the report names, "" where it names none: another number's
        report is an orphan.
        """
        ...

    async def recipient(self, entry: Entry) -> tuple[str, bytes] | None:
        """Key id and sealed number, while the verification pends."""
        ...

    async def settle(
        self, entry: Entry, fence: str, verdict: Verdict, delay_ms: int = 0, played: Played | None = None
    ) -> None: ...

    async def tell(self, entry: Entry) -> None:
        """The first try of a send that is only played has an outcome: whoever waits for it is told."""
        ...

    async def wake(self, count: int) -> tuple[int, Sequence[Finished]]:
        """Do what is due: end what has expired, queue what waited or was lost. How many were due, what had ended."""
        ...

    async def aclose(self) -> None: ...
