"""The table of calls: which endpoint serves which path, and what is said about it in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service import errors
from otp_service.errors import Problem
from otp_service.web import answers, endpoints
from otp_service.web.problems import Internal
from otp_service.web.schemas import (
    Body,
    CheckBody,
    CheckByRecipientBody,
    EnableBody,
    LookupBody,
    ResendBody,
    StartBody,
    TokenBody,
)
from otp_service.web.service import Endpoint


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    """Its template; `{id}` stands for a verification's id."""
    endpoint: Endpoint
    operation: str
    summary: str
    description: str
    answers: dict[int, str]
    """What each success means, by status."""
    answer: type
    problems: tuple[type[Problem], ...]
    """Those that only this call knows; `all_problems` has the others too."""
    body: type[Body] | None = None
    body_required: bool = True
    keyed: bool = True
    """Takes an Idempotency-Key, where it has a body; a mere question needs none."""
    waits: bool = False
    """Takes `Prefer: wait`."""

    @property
    def all_problems(self) -> tuple[type[Problem], ...]:
        reading = _WITH_BODY if self.body else ()
        keyed = (errors.IdempotencyMismatch,) if self.body and self.keyed else ()
        return (*reading, *keyed, errors.Unauthorized, *self.problems, errors.Unavailable, Internal)


_WITH_BODY = (
    errors.InvalidRequest,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
)
# `check` and `lookup` in the place of an id are other calls' paths, which take POST only.
_BY_ID = (errors.NotFound, errors.MethodNotAllowed)
_ENDS = (errors.AlreadyApproved, errors.Exhausted, errors.Expired, errors.Canceled)
_SENDING = (errors.RateLimited, errors.RecipientBlocked, errors.RecipientDisabled)
_CHECKING = (errors.NotFound, errors.CodeMismatch, *_ENDS, errors.RateLimited, errors.RecipientDisabled)

CALLS = (
    Call(
        "POST",
        "/v1/verifications",
        endpoints.start,
        operation="start",
        summary="Start a verification",
        description=(
            "Sends a code. While a verification of the same client, purpose, recipient and session is pending, this "
            "sends the same code again, once its cooldown is over. It waits for a gateway only if asked to: "
            "`Prefer: wait=5` gives the first try up to five seconds to come to an outcome, told by `delivery`."
        ),
        answers={201: "A new verification.", 200: "The pending one; its code was sent again."},
        answer=answers.VerificationJson,
        problems=(
            errors.InvalidRecipient,
            errors.UnknownPurpose,
            errors.Forbidden,
            errors.ChallengeRequired,
            *_SENDING,
        ),
        body=StartBody,
        waits=True,
    ),
    Call(
        "GET",
        "/v1/verifications/{id}",
        endpoints.get,
        operation="get",
        summary="Read a verification",
        description="Its state, with every try: for the back office, not for the person. Kept two hours after its end.",
        answers={200: "The verification."},
        answer=answers.VerificationJson,
        problems=_BY_ID,
    ),
    Call(
        "POST",
        "/v1/verifications/{id}/resend",
        endpoints.resend,
        operation="resend",
        summary="Send again",
        description=(
            "Sends the code of a pending verification again. Attempts and expiry stay as they are. `Prefer: wait=5` "
            "works as at the start."
        ),
        answers={200: "The verification."},
        answer=answers.VerificationJson,
        problems=(errors.UnknownPurpose, errors.NotFound, *_ENDS, *_SENDING),
        body=ResendBody,
        body_required=False,
        waits=True,
    ),
    Call(
        "POST",
        "/v1/verifications/{id}/check",
        endpoints.check,
        operation="check",
        summary="Check a code",
        description=(
            "Counts the attempt, compares, and uses the code up. Send an Idempotency-Key: then a lost answer can be "
            "asked for again, and the token is the same."
        ),
        answers={200: "Approved, with the token."},
        answer=answers.CheckedJson,
        problems=(errors.InvalidRecipient, *_CHECKING),
        body=CheckBody,
    ),
    Call(
        "POST",
        "/v1/verifications/check",
        endpoints.check_by_recipient,
        operation="checkByRecipient",
        summary="Check a code by recipient",
        description="As the check by id, of the latest verification of exactly this recipient, purpose and session.",
        answers={200: "Approved, with the token."},
        answer=answers.CheckedJson,
        problems=(errors.InvalidRecipient, errors.UnknownPurpose, errors.Forbidden, *_CHECKING),
        body=CheckByRecipientBody,
    ),
    Call(
        "POST",
        "/v1/verifications/lookup",
        endpoints.lookup,
        operation="lookup",
        summary="Look up a recipient",
        description="This client's latest 20 verifications of a recipient, ended ones included: for support.",
        answers={200: "The verifications, newest first, with every try."},
        answer=answers.LookupJson,
        problems=(errors.InvalidRecipient,),
        body=LookupBody,
    ),
    Call(
        "POST",
        "/v1/recipients/enable",
        endpoints.enable,
        operation="enable",
        summary="Enable a recipient",
        description=(
            "Lifts `recipient_disabled`: after too many wrong codes in a row, once you are sure of the person by other "
            "means. It frees no limit; a recipient that is not disabled stays as it is, but counts from none again."
        ),
        answers={200: "It may be verified again."},
        answer=answers.EnabledJson,
        problems=(errors.InvalidRecipient,),
        body=EnableBody,
    ),
    Call(
        "DELETE",
        "/v1/verifications/{id}",
        endpoints.cancel,
        operation="cancel",
        summary="Cancel a verification",
        description="Ends it; what still waits to be sent is not sent. Also answers 200 when it was canceled before.",
        answers={200: "The canceled verification."},
        answer=answers.VerificationJson,
        problems=(*_BY_ID, errors.AlreadyApproved, errors.Exhausted, errors.Expired),
    ),
    Call(
        "POST",
        "/v1/tokens/verify",
        endpoints.verify_token,
        operation="verifyToken",
        summary="Check a token",
        description="Is this token genuine, and for exactly this? With `consume`, it is good only once.",
        answers={200: "Genuine, and for this."},
        answer=answers.TokenJson,
        problems=(
            errors.InvalidRecipient,
            errors.UnknownPurpose,
            errors.Forbidden,
            errors.TokenInvalid,
            errors.TokenExpired,
            errors.TokenUsed,
        ),
        body=TokenBody,
    ),
)
