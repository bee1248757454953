"""What the pumping guard keeps in the store, and what it is told. Moments are milliseconds, Redis's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otp_service.pumping import Level, Mode, Suspicion, Terms


@dataclass(frozen=True, slots=True)
class Hold:
    """A country, in those of its prefixes that nobody was ever approved in, or a prefix to which nothing should go."""

    reason: Suspicion
    until: int
    since: int
    tally: str
    """What was judged, as `approved/ended`."""


@dataclass(slots=True)  # to make a frozen one takes three times as long
class GuardTerms:
    """What a send is held against: everything a script needs, so that it computes no name and no number."""

    terms: str
    """As scripts read them: `pumping.Terms.text`."""
    region: str
    mode: Mode
    """`monitor`: what should not be made is made, and not counted, as if it had not been. `challenge`: it is answered
    by `Suspicious`, and made and counted when it is asked for as `excused`. `block`: it is `Refused`."""
    excused: bool = False
    held: Hold | None = None
    """The country's, if any: it is for prefixes in which nobody was approved."""
    prefix: str = ""
    """Its name in Redis."""
    kid: str = ""
    mask: bytes = field(default=b"", repr=False)
    """The prefix's, sealed under `kid`: for those who look at blocks."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guard made of one send."""

    noted: str = ""
    """`known`: to a recipient that was approved here; `new`: to a prefix in which nobody was; `proven`: to another."""
    level: Level | None = None
    reason: Suspicion | None = None
    """Against this send; None when it may be made."""
    began: str = ""
    """The tally, as `approved/ended`, when a block of the prefix began with this very send."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Of a verification whose sends the guard has counted."""

    noted: str
    """As it was said of its first send."""
    region: str
    ends: int
    """When the verification would have ended."""
    sends: int


@dataclass(frozen=True, slots=True)
class Suspicious:
    """The send should not be made unless a person is seen to be behind it. Nothing was counted or written."""

    wait: int
    """Milliseconds after which it may be tried without."""
    guarded: Guarded | None


@dataclass(frozen=True, slots=True)
class Noted:
    """What one process counted since it last told. Keys of `sends` are region and the moment at which they end."""

    sends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    approvals: Sequence[tuple[str, int, int]] = ()
    """Region, the moment at which the verification would have ended, and its sends."""
    known_sends: int = 0
    known_approvals: int = 0

    @property
    def regions(self) -> frozenset[str]:
        return frozenset({region for region, _ in self.sends} | {region for region, _, _ in self.approvals})


@dataclass(frozen=True, slots=True)
class Countries:
    """How the countries stand at the moment `now`."""

    now: int = 0
    held: Mapping[str, Hold] = field(default_factory=dict)
    known_sends: int = 0
    """To known recipients, in the last five minutes, over the whole installation."""
    known_approvals: int = 0


class GuardLedger(Protocol):
    """Where every process tells what it noted, and learns what all of them did. Raises `StoreDown`."""

    def countries(self, noted: Noted, looked_at: frozenset[str], terms: Terms) -> Countries:
        """Count what was noted; judge those regions and the ones `looked_at` anew."""
        ...


@dataclass(frozen=True, slots=True)
class HeldRange:
    """A block as operators see it."""

    level: Level
    name: str
    """The region, or the prefix's name in Redis."""
    held: Hold
    partition: int = 0
    kid: str = ""
    mask: bytes = field(default=b"", repr=False)
    """Sealed; of a prefix."""


@dataclass(frozen=True, slots=True)
class HeldRanges:
    """Oldest first."""

    ranges: Sequence[HeldRange]
    unknown: Sequence[str] = ()
    """What is not in here, in words: it lies on a master of a cluster that does not answer, while others do."""


class GuardBook(Protocol):
    """All methods raise `StoreDown`."""

    def held(self) -> HeldRanges:
        """What is blocked now."""
        ...

    def lift(self, range: HeldRange) -> bool:
        """End a block, and forget what led to it; False when there was none."""
        ...
