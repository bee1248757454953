"""Where administrative acts are written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from otp_service.audit import Act, Entry


class AuditTrail(Protocol):
    """Entries are added and read, and fall out by age and count alone. Both methods raise `StoreDown`."""

    def record_act(self, act: Act) -> Entry:
        """Write it down, before it is done: an act that can't be recorded does not happen. Logs one line as well."""
        ...

    def acts(self, since: int = 0) -> Iterator[Entry]:
        """From the oldest on; `since` is a moment, Redis's clock."""
        ...
