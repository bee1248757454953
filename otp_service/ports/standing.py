"""How the channels stand, as the whole installation sees it: breakers, pauses and scores, shared by all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from otp_service.ports.channel import TryResult

ENOUGH = 2.0
"""Calls that a fresh channel is credited with: one failure proves little."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One channel at one moment. Moments are milliseconds, Redis's clock; sums fade by half in five minutes."""

    open_until: int = 0
    """The breaker is open until then, and from then on half-open; 0 when it is closed."""
    probe_until: int = 0
    """Somebody probes it, at the longest until then."""
    rest_until: int = 0
    """The gateway asked to be left alone until then (Retry-After)."""
    paused_until: int = 0
    """An operator paused it until then."""
    calls: float = 0.0
    accepted: float = 0.0
    took_ms: float = 0.0
    """Sum over `calls`."""
    reported: float = 0.0
    delivered: float = 0.0
    finished: float = 0.0
    """Verifications that it carried and that have ended."""
    approved: float = 0.0
    last_call: int = 0
    heard: tuple[tuple[int, bool], ...] = ()
    """The latest reports: how many milliseconds after its try each came, and whether the message had arrived."""

    @property
    def is_open(self) -> bool:
        return self.open_until > 0

    def blocked_until(self, now: int) -> int:
        """The moment from which it may be asked, by a probe or plainly; 0 for now."""
        until = max(self.open_until, self.rest_until, self.paused_until, self.probe_until if self.is_open else 0)
        return until if until > now else 0

    @property
    def conversion(self) -> float:
        """Approved of ended, between 0 and 1; 1 while too little is known."""
        return (self.approved + ENOUGH) / (self.finished + ENOUGH)


class Change(StrEnum):
    """What one call made of a channel's breaker."""

    NONE = ""
    OPENED = "opened"
    CLOSED = "closed"


class Judgement(StrEnum):
    """What a call says of the channel."""

    GOOD = "good"
    BAD = "bad"
    """It failed as the next one would: counts for the breaker and the score."""
    SILENT = "silent"
    """It has not answered in time: as bad, and counts twice."""
    POOR = "poor"
    """The account is refused: the gateway is well, and the channel is of little use; counts for the score."""
    NEUTRAL = "neutral"
    """It is about the number or the text."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a channel, as its standing sees it."""

    channel: str
    judgement: Judgement
    result: TryResult | None
    """None for one that is still silent: it counts for the breaker now, and in the figures when it has answered."""
    took_ms: int
    holder: str = ""
    """Of the probe that this call was; "" for a plain call."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Sends that an operator holds back, with the moment at which each pause ends by itself."""

    everything: int = 0
    regions: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, int] = field(default_factory=dict)
    """Beginnings of E.164 numbers."""

    def until(self, now: int, e164: str = "", region: str = "") -> int:
        """How long this number is held back; 0 for not at all."""
        moments = [self.everything, self.regions.get(region, 0)]
        moments += [until for prefix, until in self.prefixes.items() if e164 and e164.startswith(prefix)]
        until = max(moments)
        return until if until > now else 0

    def some(self, now: int) -> bool:
        """Whether a pause of a region or prefix runs, so that numbers must be looked at."""
        return any(until > now for until in (*self.regions.values(), *self.prefixes.values()))


@dataclass(frozen=True, slots=True)
class Sky:
    """Everything that decides which way a send may go, at the moment `now`."""

    now: int
    standings: Mapping[str, Standing]
    pauses: Pauses = Pauses()


class Standings(Protocol):
    """All methods raise `StoreDown`."""

    async def look(self, channels: Sequence[str]) -> Sky: ...

    async def note(self, call: Call) -> tuple[Change, Standing]:
        """Count a call."""
        ...

    async def probe(self, channel: str, holder: str, lease_ms: int) -> bool:
        """May this holder ask a channel whose breaker is half-open? One at a time may, in the whole installation."""
        ...

    async def credit(self, channel: str, kind: str, count: int, good: int, after_ms: int | None = None) -> None:
        """Verifications ("c", good: approved) or reports ("r", good: delivered) of what it carried.

        `after_ms`: of one report, how long after its try it came.
        """
        ...
