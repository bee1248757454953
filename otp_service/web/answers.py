"""The documents that the API answers with: their fields, for the OpenAPI document, and how each is made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from otp_service.calls import TokenFacts
from otp_service.ports import Outcome, Reason
from otp_service.verification import Delivery, Status, Try, Verification

Time = Annotated[
    str,
    Field(
        description="RFC 3339, UTC, to the millisecond.",
        examples=["2026-03-01T08:30:00.000Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Id = Annotated[
    str,
    Field(
        description="38 letters, digits and an underscore. Case matters.",
        examples=["ver_1rk2BLOIFpu30at2PZwrXxitP2xYCPuZcO"],
    ),
]
Mask = Annotated[str, Field(description="The mask of the number, never the number.", examples=["+86138****8000"])]
Metadata = Annotated[dict[str, str], Field(description="As given at the start.")]


class TryJson(TypedDict):
    """One hand-over of a send to one channel."""

    send: Annotated[int, Field(description="Which send it was; 1 is the first.")]
    channel: str
    outcome: Annotated[Outcome | None, Field(description="Null while the gateway has not answered.")]
    reason: Reason | None
    detail: Annotated[str, Field(description="The gateway's own words, digit runs masked.")]
    gateway_id: Annotated[str, Field(description="The gateway's id of the message; empty when it gave none.")]
    at: Time
    took_ms: int | None
    report: NotRequired[Annotated[str, Field(description="The gateway's later delivery report.")]]


class VerificationJson(TypedDict):
    """The request to prove control of a recipient, as it is now."""

    id: Id
    status: Annotated[Status, Field(examples=["pending"])]
    delivery: Annotated[Delivery, Field(description="Of the latest send.", examples=["queued"])]
    to: Mask
    purpose: Annotated[str, Field(examples=["login"])]
    created_at: Time
    expires_at: Annotated[Time, Field(examples=["2026-03-01T08:35:00.000Z"])]
    expires_in: Annotated[int, Field(description="Whole seconds left; 0 once it has ended.", examples=[300])]
    code_length: Annotated[int, Field(examples=[6])]
    attempts_left: Annotated[int, Field(examples=[5])]
    sends: Annotated[int, Field(examples=[1])]
    sends_left: Annotated[int, Field(examples=[3])]
    resend_at: Annotated[Time, Field(examples=["2026-03-01T08:31:00.000Z"])]
    resend_in: Annotated[int, Field(description="Whole seconds until a resend is possible.", examples=[60])]
    tries: Annotated[list[TryJson], Field(description="On GET and in a look-up; empty elsewhere.", examples=[[]])]
    metadata: NotRequired[Metadata]
    test: NotRequired[Annotated[Literal[True], Field(description="A configured test number: nothing is ever sent.")]]


class CheckedJson(VerificationJson):
    """The approved verification, with its proof."""

    token: Annotated[str, Field(description="The signed proof; hand it to whoever acts on the approval.")]


class LookupJson(TypedDict):
    """This client's latest verifications of one recipient."""

    verifications: Annotated[list[VerificationJson], Field(description="At most 20, the newest first, with every try.")]


class EnabledJson(TypedDict):
    """A recipient that may be verified again."""

    to: Annotated[str, Field(description="Masked.", examples=["+86138****8000"])]
    enabled: Literal[True]


class TokenJson(TypedDict):
    """What a genuine token proves."""

    valid: Literal[True]
    verification_id: Id
    purpose: Annotated[str, Field(examples=["login"])]
    approved_at: Time
    expires_at: Time
    metadata: NotRequired[Metadata]


def verification_json(shown: Verification, *, metadata: Mapping[str, str] | None = None) -> VerificationJson:
    """What every answer shows. Tries and metadata are for some answers only, so they are asked for by name."""
    document: VerificationJson = {
        "id": shown.id,
        # Plain words: to encode an enum takes as long as all the rest.
        "status": cast(Status, str(shown.status)),
        "delivery": cast(Delivery, str(shown.delivery)),
        "to": shown.to,
        "purpose": shown.purpose,
        "created_at": moment(shown.created_at),
        "expires_at": moment(shown.expires_at),
        "expires_in": shown.expires_in,
        "code_length": shown.code_length,
        "attempts_left": shown.attempts_left,
        "sends": shown.sends,
        "sends_left": shown.sends_left,
        "resend_at": moment(shown.resend_at),
        "resend_in": shown.resend_in,
        "tries": [],
    }
    if metadata is not None:
        document["metadata"] = dict(metadata)
    if shown.test:
        document["test"] = True
    return document


def full_verification_json(shown: Verification) -> VerificationJson:
    """With every try: for the back office."""
    document = verification_json(shown, metadata=shown.metadata)
    document["tries"] = [_try_json(one) for one in shown.tries]
    return document


def lookup_json(found: Sequence[Verification]) -> LookupJson:
    return {"verifications": [full_verification_json(one) for one in found]}


def checked_json(approved: Verification, token: str) -> CheckedJson:
    return {**verification_json(approved, metadata=approved.metadata), "token": token}


def token_json(facts: TokenFacts) -> TokenJson:
    document: TokenJson = {
        "valid": True,
        "verification_id": facts.verification_id,
        "purpose": facts.purpose,
        "approved_at": moment(facts.approved_at),
        "expires_at": moment(facts.expires_at),
    }
    if facts.metadata is not None:
        document["metadata"] = dict(facts.metadata)
    return document


def moment(ms: int) -> str:
    """RFC 3339, UTC, of milliseconds since the epoch."""
    seconds, rest = divmod(ms, 1000)
    return f"{_to_the_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    """Kept, as requests of one second share most of their times."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _try_json(one: Try) -> TryJson:
    document: TryJson = {
        "send": one.send,
        "channel": one.channel,
        "outcome": Outcome(one.outcome) if one.outcome else None,
        "reason": Reason(one.reason) if one.reason else None,
        "detail": one.detail,
        "gateway_id": one.gateway_id,
        "at": moment(one.at),
        "took_ms": one.took_ms,
    }
    if one.report is not None:
        document["report"] = one.report
    return document
