"""`protocol = "email"`: mail to an address made of the number."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from otp_service.config.channel import FreeSection
from otp_service.config.fields import Int
from otp_service.errors import ConfigError
from otp_service.value_template import MAIL_NAMES, ValueTemplate, line_escape

# RFC 5321 §4.1.2, without quoted local parts and address literals.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
_LONGEST_ADDRESS = 254
_ADDRESS_NAMES = frozenset({"to", "digits", "national"})
_SAMPLE = dict.fromkeys(MAIL_NAMES, "12065550100") | {"to": "+12065550100"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Email(FreeSection):
    protocol: Literal["email"] = Field(description='"email"')
    host: str = Field(min_length=1, max_length=253, description='a mail server such as "smtp.example.com"')
    port: Int | None = Field(None, ge=1, le=65535, description="1 to 65535; without it 587, 465 or 25, as tls says")
    tls: Literal["starttls", "implicit", "none"] = Field("starttls", description='"starttls", "implicit" or "none"')
    username: str = Field("", max_length=200, description="the login's name; none where the server wants no login")
    password: SecretStr | None = Field(None, description="the login's password, or password_file")
    sender: str = Field(max_length=_LONGEST_ADDRESS, description='a mail address such as "otp@example.com"')
    address: str = Field(max_length=_LONGEST_ADDRESS, description='an address such as "{{ digits }}@sms.example.com"')
    subject: str = Field("", max_length=200, description="one line, which may hold {{ reference }} and others")

    def warnings(self) -> list[str]:
        if self.tls != "none" or self.host in _LOOPBACK:
            return []
        return ['tls: is "none", so codes and numbers are sent in clear; use "starttls" or "implicit"']

    @field_validator("sender")
    @classmethod
    def _is_address(cls, sender: str) -> str:
        if not _ADDRESS.fullmatch(sender):
            raise ValueError("not a mail address")
        return sender

    @field_validator("address")
    @classmethod
    def _makes_an_address(cls, address: str) -> str:
        template = _template(address, _ADDRESS_NAMES)
        if not template.names:
            raise ValueError("holds no number; write {{ digits }}, {{ national }} or {{ to }} in it")
        if not _ADDRESS.fullmatch(template.fill(_SAMPLE, line_escape)):
            raise ValueError("not a mail address once filled")
        return address

    @field_validator("subject")
    @classmethod
    def _is_a_line(cls, subject: str) -> str:
        if line_escape(subject) != subject:
            raise ValueError("not one line")
        _template(subject, MAIL_NAMES)
        return subject

    @field_validator("proxy")
    @classmethod
    def _has_none(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None:
            raise ValueError("mail goes through no proxy; take it out")
        return proxy

    @model_validator(mode="after")
    def _login_is_whole_and_covered(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("password: username and password go together; give both or none")
        if self.username and self.tls == "none" and self.host not in _LOOPBACK:
            raise ValueError('tls: "none" would send the password in clear; write "starttls" or "implicit"')
        return self


def _template(source: str, allowed: frozenset[str]) -> ValueTemplate:
    try:
        return ValueTemplate.parse(source, allowed)
    except ConfigError as error:
        raise ValueError(f"a template that can't be used; {error}") from None
