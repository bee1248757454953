"""What a caller may ask of the `Verifier`, and what it answers: well-formed values, whose meaning is not yet judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service.verification import Verification


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One `Idempotency-Key` as a caller gave it, with what it was given for."""

    key: str
    path: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asking:
    """How a send is asked for, beside what it is."""

    request_id: str = ""
    """Goes with the send to its last log line."""
    wait: float = 0.0
    """Seconds that the caller gives the first try to come to an outcome."""


@dataclass(slots=True)  # not frozen, as what else is made for each request: that takes three times as long
class StartRequest:
    """What a start says; the values are well-formed, their meaning is not yet judged. Nobody alters one."""

    to: str = field(repr=False)
    purpose: str
    session: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    context: Mapping[str, str] | None = field(default=None, repr=False)
    locale: str | None = None
    channel: str | None = None
    client_ip: str | None = field(default=None, repr=False)
    """Canonical text of an IPv4 or IPv6 address."""
    deliver: bool = True
    metadata: Mapping[str, str] | None = field(default=None, repr=False)
    captcha_token: str | None = field(default=None, repr=False)
    """What the CAPTCHA's widget gave; looked at only where the start needs one, and kept nowhere."""
    asking: Asking = field(default=Asking(), compare=False)


@dataclass(frozen=True, slots=True)
class ResendRequest:
    channel: str | None = None
    exclude_last: bool = False
    asking: Asking = field(default=Asking(), compare=False)


@dataclass(slots=True)
class CheckRequest:
    """`code` as typed; by id `purpose` and `to` are optional, by recipient required. Nobody alters one."""

    code: str = field(repr=False)
    session: str | None = field(default=None, repr=False)
    context: Mapping[str, str] | None = field(default=None, repr=False)
    purpose: str | None = None
    to: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    token: str = field(repr=False)
    purpose: str
    to: str = field(repr=False)
    session: str | None = field(default=None, repr=False)
    context: Mapping[str, str] | None = field(default=None, repr=False)
    consume: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    verification: Verification
    created: bool
    """True for a new verification (201), False for a resend of the pending one (200)."""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Enabled:
    """A recipient whose wrong codes in a row are counted from none again."""

    to: str
    """Masked."""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    verification: Verification
    token: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class TokenFacts:
    verification_id: str
    purpose: str
    approved_at: int
    """Milliseconds since the epoch, as `expires_at`."""
    expires_at: int
    metadata: Mapping[str, str] | None = None
    replayed: bool = False
