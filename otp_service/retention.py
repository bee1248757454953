"""How long things are remembered, where a deployment may say so."""

from __future__ import annotations

from dataclasses import dataclass

_HOUR = 3_600_000
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Retention:
    """Milliseconds. The defaults are the contract's."""

    tombstone: int = 2 * _HOUR
    """An ended verification. Callers rely on two hours: `already_approved`, `expired` and their like."""
    tries: int = 72 * _HOUR
    """A delivery's tries, and the gateways' ids by which late reports find them."""
    approved: int = 90 * _DAY
    """That a recipient was approved here, and on which devices."""
    audit: int = 400 * _DAY
    """An administrative act: a year, and the month in which that year is looked into."""


SHORTEST = Retention(tombstone=2 * _HOUR, tries=2 * _HOUR, approved=_DAY, audit=30 * _DAY)
"""`tombstone`: the contract. `tries`: a code lives half an hour at most, and its next send must know the last one's
channels; after the record's own two hours nobody asks for them. `audit`: whoever looks into a month needs the month."""

LONGEST = Retention(tombstone=24 * _HOUR, tries=168 * _HOUR, approved=90 * _DAY, audit=3650 * _DAY)
"""`tombstone`, `tries`: nobody asks later, and no gateway reports later than three days. `approved`: within these 90
days a device has an allowance of its own; longer, and a handset that was sold on would have it."""
