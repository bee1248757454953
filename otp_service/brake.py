"""`Brake`: a client whose verifications fail as under spraying (few codes, number after number) is slowed down."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from otp_service.policy import Client
from otp_service.ports import Store, StoreDown
from otp_service.recipient import Recipient

_MOST_REMEMBERED = 10_000
"""Approvals that one process tells at most at once: what happened long ago must not excuse what happens now."""


class Brake:
    """What a process knows of its clients' brakes. It costs nothing while codes are right: approvals are told with the
    next verification that begins with a wrong code, and only then is Redis asked."""

    def __init__(self, store: Store, *, active: bool) -> None:
        self._store = store
        self._active = active
        self._approved: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._noting = threading.Lock()

    def left(self, client: str) -> int:
        """Milliseconds for which checks of this client are braked, as far as this process knows."""
        until = self._until.get(client)
        return 0 if until is None else max(round((until - time.monotonic()) * 1000), 0)

    def suspect(self, client: Client, to: Recipient) -> str | None:
        """Where a CAPTCHA is configured, whoever starts while the brake holds shows that a person asks."""
        return "its client's codes are sprayed" if self.left(client.name) else None

    def approved(self, client: str) -> None:
        with self._noting:
            self._approved[client] = min(self._approved.get(client, 0) + 1, _MOST_REMEMBERED)

    def failed(self, client: str) -> None:
        """A verification of this client got its first wrong code."""
        if not self._active:
            return
        with self._noting:
            approved = self._approved.pop(client, 0)
        with suppress(StoreDown):  # the wrong code was counted where it matters most
            if left := self._store.brake(client, 1, approved):
                self._until[client] = time.monotonic() + left / 1000
