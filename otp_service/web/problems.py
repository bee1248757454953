"""Problems on the wire. The one table from a problem to its HTTP status, and RFC 9457's document of it."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from otp_service import errors
from otp_service.errors import Problem
from otp_service.web.answers import VerificationJson, verification_json
from otp_service.web.exchange import PROBLEM_JSON, Response, to_json


class Internal(Problem):
    """What we did not foresee. Not part of the error tree: nobody raises it on purpose."""

    name = "internal"
    title = "Internal error"


STATUS: dict[type[Problem], int] = {
    errors.InvalidRequest: 400,
    errors.InvalidRecipient: 400,
    errors.UnknownPurpose: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.CodeMismatch: 422,
    errors.AlreadyApproved: 410,
    errors.Exhausted: 410,
    errors.Expired: 410,
    errors.Canceled: 410,
    errors.RateLimited: 429,
    errors.RecipientBlocked: 422,
    errors.RecipientDisabled: 403,
    errors.TokenInvalid: 403,
    errors.TokenExpired: 410,
    errors.TokenUsed: 410,
    errors.ChallengeRequired: 422,
    errors.IdempotencyMismatch: 422,
    errors.Unavailable: 503,
    Internal: 500,
}
BY_NAME: dict[str, type[Problem]] = {problem.name: problem for problem in STATUS}

_ALWAYS_RETRY_AFTER = frozenset({429, 503})
_LISTS_ERRORS = frozenset({errors.InvalidRequest, errors.InvalidRecipient})


class FieldErrorJson(TypedDict):
    pointer: Annotated[str, Field(description="RFC 6901, into the body; empty: the body as a whole.")]
    detail: str


class ChallengeJson(TypedDict):
    verifier: Annotated[str, Field(description="Which widget: `turnstile`, `hcaptcha`, `geetest`, or `url`, yours.")]
    site_key: Annotated[str, Field(description="What the widget needs; GeeTest calls it captcha_id.")]


class ProblemJson(TypedDict):
    """RFC 9457, with `problem` as the stable name to branch on."""

    type: Annotated[str, Field(description="The page about this problem, served here.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What to mend. For developers; its wording may change.")]
    problem: Annotated[str, Field(description="The stable name.")]
    errors: NotRequired[Annotated[list[FieldErrorJson], Field(description="One for each field to mend.")]]
    verification: NotRequired[VerificationJson]
    attempts_left: NotRequired[int]
    limit: NotRequired[Annotated[str, Field(description="The limit that is reached.")]]
    challenge: NotRequired[Annotated[ChallengeJson, Field(description="The widget to show the person.")]]
    reason: NotRequired[Annotated[str, Field(description="Why: `client`, each start of it; `suspicious`, this one.")]]
    retry_after: NotRequired[Annotated[int, Field(description="Whole seconds, as in Retry-After.")]]


def problem_json(problem: Problem) -> ProblemJson:
    status = STATUS[type(problem)]
    document: ProblemJson = {
        "type": f"/problems/{problem.name}",
        "title": problem.title,
        "status": status,
        "detail": problem.detail,
        "problem": problem.name,
    }
    if type(problem) in _LISTS_ERRORS:
        document["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in problem.errors]
    if problem.verification is not None:
        document["verification"] = verification_json(problem.verification)
        if isinstance(problem, errors.CodeMismatch):
            document["attempts_left"] = problem.verification.attempts_left
    if problem.limit is not None:
        document["limit"] = problem.limit
    if isinstance(problem, errors.ChallengeRequired):
        document["challenge"] = {"verifier": problem.verifier, "site_key": problem.site_key}
        document["reason"] = problem.reason
    if status in _ALWAYS_RETRY_AFTER:
        document["retry_after"] = max(problem.retry_after or 0, 1)
    return document


def problem_response(problem: Problem) -> Response:
    document: Any = problem_json(problem)
    headers: list[tuple[str, str]] = []
    if "retry_after" in document:
        headers.append(("Retry-After", str(document["retry_after"])))
    if isinstance(problem, errors.Unauthorized):
        headers.append(("WWW-Authenticate", "Bearer"))
    if problem.replayed:
        headers.append(("Idempotent-Replayed", "true"))
    return Response(document["status"], to_json(document), PROBLEM_JSON, tuple(headers))
