"""A verifier that remembers what it was asked and answers as it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otp_service.calls import Checked, Enabled, Started, TokenFacts
from otp_service.verification import Delivery, Status, Try, Verification

NOW = 1772353800123

PENDING = Verification(
    id="ver_1",
    status=Status.PENDING,
    delivery=Delivery.QUEUED,
    to="+86138****8000",
    purpose="login",
    now=NOW,
    created_at=NOW,
    expires_at=NOW + 300_000,
    resend_at=NOW + 59_001,
    code_length=6,
    attempts_left=5,
    sends=1,
    max_sends=4,
)
APPROVED = PENDING._replace(status=Status.APPROVED)
A_TRY = Try(1, "primary", "accepted", None, "ok", "m-1", NOW, 41, "delivered")


@dataclass
class FakeVerifier:
    """`refusal` is raised by every call; `shown` and `replayed` shape the answers."""

    refusal: Exception | None = None
    shown: Verification = PENDING
    created: bool = True
    replayed: bool = False
    up: bool = True
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def start(self, client, request, idempotency=None):
        self._note("start", client, request, idempotency)
        return Started(self.shown, created=self.created, replayed=self.replayed)

    def get(self, client, verification_id):
        self._note("get", client, verification_id)
        return self.shown._replace(tries=(A_TRY,))

    def resend(self, client, verification_id, request, idempotency=None):
        self._note("resend", client, verification_id, request, idempotency)
        return Started(self.shown, created=False, replayed=self.replayed)

    def check(self, client, verification_id, request, idempotency=None):
        self._note("check", client, verification_id, request, idempotency)
        return Checked(self.shown._replace(status=Status.APPROVED), "a.b.c", replayed=self.replayed)

    def check_by_recipient(self, client, request, idempotency=None):
        self._note("check_by_recipient", client, request, idempotency)
        return Checked(self.shown._replace(status=Status.APPROVED), "a.b.c", replayed=self.replayed)

    def cancel(self, client, verification_id):
        self._note("cancel", client, verification_id)
        return self.shown._replace(status=Status.CANCELED)

    def lookup(self, client, to, idempotency=None):
        self._note("lookup", client, to, idempotency)
        return (self.shown._replace(tries=(A_TRY,)), self.shown)

    def enable(self, client, to, idempotency=None):
        self._note("enable", client, to, idempotency)
        return Enabled("+86138****8000", self.replayed)

    def verify_token(self, client, request, idempotency=None):
        self._note("verify_token", client, request, idempotency)
        return TokenFacts("ver_1", "login", NOW, NOW + 600_000, self.shown.metadata, self.replayed)

    def store_is_up(self):
        return self.up

    def _note(self, *asked):
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
