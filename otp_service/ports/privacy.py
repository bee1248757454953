"""What is held on one person, for whoever has a right to know it, or to have it erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Subject:
    """One recipient as keys in Redis name it, for all configured clients."""

    partition: int
    recipient: str
    """Fingerprint."""
    owners: Mapping[str, str]
    """Names of client and recipient, by client."""
    scopes: Mapping[str, str] = field(default_factory=dict)
    """Names of "the fours" that have no session, with their clients: the others' can't be computed, but found."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One thing that is held beside verifications. Moments are milliseconds, Redis's clock."""

    kind: str
    """A limit as `limit` of the API names it, or what it is: `lookup`, `event`, `report`, `dead_letter`, …"""
    client: str = ""
    until: int = 0
    """When it goes by itself; 0 for what waits to be worked on."""
    count: int = 1
    moments: Sequence[int] = ()
    about: str = ""
    """The verification that it belongs to, a channel or a webhook."""


@dataclass(frozen=True, slots=True)
class HeldVerification:
    """A verification that is known by its record, by its tries, or by both."""

    client: str
    """"" where the record is gone."""
    id: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """What its record holds in clear, beside what the API shows; empty where the record is gone."""
    tries: Sequence[Mapping[str, Any]] = ()
    """Values by name, oldest first."""


@dataclass(frozen=True, slots=True)
class Held:
    now: int
    verifications: Sequence[HeldVerification]
    holdings: Sequence[Holding]
    unknown: Sequence[str] = ()
    """What could not be read, in words: this is not all then. Part of a cluster does not answer."""


@dataclass(frozen=True, slots=True)
class Erased:
    counts: Mapping[str, int]
    """How many of each kind went."""
    kept: Sequence[Holding]
    """Limits that stay until they age out."""


class Busy(Exception):
    """Others started one verification of this recipient after the other while it was being erased."""


class PersonalData(Protocol):
    """Both methods raise `StoreDown`, and look at the name of every key of the server once (SCAN)."""

    def held(self, subject: Subject) -> Held: ...

    def erase(self, subject: Subject, also_limits: bool = False) -> Erased:
        """End what pends as `canceled`, so that nothing more is sent, and forget it with all that is held.

        What counts against the limits stays, unless `also_limits`: else an erasure would be a way round them. A start
        at the same moment is erased whole or stays whole. When interrupted, it may be asked again. Raises Busy.
        """
        ...
