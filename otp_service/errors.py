"""Every error that a caller can meet, as one tree. The HTTP status of each stands once, in `web/problems.py`.

OtpServiceError
├── ConfigError                 the configuration can't be used; names the key and what to write
└── Problem                     a request was refused; `name` is the stable word of the API
    ├── InvalidRequest          carries `errors`: pointer and detail each
    ├── InvalidRecipient        carries `errors`, always at /to
    ├── UnknownPurpose
    ├── Unauthorized, Forbidden
    ├── NotFound
    ├── CodeMismatch            carries the verification
    ├── Ended                   AlreadyApproved, Exhausted, Expired, Canceled: carry the verification
    ├── RateLimited             carries `limit` and `retry_after`
    ├── RecipientBlocked, RecipientDisabled
    ├── TokenInvalid, TokenExpired, TokenUsed
    ├── ChallengeRequired       carries the widget to show, and why it is needed
    ├── IdempotencyMismatch
    └── Unavailable             carries `retry_after`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from otp_service.verification import Verification


class OtpServiceError(Exception):
    """The root: catch it to catch everything that this package raises on purpose."""


class ConfigError(OtpServiceError):
    """The configuration can't be used. The text names the key and says what to write; it never holds a secret."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request that needs mending."""

    pointer: str
    """RFC 6901, into the request's body (`/to`); `` means the body as a whole."""
    detail: str


class Problem(OtpServiceError):
    """A refused request. `detail` says what to mend, and never repeats a code, a number or a secret."""

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        verification: Verification | None = None,
        limit: str | None = None,
        retry_after: int | None = None,
        replayed: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.verification = verification
        self.limit = limit
        self.retry_after = retry_after
        """Whole seconds, rounded up."""
        self.replayed = replayed
        """True when this is the kept answer to an earlier request with the same Idempotency-Key."""


class InvalidRequest(Problem):
    name = "invalid_request"
    title = "The request is not valid"


class InvalidRecipient(Problem):
    name = "invalid_recipient"
    title = "The recipient is not a phone number that we can use"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=(FieldError("/to", detail),))


class UnknownPurpose(Problem):
    name = "unknown_purpose"
    title = "The purpose is not configured"


class Unauthorized(Problem):
    name = "unauthorized"
    title = "The API key is missing or not valid"


class Forbidden(Problem):
    name = "forbidden"
    title = "The API key does not allow this"


class NotFound(Problem):
    name = "not_found"
    title = "There is nothing here"


class MethodNotAllowed(Problem):
    name = "method_not_allowed"
    title = "This address does not take that method"


class PayloadTooLarge(Problem):
    name = "payload_too_large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    name = "unsupported_media_type"
    title = "The body must be JSON"


class CodeMismatch(Problem):
    name = "code_mismatch"
    title = "The code is not the right one"


class Ended(Problem):
    """The verification is over; which end it came to is remembered."""


class AlreadyApproved(Ended):
    name = "already_approved"
    title = "This verification was approved before"


class Exhausted(Ended):
    name = "exhausted"
    title = "This verification has no attempts left"


class Expired(Ended):
    name = "expired"
    title = "This verification has expired"


class Canceled(Ended):
    name = "canceled"
    title = "This verification was canceled"


class RateLimited(Problem):
    name = "rate_limited"
    title = "A limit is reached"


class RecipientBlocked(Problem):
    name = "recipient_blocked"
    title = "This number is not served"


class RecipientDisabled(Problem):
    name = "recipient_disabled"
    title = "This number is disabled after too many wrong codes"


class TokenInvalid(Problem):
    name = "token_invalid"
    title = "The token is not valid for this"


class TokenExpired(Problem):
    name = "token_expired"
    title = "The token has expired"


class TokenUsed(Problem):
    name = "token_used"
    title = "The token was used before"


class ChallengeRequired(Problem):
    name = "challenge_required"
    title = "A CAPTCHA must be solved first"

    def __init__(self, detail: str, *, reason: str = "client", verifier: str = "", site_key: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        """`client`: each start of this client needs one; `suspicious`: this one does."""
        self.verifier = verifier
        self.site_key = site_key


class IdempotencyMismatch(Problem):
    name = "idempotency_mismatch"
    title = "The Idempotency-Key was used for another request"


class Unavailable(Problem):
    name = "unavailable"
    title = "The service can't answer safely now"
