"""`Router`: which channel goes first, by priority, weight and what the whole installation knows of each."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from otp_service.ports import Candidate, Change, Entry, Pauses, Sky, Standing, Standings
from otp_service.ports.standing import Call
from otp_service.routes import ChannelRule

LOOK_SECONDS = 0.25
"""How old a worker's knowledge of what others did may be: a pause is heeded within a second."""
UNWELL = 0.5
"""A channel that does half as well as it should goes behind those of lower priority."""
PROBE_SHARE = 0.02
"""Of the sends: they go first by a channel that nobody has asked for a while, so that it is known how it is."""
_STALE_MS = 60_000
_KNOWN_CALLS = 20
"""Calls from which on a channel's acceptance and speed say something."""
_BUSY_CALLS = 50
"""Below so many calls of the first channel in five minutes there is nothing to learn from a share of them."""
_KNOWN_REPORTS = 10
_KNOWN_ENDS = 30
_PRIOR = 2.0
_QUICK_MS, _SLOW_MS = 300.0, 3000.0


def health(standing: Standing, best_conversion: float = 0.0) -> float:
    """Between 0 and 1: acceptance × speed × arrival × conversion against the best channel's, each once it is known."""
    well = 1.0
    if standing.calls >= _KNOWN_CALLS:
        well *= (standing.accepted + _PRIOR) / (standing.calls + _PRIOR)
        well /= 1 + max(0.0, standing.took_ms / standing.calls - _QUICK_MS) / _SLOW_MS
    if standing.reported >= _KNOWN_REPORTS:
        well *= (standing.delivered + _PRIOR) / (standing.reported + _PRIOR)
    if standing.finished >= _KNOWN_ENDS and best_conversion:
        well *= min(standing.conversion / best_conversion, 1.0)
    return well


@dataclass(frozen=True, slots=True)
class Plan:
    """The channels to ask, in their order; and how it stands with those that may not be asked now."""

    candidates: tuple[Candidate, ...]
    route: tuple[str, ...] = ()
    """Every channel that may carry it at all."""
    waits: Mapping[str, float] = field(default_factory=dict)
    """Channels of the route that may not be asked now (open, resting, paused), each with the seconds until it may."""
    probes: frozenset[str] = frozenset()
    """Candidates for which this send holds the one probe of a half-open breaker."""


@dataclass(slots=True)
class Router:
    """One a worker; its sends share what it knows. `deadlines`: seconds that a try by each channel may take."""

    standings: Standings
    rules: Sequence[ChannelRule]
    deadlines: Mapping[str, float]
    chance: random.Random = field(default_factory=random.Random)
    _sky: Sky = field(default_factory=lambda: Sky(0, {}))
    _seen: float = 0.0

    async def refresh(self) -> None:
        """Look at what others did. Raises StoreDown."""
        self._sky = await self.standings.look([rule.name for rule in self.rules])
        self._seen = time.monotonic()

    async def note(self, call: Call) -> Change:
        """Count a call, and see at once what it made of the channel."""
        change, standing = await self.standings.note(call)
        self._sky = replace(self._sky, standings={**self._sky.standings, call.channel: standing})
        return change

    @property
    def pauses(self) -> Pauses:
        return self._sky.pauses

    @property
    def now(self) -> int:
        """Redis's clock, in milliseconds, as far as it is known here."""
        return self._sky.now + round((time.monotonic() - self._seen) * 1000)

    async def plan(self, entry: Entry, asked: set[str], holder: str) -> Plan:
        """The way of one send from here, those `asked` in this round left out. Raises StoreDown."""
        now, waits, probes = self.now, {}, set()
        candidates: list[Candidate] = []
        route = [rule for rule in self.rules if not entry.route or rule.name in entry.route]
        for rule in self._order(route, entry):
            standing = self.standing(rule.name)
            until = standing.blocked_until(now)
            if not until and standing.is_open and rule.name not in asked:
                # Half-open: whoever gets the probe asks, all others go elsewhere.
                lease = round(self.deadlines[rule.name] * 1000)
                if candidates or not await self.standings.probe(rule.name, holder, lease):
                    until = now + lease
                else:
                    probes.add(rule.name)
            if until:
                waits[rule.name] = _wait(standing, until, now)
            elif rule.name not in asked:
                candidates.append(_candidate(rule))
        return Plan(tuple(candidates), tuple(rule.name for rule in route), waits, frozenset(probes))

    def _order(self, rules: Sequence[ChannelRule], entry: Entry) -> Sequence[ChannelRule]:
        if len(rules) < 2:
            return rules
        best = max((s.conversion for s in self._sky.standings.values() if s.finished >= _KNOWN_ENDS), default=0.0)
        well = {rule.name: health(self.standing(rule.name), best) for rule in rules}

        def place(rule: ChannelRule) -> tuple[bool, bool, int, float]:
            # Efraimidis and Spirakis: the smallest of these comes first in proportion to its weight.
            share = rule.weight * well[rule.name] ** 2
            draw = -math.log(1.0 - self.chance.random()) / max(share, 1e-9)
            return rule.name == entry.avoid, well[rule.name] < UNWELL, rule.priority, draw

        order = sorted(rules, key=place)
        if self._is_busy(order[0]) and self.chance.random() < PROBE_SHARE:
            stale = [rule for rule in order[1:] if self._is_stale(rule) and rule.name != entry.avoid]
            order = [*stale[:1], *(rule for rule in order if rule not in stale[:1])]
        return order

    def standing(self, channel: str) -> Standing:
        """What is known of a channel."""
        return self._sky.standings.get(channel) or Standing()

    def _is_busy(self, rule: ChannelRule) -> bool:
        return self.standing(rule.name).calls >= _BUSY_CALLS

    def _is_stale(self, rule: ChannelRule) -> bool:
        return self.standing(rule.name).last_call < self.now - _STALE_MS


def _wait(standing: Standing, until: int, now: int) -> float:
    """Seconds. A pause counts for none: the operator may end it at any time, so the next round looks again."""
    if standing.paused_until == until:
        until = replace(standing, paused_until=0).blocked_until(now) or now
    return (until - now) / 1000


def _candidate(rule: ChannelRule) -> Candidate:
    windows = " ".join(f"{window.count}/{window.seconds * 1000}" for window in rule.recipient_windows)
    return Candidate(rule.name, windows, rule.strict)
