"""What `pumping.py` judges: a day of honest people and pumpers, by the guard's own code (`otp_service.pumping`).

Honest people send 10⁶ times, of which 75 % are approved, over 200,000 prefixes with a heavy tail. Conversion differs by
country and prefix (beta-distributed), the day has a night, some prefixes have bursts (a school, a factory), and from
14:00 to 15:00 the gateways lose six messages in ten. Beside them each attacker tries 10⁴ sends, all in the same day.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from otp_service import pumping
from otp_service.pumping import OF_A_COUNTRY, OF_A_PREFIX, Record, Rules, Terms

HOUR = 3_600_000
DAY = 24 * HOUR
TTL = 300_000
LOOK_MS = 500
"""How old a process's view of the countries may be."""
PREFIXES = 200_000
NEWCOMERS = 0.3
"""Of honest verifications; the others are of recipients that were approved here in the last 90 days."""
CONVERSION = 0.905
"""Of verifications outside of the bad hour: with it and with the resends below, 75 % of sends."""
RESEND_IF_FAILING = (0.36, 0.12)
RESEND_IF_APPROVED = (0.07, 0.01)
BAD_HOUR = (14 * HOUR, 15 * HOUR, 0.4)
BURSTS, IN_A_BURST, BURST_MS = 200, 60, 20 * 60_000
COUNTRIES = {"CN": 0.62, "HK": 0.08, "US": 0.07, "GB": 0.05, "ID": 0.04, "MY": 0.03, "TH": 0.02, "PH": 0.02, "VN": 0.01}
"""Shares of honest traffic; the rest is spread over thirty more."""


@dataclass(frozen=True)
class Attack:
    name: str
    country: str
    prefixes: int
    hours: float
    conversion: float = 0.02
    proven: bool = False
    """Honest people were approved in these prefixes before."""


ATTACKS = (
    Attack("one range, number after number", "GB", 1, 1),
    Attack("the same, where honest people live", "US", 1, 1, proven=True),
    Attack("ten ranges", "MY", 10, 6),
    Attack("fifty ranges, slowly", "TH", 50, 24),
    Attack("1,000 ranges of a country with some customers", "ID", 1_000, 2),
    Attack("1,000 ranges of a country with none, in 10 minutes", "AZ", 1_000, 1 / 6),
    Attack("1,000 ranges of the largest country", "CN", 1_000, 24),
    Attack("ten ranges, a third approved by himself", "PH", 10, 6, conversion=0.3),
    Attack("1,000 ranges, a third approved by himself", "VN", 1_000, 6, conversion=0.3),
)


PRICE = 0.08
"""Dollars an SMS, as it is billed for the destinations that pumpers choose."""


@dataclass(slots=True)
class Person:
    """One verification: of an honest person (`whose` is "") or of an attack."""

    whose: str
    prefix: int
    country: str
    known: bool
    approves: bool
    ends: int = 0
    sends: int = 0
    counted: int = 0
    counted_country: int = 0


