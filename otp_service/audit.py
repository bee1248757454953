"""The audit trail: what administrators did, each entry sealed, and linked to the one before it. Pure data.

An entry's `link` is a hash of all that it says and of the link before it; its `seal` is a keyed hash of the link. So
nobody who lacks the keys can write an entry, alter one, or take one out of the middle unseen; a later seal vouches for
earlier entries as well, also for those whose own key is no longer configured. What the trail can't show by itself is
that its newest or oldest entries were cut off, or what somebody who has the keys did to it: for that, each entry is a
line of the log as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from otp_service.masking import fit_to_keep

BEGUN = "begun"
DONE = "done"
FAILED = "failed"
_LONGEST = 200
"""Characters of a name that somebody else chose."""
_SHOWN_SEAL = 16
"""Hex digits of a seal that a log line shows: 64 bits, which nobody meets by chance."""


@dataclass(frozen=True, slots=True)
class Act:
    """One administrative act. It holds no number: a recipient is named by `recipient:<fingerprint>`."""

    actor: str
    """`user@host` of who typed it; `client:<name>` of a client that called the API."""
    name: str
    """The command that does it, as `channels.pause`."""
    target: str
    outcome: str = BEGUN
    reason: str = ""
    """The actor's own words."""

    def fit_to_keep(self) -> Act:
        """Whatever was typed: on one line, no number, not too long."""
        return replace(
            self, actor=_plain(self.actor), target=_plain(self.target), reason=fit_to_keep(_plain(self.reason))
        )


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_LONGEST]


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    """1 for the first there ever was, and then without a gap."""
    at: int
    """Milliseconds, Redis's clock."""
    act: Act
    kid: str
    """Of the secret key that seals it."""
    previous: str
    """The link of the entry before; "" for the first."""
    seal: str = ""

    @property
    def link(self) -> str:
        act = self.act
        parts = (str(self.number), str(self.at), act.actor, act.name, act.target, act.outcome, act.reason)
        hashed = hashlib.sha256()
        for part in (*parts, self.kid, self.previous):
            raw = part.encode()
            # Each with its length, so that nothing can move from one field into the next.
            hashed.update(len(raw).to_bytes(4, "big") + raw)
        return hashed.hexdigest()

    @property
    def name(self) -> str:
        """`41:0f3a9c…`, as the log has it: by this one a trail can be held against the log."""
        return f"{self.number}:{self.seal[:_SHOWN_SEAL]}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the whole trail came to."""

    first: Entry | None = None
    last: Entry | None = None
    vouched: int = 0
    """Entries that a configured key stands for, by their own seal or by a later one's."""
    unvouched: int = 0
    """The newest ones, where their key is no longer configured."""
    broken: Entry | None = None
    """The first that is not what was recorded, or does not follow the one before it."""
    fault: str = ""


def examine(entries: Iterable[Entry], seal_of: Callable[[str, str], str | None], known: str = "") -> Finding:
    """Look at entries from the oldest on. `seal_of(kid, link)` gives None for a key that is no longer configured.

    `known` is an entry's `name` out of a log: the trail must have that very entry, or have forgotten it with age.
    """
    first = last = None
    vouched = waiting = 0
    known_number, _, known_seal = known.partition(":")
    for entry in entries:
        first = first or entry
        seal = seal_of(entry.kid, entry.link)
        fault = _fault(entry, last, seal)
        if not fault and str(entry.number) == known_number and not entry.seal.startswith(known_seal):
            fault = f"the log has another entry {entry.number}"
        if fault:
            return Finding(first, last, vouched, waiting, entry, fault)
        vouched, waiting = (vouched, waiting + 1) if seal is None else (vouched + waiting + 1, 0)
        last = entry
    fault = ""
    if known and int(known_number) > (last.number if last else 0):
        fault = f"entry {known_number} is gone, and whatever came after it"
    return Finding(first, last, vouched, waiting, None, fault)


def _fault(entry: Entry, before: Entry | None, seal: str | None) -> str:
    if seal is not None and not hmac.compare_digest(seal, entry.seal):
        return "it is not what was recorded"
    if before is None:
        is_first = entry.number == 1 and not entry.previous
        return "" if is_first or (entry.number > 1 and entry.previous) else "it is not the first"
    if entry.number != before.number + 1 or entry.previous != before.link:
        return f"it does not follow entry {before.number}: one was altered, taken out or put in"
    return ""
