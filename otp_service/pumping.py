"""The pumping guard: are the sends to a range of numbers made for the fees that a carrier shares with the sender?

Who pumps asks for codes that nobody types. So the question is one of conversion, approved of sent, and it is answered
as early as the odds allow by Wald's sequential probability ratio test (A. Wald, "Sequential Tests of Statistical
Hypotheses", Annals of Mathematical Statistics 16, 1945): each outcome moves a score by the logarithm of how much
likelier pumping makes it than honesty does,

    not approved   + ln((1 - pumped) / (1 - honest))        approved   + ln(pumped / honest) < 0

and the test ends where the score reaches ln((1 - b) / a), "pumped", a being the odds to say so of honest ones, or
ln(b / (1 - a)), "honest", b being the odds to say so of pumped ones. We never end at the latter: the score stays there
(E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954), so that a range which was honest for a year buys
no more sends than one which was honest for an hour.

Between a send and its end nothing is known of it, and ten thousand sends fit in there. So a range may have only so many
sends open as would, were none of them approved, just decide the test. A range that nobody was ever approved in begins
where `first_seen` sends would do so.

Where many are approved many are open, and who waits for the ends of these hears of failures alone: the approvals that
would outweigh them are of sends that he refused. So only those count that are more than usual beside the approvals of
the last minutes, and usual are as many as leave honest ones honest (in a country, as many as were approved).

Scores are whole thousandths, so that Lua and Python can't differ in a rounding. `lua/pumping.lua` does what `Record`
does here; a test holds the two together.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otp_service.recipient import Recipient

Mode = Literal["off", "monitor", "challenge", "block"]

SCALE = 1000
SLOT_MS = 15_000
"""Open sends are counted by the span in which they end: a bounded number of fields, however many sends there are."""
RECENT_SLOTS = 20
"""Five minutes: what "at this time" means where one crowd is compared to another."""
GROWTH = 4
"""Each block that follows upon a block lasts so much longer, up to a day."""
LONGEST_BLOCK_MS = 86_400_000
WINDOW_DAYS = 30
CONTROL_LEAST = 30
"""Sends to known recipients in the last minutes, below which these say nothing about the gateways."""
CONTROL_FLOOR = 0.65
"""However badly the gateways do, a miss is weighed as if this part of the messages arrived: half of what it weighs on a
good day, so that an attack in a bad hour gets twice as far, and no further."""


class Level(StrEnum):
    """What a verdict is about, and the `limit` by which a refusal names it."""

    PREFIX = "prefix"
    COUNTRY = "country"


class Suspicion(StrEnum):
    """Why a send should not be made."""

    FIRST_SEEN = "first_seen"
    """As many sends are open as would decide the test: their ends are waited for."""
    CONVERSION = "conversion"
    """The test is decided: too few were approved."""


@dataclass(frozen=True, slots=True)
class Wald:
    """The two hypotheses and the odds of error, each between 0 and 1."""

    pumped: float
    honest: float
    false_block: float
    false_pass: float
    probation: int
    """Sends that may be open when a block has ended: if they fail as well, the next one begins."""

    def miss(self, through: float = 1.0) -> int:
        """What one send that was not approved adds, where `through` is the part of messages that arrive at all.

        Both conversions are multiplied by it. The ratio of the two stays, so what an approval takes off stays too.
        """
        return round(SCALE * math.log((1 - self.pumped * through) / (1 - self.honest * through)))

    @property
    def hit(self) -> int:
        """What one approval takes off."""
        return round(SCALE * math.log(self.honest / self.pumped))

    @property
    def bar(self) -> int:
        return round(SCALE * math.log((1 - self.false_pass) / self.false_block))

    @property
    def usual(self) -> int:
        """How many sends an honest range has open for each of its approvals, at the least that passes for honest."""
        return round(SCALE * (1 - self.honest) / self.honest)

    @property
    def floor(self) -> int:
        return round(SCALE * math.log(self.false_pass / (1 - self.false_block)))


OF_A_PREFIX = Wald(pumped=0.3, honest=0.6, false_block=0.005, false_pass=0.05, probation=1)
"""Honest installations see 70 to 85 % of their sends approved; 60 % leaves room for resends, which count each. 30 % is
what somebody reaches who answers every third code himself. Ten misses in a row decide."""
OF_A_COUNTRY = Wald(pumped=0.3, honest=0.6, false_block=1e-6, false_pass=0.01, probation=5)
"""A block of a country hits many: 25 misses in a row of a score of 0 decide."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one test, as the scripts get them."""

    bar: int
    floor: int
    begin: int
    """The score of what was never seen."""
    hit: int
    miss: int
    """Of an open send, should it not be approved."""
    charge: int
    """Of a send that has ended unapproved: less than `miss` while the gateways do badly."""
    usual: int
    """Open sends for each approval of the last minutes that prove nothing."""
    block_ms: int
    """The first block's length."""
    probation: int
    window_ms: int
    """How long it is remembered that somebody was approved, and how long anything is, from the last send on."""

    @classmethod
    def of(cls, test: Wald, first_seen: int, block_ms: int, window_ms: int, usual: int | None = None) -> Terms:
        miss = test.miss()
        begin = test.bar - first_seen * miss
        return cls(
            bar=test.bar,
            floor=min(test.floor, begin),
            begin=begin,
            hit=test.hit,
            miss=miss,
            charge=miss,
            usual=test.usual if usual is None else usual,
            block_ms=block_ms,
            probation=test.probation,
            window_ms=window_ms,
        )

    def while_through(self, test: Wald, through: float) -> Terms:
        """The same at a time when the gateways bring only a part of the messages."""
        return replace(self, charge=test.miss(through))

    @property
    def text(self) -> str:
        """As the scripts read it."""
        numbers = (*dataclasses.astuple(self), SLOT_MS, GROWTH, LONGEST_BLOCK_MS, RECENT_SLOTS)
        return " ".join(map(str, numbers))


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether one more send may be made: it may when there is no reason against it."""

    reason: Suspicion | None = None
    wait_ms: int = 0


FREE = Ruling()


@dataclass(slots=True)
class Record:
    """What is known of one prefix, or of the prefixes of a country that nobody was ever approved in."""

    score: int
    open: dict[int, int] = field(default_factory=dict)
    """Sends by the slot in which they end."""
    recent: dict[int, int] = field(default_factory=dict)
    """Approvals by slot; they say how many open sends are usual here at this time."""
    missed: int = 0
    approved: int = 0
    """Both since the last block, for the reason that is shown."""
    blocks: int = 0
    until: int = 0
    proven: int = 0
    """When somebody was last approved here."""

    @classmethod
    def fresh(cls, terms: Terms) -> Record:
        return cls(terms.begin)

    def is_proven(self, now: int, terms: Terms) -> bool:
        return self.proven > 0 and now - self.proven < terms.window_ms

    def settle(self, now: int, terms: Terms) -> bool:
        """Charge what has ended; True when this began a block."""
        ended = [slot for slot in self.open if slot * SLOT_MS <= now]
        missed = sum(self.open.pop(slot) for slot in ended)
        self.recent = {slot: n for slot, n in self.recent.items() if slot > now // SLOT_MS - RECENT_SLOTS}
        self.score += missed * terms.charge
        self.missed += missed
        if self.until > now or self.score < terms.bar:
            return False
        self.until = now + min(terms.block_ms * GROWTH**self.blocks, LONGEST_BLOCK_MS)
        self.blocks += 1
        self.score = terms.bar - terms.probation * terms.miss
        self.missed = self.approved = 0
        self.open = {}
        return True

    def ruling(self, now: int, terms: Terms) -> Ruling:
        """May be asked of a settled record."""
        if self.until > now:
            return Ruling(Suspicion.CONVERSION, self.until - now)
        unusual = sum(self.open.values()) - sum(self.recent.values()) * terms.usual // SCALE
        if unusual > 0 and self.score + unusual * terms.miss >= terms.bar:
            return Ruling(Suspicion.FIRST_SEEN, min(self.open) * SLOT_MS - now)
        return FREE

    def send(self, ends: int, sends: int = 1) -> None:
        """Count sends that are over at `ends`."""
        self.open[slot_of(ends)] = self.open.get(slot_of(ends), 0) + sends

    def approve(self, now: int, ends: int, sends: int, terms: Terms) -> None:
        """One of them was approved: `sends` of its verification are no longer open."""
        slot = slot_of(ends)
        left = self.open.get(slot, 0) - sends
        if left > 0:
            self.open[slot] = left
        else:
            self.open.pop(slot, None)
        self.score = max(terms.floor, self.score - terms.hit)
        if self.score <= terms.begin:
            self.blocks = 0
        self.approved += 1
        self.proven = now
        self.recent[now // SLOT_MS] = self.recent.get(now // SLOT_MS, 0) + 1


def slot_of(ends: int) -> int:
    """The first slot whose beginning finds it ended."""
    return -(-ends // SLOT_MS)


def through(sent: int, approved: int, test: Wald = OF_A_PREFIX) -> float:
    """What part of the messages seems to arrive, by those whom we know: they can't be pumped.

    `sent` and `approved` of the last minutes, to recipients that were approved here before. Where fewer of them are
    approved than of the least that passes for honest, the gateways are to blame.
    """
    if sent < CONTROL_LEAST:
        return 1.0
    return min(max(approved / sent / test.honest, CONTROL_FLOOR), 1.0)


def prefix_mask(to: Recipient) -> str:
    """`+86138****`: of a prefix no more than the recipient's mask shows."""
    return f"{to.mask.partition('*')[0]}****"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment decides about the guard."""

    mode: Mode = "monitor"
    first_seen: int = 10
    """Sends to a prefix in which nobody was approved."""
    country_first_seen: int = 50
    """The same of a country, over its prefixes in which nobody was approved."""
    block_seconds: int = 3600
    window_seconds: int = WINDOW_DAYS * 86400
    safe: frozenset[str] = frozenset()
    """Regions, and beginnings of E.164 numbers with their +, that are left alone."""

    def is_safe(self, e164: str, region: str) -> bool:
        return region in self.safe or any(e164.startswith(entry) for entry in self.safe if entry[0] == "+")

    def prefix_terms(self) -> Terms:
        return Terms.of(OF_A_PREFIX, self.first_seen, self.block_seconds * 1000, self.window_seconds * 1000)

    def country_terms(self) -> Terms:
        return Terms.of(
            OF_A_COUNTRY, self.country_first_seen, self.block_seconds * 1000, self.window_seconds * 1000, usual=SCALE
        )