@dataclass
class Day:
    """What the service would do, send after send, in order of time."""

    rules: Rules
    prefixes: dict[int, Record] = field(default_factory=dict)
    countries: dict[str, Record] = field(default_factory=dict)
    views: dict[str, tuple[int, pumping.Ruling]] = field(default_factory=dict)
    control: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    sent: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    approved: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent_to: Counter[tuple[str, int]] = field(default_factory=Counter)
    progress: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """Of each attack: how often it had tried when its n-th send left."""
    compare: bool = True
    _slot: int = -1
    _through: float = 1.0

    def __post_init__(self) -> None:
        self.of_prefix, self.of_country = self.rules.prefix_terms(), self.rules.country_terms()

    def prefix(self, name: int) -> Record:
        if name not in self.prefixes:
            self.prefixes[name] = Record.fresh(self.of_prefix)
        return self.prefixes[name]

    def terms(self, now: int) -> tuple[Terms, Terms]:
        """With a miss weighed by how those fare whom we know."""
        slot = now // pumping.SLOT_MS
        if slot != self._slot and self.compare:
            self._slot = slot
            recent = [self.control[at] for at in range(slot - pumping.RECENT_SLOTS, slot) if at in self.control]
            self._through = pumping.through(sum(sent for sent, _ in recent), sum(ok for _, ok in recent))
            self._now = (
                self.of_prefix.while_through(OF_A_PREFIX, self._through),
                self.of_country.while_through(OF_A_COUNTRY, self._through),
            )
        return self._now if self.compare else (self.of_prefix, self.of_country)

    def country(self, now: int, name: str, terms: Terms) -> pumping.Ruling:
        seen, ruling = self.views.get(name, (-LOOK_MS, pumping.FREE))
        if now - seen >= LOOK_MS:
            record = self.countries.setdefault(name, Record.fresh(terms))
            record.settle(now, terms)
            ruling = record.ruling(now, terms)
            self.views[name] = (now, ruling)
        return ruling

    def send(self, now: int, person: Person) -> bool:
        self.tried[person.whose] += 1
        if person.known:
            self.control[now // pumping.SLOT_MS][0] += 1
        else:
            of_prefix, of_country = self.terms(now)
            record = self.prefix(person.prefix)
            record.settle(now, of_prefix)
            ruling, level = record.ruling(now, of_prefix), "prefix"
            proven = record.is_proven(now, of_prefix)
            if ruling.reason is None and not proven:
                ruling, level = self.country(now, person.country, of_country), "country"
            if ruling.reason is not None:
                self.refused[person.whose, f"{level}: {ruling.reason}"] += 1
                return False
            record.send(person.ends)
            person.counted += 1
            if not proven:
                self.countries[person.country].send(person.ends)
                person.counted_country += 1
            self.sent_to[person.whose, person.prefix] += 1
        self.sent[person.whose] += 1
        if person.whose:
            self.progress[person.whose].append((self.tried[person.whose], self.sent[person.whose]))
        return True

    def approve(self, now: int, person: Person) -> None:
        self.approved[person.whose] += 1
        if person.known:
            self.control[now // pumping.SLOT_MS][1] += 1
            self.prefix(person.prefix).proven = now
            return
        of_prefix, of_country = self.terms(now)
        record = self.prefix(person.prefix)
        record.settle(now, of_prefix)
        record.approve(now, person.ends, person.counted, of_prefix)
        if person.counted_country:
            self.countries[person.country].approve(now, person.ends, person.counted_country, of_country)


def moment(chance: random.Random) -> int:
    """A moment of a day whose busiest hour has nine times the traffic of its quietest."""
    while True:
        at = chance.random()
        if chance.random() < (1 + 0.8 * math.sin(2 * math.pi * (at - 0.375))) / 1.8:
            return int(at * DAY)


def honest(chance: random.Random, sends: int, day: Day, *, cold: bool) -> list[tuple[int, Person]]:
    """Starts of honest people. On a warm day the prefixes have a history; on a cold one nobody was ever here."""
    rest = (1 - sum(COUNTRIES.values())) / 30
    shares = {**COUNTRIES, **{f"x{n}": rest for n in range(30)}}
    of_country = {name: chance.betavariate(40 * CONVERSION, 40 * (1 - CONVERSION)) for name in shares}
    off = CONVERSION - sum(share * of_country[name] for name, share in shares.items())
    of_country = {name: min(conversion + off, 0.97) for name, conversion in of_country.items()}
    where = chance.choices(list(shares), list(shares.values()), k=PREFIXES)
    weights = [chance.lognormvariate(0, 1.5) for _ in range(PREFIXES)]
    rate = [chance.betavariate(20 * of_country[name], 20 * (1 - of_country[name])) for name in where]
    a_day = sends / sum(weights)
    if not cold:
        for prefix, weight in enumerate(weights):
            if chance.random() > math.exp(-weight * a_day * 30 * 0.75):
                day.prefix(prefix).proven = 1
                day.prefix(prefix).score = day.of_prefix.floor
        for name in shares:
            day.countries[name] = Record.fresh(day.of_country)

    def one(at: int, prefix: int, known: bool) -> tuple[int, Person]:
        bad = BAD_HOUR[2] if BAD_HOUR[0] <= at < BAD_HOUR[1] else 1.0
        return at, Person("", prefix, where[prefix], known, chance.random() < rate[prefix] * bad)

    starts = int(sends * CONVERSION_OF_SENDS)
    in_bursts = int(BURSTS * sends / 1_000_000)
    found = [
        one(moment(chance), prefix, not cold and chance.random() > NEWCOMERS)
        for prefix in chance.choices(range(PREFIXES), weights, k=starts - in_bursts * IN_A_BURST)
    ]
    for _ in range(in_bursts):
        begins, prefix = moment(chance), chance.choices(range(PREFIXES), weights)[0]
        found += [one(begins + int(chance.random() * BURST_MS), prefix, False) for _ in range(IN_A_BURST)]
    return found


_APPROVED_SENDS = 1 + sum(RESEND_IF_APPROVED)
_FAILING_SENDS = 1 + sum(RESEND_IF_FAILING)
CONVERSION_OF_SENDS = 1 / (CONVERSION * _APPROVED_SENDS + (1 - CONVERSION) * _FAILING_SENDS)


def attacked(chance: random.Random, tries: int, day: Day) -> list[tuple[int, Person]]:
    found = []
    for nth, attack in enumerate(ATTACKS):
        base, begins = PREFIXES + nth * 10_000, int(chance.uniform(0, 24 - attack.hours) * HOUR)
        for prefix in range(base, base + attack.prefixes if attack.proven else base):
            day.prefix(prefix).proven = 1
            day.prefix(prefix).score = day.of_prefix.floor
        for n in range(tries):
            at = begins + int(n / tries * attack.hours * HOUR)
            approves = chance.random() < attack.conversion
            found.append((at, Person(attack.name, base + n % attack.prefixes, attack.country, False, approves)))
    return found


def live(day: Day, starts: list[tuple[int, Person]], chance: random.Random) -> Day:
    """Everything in the order of time: starts, resends, approvals."""
    starts.sort(key=lambda start: start[0])
    later: list[tuple[int, int, int, Person]] = []
    numbered = 0
    for at, person in [*starts, (DAY + HOUR, Person("end", -1, "", True, False))]:
        while later and later[0][0] <= at:
            now, _, kind, waiting = heapq.heappop(later)
            if kind == 0:
                day.approve(now, waiting)
            else:
                day.send(now, waiting)
        if person.whose == "end":
            return day
        person.ends = at + TTL
        if not day.send(at, person):
            continue
        numbered += 1
        if person.approves:
            heapq.heappush(later, (at + int(chance.lognormvariate(9.9, 0.6)) % TTL, numbered, 0, person))
        if not person.whose:
            for wait, odds in zip(
                (60_000, 120_000), RESEND_IF_APPROVED if person.approves else RESEND_IF_FAILING, strict=True
            ):
                if chance.random() < odds:
                    heapq.heappush(later, (at + wait, numbered, 1, person))
    return day


def simulate(sends: int, tries: int, seed: int, *, cold: bool = False, compare: bool = True) -> Day:
    chance = random.Random(seed)
    day = Day(Rules(mode="block"), compare=compare)
    starts = honest(chance, sends, day, cold=cold) + attacked(chance, tries, day)
    return live(day, starts, chance)
