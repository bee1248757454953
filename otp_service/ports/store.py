"""Every transition of a verification, as the domain asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from otp_service.keyring import VerificationId
from otp_service.ports.asked import Attempt, Bucket, Charge, NewRecord, Prior, SendTerms
from otp_service.ports.guard import Approval, Guarded, Suspicious
from otp_service.ports.standing import Sky


class StoreDown(Exception):
    """Redis did not answer, or can't take a write: nothing is known of what was asked. We fail closed."""


class Row(NamedTuple):
    """A record as one script saw it: `result` is what that script did. Times are milliseconds, Redis's clock.

    A tuple, as are its neighbours on the path of a check or a start: a frozen dataclass of twenty fields takes six
    microseconds to make, and to alter as long again.
    """

    result: str
    now: int
    status: str
    delivery: str
    attempts: int
    sends: int
    resend: int
    purpose: str
    created: int
    expires: int
    code_length: int
    max_attempts: int
    max_sends: int
    kid: str
    mask: bytes
    """Sealed."""
    metadata: bytes | None
    """Sealed."""
    test: bool
    token_ttl: int
    approved: int | None
    token: str | None
    """The id of the token that the approval gave."""
    bound_to: str
    """The number as its token will name it: a keyed hash."""
    guard: Guarded | Approval | None = None
    """What the pumping guard made of this very send or approval; told once, and no part of the answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A limit is full, for `wait` more milliseconds; nothing was counted or written."""

    limit: str
    wait: int
    row: Row | None
    guard: Guarded | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The pending verification is another than the caller thought: ask again with this id ("" for none)."""

    current: str


class TurnedAway(Exception):
    """What was asked was not done, and nothing was counted."""


class StoreFull(StoreDown, TurnedAway):
    """Redis has no memory left for what was asked."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """Too many wrong codes in a row for this client and recipient: nothing was sent, compared or counted."""

    row: Row | None


class Full(TurnedAway):
    """The outbox has no room: nothing was written."""


class Suppressed(TurnedAway):
    """The person behind this number asked this client to send nothing more."""


class Missing(TurnedAway):
    """No such record, or another client's."""


@dataclass(frozen=True, slots=True)
class Unbound:
    """The check names other bindings than the start did; `bindings` are the record's: "", "s", "c" or "sc"."""

    bindings: str
    row: Row


@dataclass(frozen=True, slots=True)
class OtherLength:
    """The code typed is well-formed but not as long as this verification's."""

    row: Row


Sent = Row | Refused | Moved | Disabled | Suspicious
"""What start and resend come to."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds an Idempotency-Key: `request` and `nonce` are the first one's."""

    request: str
    nonce: str
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class View:
    """A record with its tries, and what a resend needs of it; the latter is gone after the end."""

    row: Row
    tries: Sequence[Mapping[str, Any]]
    """Values by name, oldest first."""
    scope: str
    buckets: tuple[Bucket, ...]
    """One of a limit: the latest that a start named."""
    device: str
    to: bytes | None
    seed: bytes | None
    binding: bytes | None
    counter: int
    deliver: bool
    channel: str


class Store(Protocol):
    """Every transition of a verification, one atomic step each. All methods raise `StoreDown`.

    A method that is asked twice with one nonce has the effect of one call and gives the first answer.
    """

    def start(self, record: NewRecord, current: VerificationId | None, terms: SendTerms) -> Sent:
        """Rows: `created`, `resent`. Raises Full, Suppressed."""
        ...

    def resend(self, id: VerificationId, client: str, scope: str, terms: SendTerms) -> Sent:
        """Rows: `resent`, or the status it has ended in. Raises Missing, Full, Suppressed."""
        ...

    def check(self, attempt: Attempt) -> Row | Refused | Disabled | Unbound | OtherLength:
        """Rows: `approved`, `mismatch`, or the status it had ended in before. Raises Missing.

        `pending` when no digest is of the record's key: nothing was compared or counted.
        """
        ...

    def latest(self, partition: int, scope: str) -> str:
        """The id of the latest verification of a scope, ended ones included; "" for none."""
        ...

    def cancel(self, id: VerificationId, client: str) -> Row:
        """Raises Missing."""
        ...

    def view(self, id: VerificationId, client: str) -> View:
        """Raises Missing."""
        ...

    def recent(self, partition: int, owner: str, scopes: Sequence[str]) -> Sequence[str]:
        """Ids of one client's and recipient's verifications, the latest twenty among them, in no order.

        `scopes` are those that have no session: a list holds only what they do not name.
        """
        ...

    def await_outcome(self, id: VerificationId, seconds: float) -> None:
        """Return once the latest send's first try has an outcome, or after `seconds`."""
        ...

    def sky(self, channels: Sequence[str]) -> Sky:
        """How the channels stand."""
        ...

    def suppress(self, partition: int, owner: str, lift: bool = False) -> None:
        """Send nothing more to this recipient of this client; `lift`: send again."""
        ...

    def now(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def use_token(self, id: VerificationId, client: str, token: str, nonce: str, consume: bool) -> Row | None:
        """None when it was used before. Raises Missing."""
        ...

    def claim(self, name: str, request: str, nonce: str) -> Claim: ...

    def keep(self, name: str, request: str, nonce: str, answer: bytes) -> None: ...

    def release(self, name: str, nonce: str) -> None: ...

    def charge(self, charges: Sequence[Charge], nonce: str) -> Prior:
        """Count a send where there is room for it; the longest wait of where there is none."""
        ...

    def refund(self, charges: Sequence[Charge], nonce: str) -> None:
        """This send no longer counts."""
        ...

    def brake(self, client: str, failed: int, approved: int) -> int:
        """Note verifications of a client that failed and that were approved; how long its checks are braked."""
        ...

    def failed(self, partition: int, owner: str) -> int:
        """Wrong codes in a row."""
        ...

    def enable(self, partition: int, owner: str) -> None:
        """Wrong codes in a row are counted from none again."""
        ...
