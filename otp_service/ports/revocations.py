"""Which API keys are revoked: said once, heard by every process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Revoked:
    """One key that is refused, although a configuration may still hold its hash."""

    id: str
    at: int
    """Milliseconds, Redis's clock."""
    by: str


class TooManyRevoked(Exception):
    """There are as many revoked keys as there may be: nothing was written."""


class Revocations(Protocol):
    """All methods raise `StoreDown`."""

    def ids(self) -> frozenset[str]: ...

    def look(self) -> Sequence[Revoked]:
        """With who said so, the latest first."""
        ...

    def revoke(self, id: str, by: str) -> tuple[Revoked, bool]:
        """And whether it is new: a key that was revoked before stays so from then on. Raises TooManyRevoked."""
        ...

    def restore(self, id: str) -> bool:
        """False when it was not revoked."""
        ...
