"""The bodies that callers send: one strict model each. The OpenAPI document is made from the same models."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from otp_service import codes
from otp_service.calls import Asking, CheckRequest, ResendRequest, StartRequest, TokenRequest
from otp_service.errors import InvalidRequest
from otp_service.web.field_errors import CONTROL_FREE, LANGUAGE_TAG, field_errors

MAX_ENTRIES = 10
MAX_ENTRIES_BYTES = 1024
"""Of all names and values of `context` or `metadata` together, in UTF-8, without JSON's own quotes and commas."""

MAX_CAPTCHA_TOKEN = 4096
"""Turnstile's have at most 2048 characters; GeeTest's four fields together stay below 2000."""


def _small(entries: dict[str, str]) -> dict[str, str]:
    if sum(len(text.encode()) for entry in entries.items() for text in entry) > MAX_ENTRIES_BYTES:
        raise PydanticCustomError(
            "entries_bytes", "must hold at most 1024 bytes: its names and values together, in UTF-8"
        )
    return entries


def _canonical_ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise PydanticCustomError("client_ip", "must be one IPv4 or IPv6 address, without a port") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise PydanticCustomError("client_ip", "must be an address without a zone (%…)")
        # Else one person would have two allowances: 203.0.113.7 and ::ffff:203.0.113.7.
        return str(address.ipv4_mapped or address)
    return str(address)


Opaque = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=CONTROL_FREE)]
Entries = Annotated[dict[str, str], Field(max_length=MAX_ENTRIES), AfterValidator(_small)]
ClientIp = Annotated[str, StringConstraints(max_length=64), AfterValidator(_canonical_ip)]
Number = Annotated[
    str,
    StringConstraints(max_length=250),
    Field(description="The phone number: E.164 (`+8613800138000`), or as dialled in the default region."),
]
Purpose = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Field(description="What the code is for: `login`, `signup`, `password_reset` or another configured name."),
]
SESSION = "Your binding to one sign-in attempt. The check must carry the same one, and so must the token check."
CONTEXT = "Facts that the code approves (amount, payee). The check must carry exactly the same; order is free."


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Judge a parsed body. Raises InvalidRequest with one error for each field that needs mending."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            errors = field_errors(error, tuple(cls.model_fields))
        # Raised outside the handler: pydantic's error knows the values and must not travel along as the cause.
        detail = "; ".join(f"{e.pointer[1:] or 'the body'} {e.detail}" for e in errors[:3])
        raise InvalidRequest(f"{detail}.", errors=errors)


class StartBody(Body):
    """Whom to send a code, and for what."""

    to: Number
    purpose: Purpose
    session: Opaque | None = Field(None, description=SESSION)
    device: Opaque | None = Field(
        None, description="Your stable id of the browser or handset. A known one has an allowance of its own."
    )
    context: Entries | None = Field(None, description=CONTEXT)
    locale: Annotated[str, StringConstraints(max_length=35, pattern=LANGUAGE_TAG)] | None = Field(
        None, description="Language of the text, such as `zh-CN` or `en`; the purpose's own if not given."
    )
    channel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        None, description="Name of the only configured channel to send by: no other takes over when it fails."
    )
    client_ip: ClientIp | None = Field(
        None, description="The person's address as you know it. Never taken from headers."
    )
    deliver: bool | None = Field(
        None, description="`false`: behave alike but send nothing, for a reset of an account that does not exist."
    )
    metadata: Entries | None = Field(
        None, description="Kept sealed, and given back on GET, check and token check. ≤ 10 entries, ≤ 1 KiB."
    )
    captcha_token: (
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_CAPTCHA_TOKEN, pattern=CONTROL_FREE)] | None
    ) = Field(
        None,
        description="What the CAPTCHA's widget gave, after a `challenge_required`; good for one start. Of GeeTest the "
        "JSON object of `getValidate()`, as a string. Not looked at where none is needed.",
    )

    def request(self, asking: Asking) -> StartRequest:
        return StartRequest(**{**self.__dict__, "deliver": self.deliver is not False}, asking=asking)


class ResendBody(Body):
    """How to send again. An empty body, or none, will do."""

    channel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        None, description="Name of the only configured channel to send by: no other takes over when it fails."
    )
    exclude_last: bool | None = Field(None, description="`true`: not by the channel that was tried last.")

    def request(self, asking: Asking) -> ResendRequest:
        return ResendRequest(self.channel, self.exclude_last is True, asking)


Code = Annotated[
    str,
    Field(
        description="As the person typed it: full-width digits, blanks and hyphens are folded. Always a string.",
        examples=["345678"],
    ),
]


class CheckBody(Body):
    """The code, with everything that the verification was bound to."""

    code: Code
    session: Opaque | None = Field(None, description="As at the start; a wrong one is a wrong code.")
    context: Entries | None = Field(None, description="As at the start; a wrong one is a wrong code.")
    purpose: Purpose | None = None
    to: Number | None = None
    device: Opaque | None = Field(None, description="Your stable id of the browser or handset.")

    def request(self) -> CheckRequest:
        return CheckRequest(codes.normalize(self.code), self.session, self.context, self.purpose, self.to, self.device)


class CheckByRecipientBody(CheckBody):
    """The code, with the recipient and purpose in place of an id."""

    purpose: Purpose
    to: Number


class LookupBody(Body):
    """Whose verifications support wants to see."""

    to: Number


class EnableBody(Body):
    """Whom too many wrong codes in a row have disabled."""

    to: Number


class TokenBody(Body):
    """The token that your front end brought, and what you expect it to prove."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    purpose: Purpose
    to: Number
    session: Opaque | None = Field(None, description="As at the start.")
    context: Entries | None = Field(None, description="As at the start.")
    consume: bool | None = Field(None, description="`true`: use the token up, so that it is good only once.")

    def request(self) -> TokenRequest:
        return TokenRequest(**{**self.__dict__, "consume": self.consume is True})
