"""`protocol = "smpp"`: a carrier's message centre, by SMPP 3.4."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from otp_service.config.channel import FreeSection
from otp_service.config.fields import Float, Int

_WORD = Annotated[str, StringConstraints(pattern=r"^[!-~]*$")]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Smpp(FreeSection):
    """Bound as a transceiver; lengths are those of the specification, or more where SMSC are known to take it."""

    protocol: Literal["smpp"] = Field(description='"smpp"')

    default_reports: ClassVar[Literal["off", "poll", "push"]] = "poll"

    host: str = Field(min_length=1, max_length=253, description='a host such as "smsc.example.com"')
    port: Int = Field(2775, ge=1, le=65535, description="1 to 65535; 2775 is usual, 3550 with TLS")
    tls: bool = Field(False, description="true or false")
    system_id: _WORD = Field(min_length=1, max_length=15, description="the account's name, at most 15 characters")
    password: SecretStr = Field(max_length=64, description="the account's password, or password_file")
    system_type: _WORD = Field("", max_length=12, description="at most 12 characters, as the carrier gave it")
    sender: Annotated[str, StringConstraints(pattern=r"^(\+?[0-9]{1,15}|[ -~]{1,11})?$")] = Field(
        "", description="a number, or a name of at most 11 characters"
    )
    source_ton: Int | None = Field(None, ge=0, le=6, description="0 to 6; without it the sender tells")
    source_npi: Int | None = Field(None, ge=0, le=18, description="0 to 18; without it the sender tells")
    long_texts: Literal["udh", "payload"] = Field("udh", description='"udh" (several parts) or "payload"')
    receipts: bool = Field(True, description="true or false: whether to ask for delivery receipts")
    decimal_receipts: bool = Field(
        False, description="true where receipts give in decimal the id that the answer gave in hex, else false"
    )
    window: Int = Field(10, ge=1, le=1000, description="1 to 1000: requests that may wait for their answers")
    enquire_link: Float = Field(30.0, ge=1, le=600, description="1 to 600 seconds")
    statuses: dict[str, Literal["number", "content", "account", "balance", "config", "rate", "retryable"]] = Field(
        {}, description='what the carrier\'s own statuses mean, as { "0x401" = "balance" }'
    )

    def warnings(self) -> list[str]:
        if self.tls or self.host in _LOOPBACK:
            return []
        return ["tls: is off, so codes and the password are sent in clear; use TLS, or a private line to the carrier"]

    @field_validator("password")
    @classmethod
    def _is_ascii(cls, password: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[ -~]*", password.get_secret_value()):
            raise ValueError("holds a character that is not ASCII; SMPP takes no other")
        return password

    @field_validator("statuses")
    @classmethod
    def _are_statuses(cls, statuses: dict[str, str]) -> dict[str, str]:
        for status in statuses:
            if not re.fullmatch(r"0x[1-9a-f][0-9a-f]{0,7}", status):
                raise ValueError(f'{status[:12]!r} is no status; write it in hex and small letters, as "0x401"')
        return statuses

    @field_validator("proxy")
    @classmethod
    def _has_none(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            raise ValueError("SMPP goes through no proxy; take it out")
        return proxy
