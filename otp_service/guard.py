"""`Guard`: the pumping guard as starts, resends and checks see it. The scripts decide; this keeps what they need."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from otp_service import pumping
from otp_service.keyring import Keyring
from otp_service.ports import Approval, Countries, Guarded, GuardLedger, GuardTerms, Noted, StoreDown
from otp_service.pumping import OF_A_COUNTRY, OF_A_PREFIX, Level, Mode, Rules, Suspicion, Terms
from otp_service.recipient import Recipient

LOOK_SECONDS = 0.5
"""How old what is known of the countries may be, and for how long what was noted is kept back."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the guard has against a send, for whoever logs and measures."""

    level: Level
    suspicion: Suspicion
    mode: Mode
    to: Recipient = field(repr=False)
    began: str = ""
    """What decided, as `approved/ended`, when a block of the prefix began with this very send."""

    @property
    def where(self) -> str:
        """The region, and the prefix, masked."""
        region = self.to.region
        return region if self.level is Level.COUNTRY else f"{region} {pumping.prefix_mask(self.to)}"


def _unheard(finding: Finding) -> None:
    return


@dataclass(slots=True)
class _Notes:
    """What has happened here since the last look. Holds no number: a line for each region and moment."""

    sends: Counter[tuple[str, int]] = field(default_factory=Counter)
    approvals: list[tuple[str, int, int]] = field(default_factory=list)
    known_sends: int = 0
    known_approvals: int = 0


class _NoLedger:
    def countries(self, noted: Noted, looked_at: frozenset[str], terms: Terms) -> Countries:
        return Countries()


def off(keyring: Keyring) -> Guard:
    """A guard that has nothing to say."""
    return Guard(_NoLedger(), keyring, Rules(mode="off"))


@dataclass(slots=True)
class Guard:
    """Threads share one."""

    ledger: GuardLedger
    keyring: Keyring
    rules: Rules
    tell: Callable[[Finding], None] = _unheard
    look_seconds: float = LOOK_SECONDS
    _notes: _Notes = field(default_factory=_Notes)
    _noting: threading.Lock = field(default_factory=threading.Lock)
    _countries: Countries = field(default_factory=Countries)
    _terms: str = ""
    _country_terms: Terms = field(init=False)
    _seen: float = float("-inf")
    _looking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_on(self) -> bool:
        return self.rules.mode != "off"

    def terms(
        self, to: Recipient, prefix: str, *, excused: bool = False, of_pending: bool = False
    ) -> GuardTerms | None:
        """What a send to this recipient is held against; None where the guard has nothing to say. Raises StoreDown.

        `prefix` names the recipient's prefix in Redis; `excused` is for a send whose challenge was met; `of_pending`
        for a resend by id, at which nothing can be asked of the person.
        """
        if not self.is_on or self.rules.is_safe(to.e164, to.region):
            return None
        self._look()
        kid = self.keyring.current
        return GuardTerms(
            terms=self._terms,
            region=to.region,
            mode="block" if of_pending and self.rules.mode == "challenge" else self.rules.mode,
            excused=excused,
            held=self._countries.held.get(to.region),
            prefix=prefix,
            kid=kid,
            mask=self.keyring.seal(kid, prefix, "prefix", pumping.prefix_mask(to)),
        )

    def approval_terms(self) -> str:
        """What an approval is counted by, as scripts read it; "" while the guard is off."""
        return self._terms if self.is_on else ""

    def __post_init__(self) -> None:
        self._weigh(1.0)

    def _weigh(self, through: float) -> None:
        """What a miss weighs until the next look."""
        self._terms = self.rules.prefix_terms().while_through(OF_A_PREFIX, through).text
        self._country_terms = self.rules.country_terms().while_through(OF_A_COUNTRY, through)

    def sent(self, to: Recipient, guarded: Guarded | None, ends: int = 0) -> None:
        """Note what the store made of a send, which is over at `ends`, or of one that was not made."""
        if guarded is None:
            return
        if guarded.began:
            self._tell(to, Level.PREFIX, Suspicion.CONVERSION, guarded.began)
        elif guarded.level and guarded.reason:
            self._tell(to, guarded.level, guarded.reason)
        if not ends:
            return
        with self._noting:
            if guarded.noted == "known":
                self._notes.known_sends += 1
            elif guarded.noted == "new":
                self._notes.sends[to.region, ends] += 1

    def _tell(self, to: Recipient, level: Level, suspicion: Suspicion, began: str = "") -> None:
        self.tell(Finding(level, suspicion, self.rules.mode, to, began))

    def approved(self, approval: Approval) -> None:
        """Note an approval of a verification whose sends the guard has heard of."""
        with self._noting:
            if approval.noted == "known":
                self._notes.known_approvals += 1
            elif approval.noted == "new":
                self._notes.approvals.append((approval.region, approval.ends, approval.sends))

    def _look(self) -> None:
        """See how the countries stand, and tell what was noted, if the last look is too old."""
        stale = time.monotonic() - self._seen > self.look_seconds
        # One request tells and looks; those beside it go by what the one before it saw.
        if stale and self._looking.acquire(blocking=self._countries.now == 0):
            try:
                if time.monotonic() - self._seen > self.look_seconds:
                    self._exchange()
            finally:
                self._looking.release()

    def _exchange(self) -> None:
        noted = self.take()
        try:
            self._countries = self.ledger.countries(noted, frozenset(self._countries.held), self._country_terms)
        except StoreDown:
            self.put_back(noted)
            raise
        self._seen = time.monotonic()
        self._weigh(pumping.through(self._countries.known_sends, self._countries.known_approvals))

    def take(self) -> Noted:
        """What was noted since this was last asked for; whoever takes it tells it."""
        with self._noting:
            notes, self._notes = self._notes, _Notes()
        return Noted(dict(notes.sends), tuple(notes.approvals), notes.known_sends, notes.known_approvals)

    def put_back(self, noted: Noted) -> None:
        """Counted twice where the reply alone was lost: to know too much of a country is the lesser harm."""
        with self._noting:
            self._notes.sends.update(noted.sends)
            self._notes.approvals.extend(noted.approvals)
            self._notes.known_sends += noted.known_sends
            self._notes.known_approvals += noted.known_approvals
