"""`[challenge]`: the CAPTCHA service that says whether a person asks."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from otp_service.config.channel import http_address
from otp_service.config.fields import Float, Items
from otp_service.config.key_material import decode_webhook_secret
from otp_service.config.section import Section

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOSTNAME = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
_TEST_SECRETS = ("1x0000000000000000000000000000000AA", "0x0000000000000000000000000000000000000000")
"""Turnstile's and hCaptcha's published ones, for tests of a page: they let everybody pass."""
SHORTEST_SECRET = 16
"""Characters. GeeTest's keys have 32, Turnstile's 35, hCaptcha's 42."""


class ChallengeSection(Section):
    verifier: Literal["turnstile", "hcaptcha", "geetest", "url"] = Field(
        description='"turnstile", "hcaptcha", "geetest" or "url" (one of your own)'
    )
    site_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,200}$")] = Field(
        "", description="the key that the page shows the widget with, at most 200 characters; GeeTest: the captcha_id"
    )
    secret: SecretStr = Field(
        description='the secret key of the site (GeeTest: the captcha_key); for "url": whsec_ and what '
        "`openssl rand -base64 32` prints"
    )
    url: str = Field("", description='an address such as "https://captcha.example.com/verify"')
    hostnames: Annotated[tuple[Annotated[str, StringConstraints(pattern=_HOSTNAME)], ...], Items] = Field(
        (), description='hosts of the pages that show the widget, such as ["www.example.com"]'
    )
    action: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = Field(
        "", description="what the widget is shown for, at most 32 of A-Z, a-z, 0-9, _ and -"
    )
    timeout: Float = Field(3.0, gt=0, le=10, description="seconds for an answer, more than 0, at most 10")
    on_error: Literal["refuse", "pass"] = Field("refuse", description='"refuse" or "pass"')

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url) if url else url

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for fault in (self._address_fault(), self._secret_fault(), self._unread_fault()):
            if fault:
                raise ValueError(fault)
        return self

    def _address_fault(self) -> str:
        own = self.verifier == "url"
        if own and not self.url:
            return 'url: missing; write your verifier\'s address, such as "https://captcha.example.com/verify"'
        if not own and not self.site_key:
            return "site_key: missing; write the key that the page shows the widget with (GeeTest: the captcha_id)"
        parts = urlsplit(self.url)
        if not own and self.url and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            return "url: not https://, and the secret would be sent in clear; use https://"
        return ""

    def _secret_fault(self) -> str:
        secret = self.secret.get_secret_value().strip()
        if self.verifier == "url":
            try:
                decode_webhook_secret(secret)
            except ValueError as error:
                return f"secret: {error}"
        elif len(secret) < SHORTEST_SECRET or secret == self.site_key:
            return "secret: too short, or the site key; write the secret key of the site"
        return ""

    def _unread_fault(self) -> str:
        """What the verifier's answers do not tell must not seem to be checked."""
        if self.hostnames and self.verifier not in ("turnstile", "hcaptcha"):
            return 'hostnames: only "turnstile" and "hcaptcha" tell where a token was made; take it out'
        if self.action and self.verifier != "turnstile":
            return 'action: only "turnstile" tells what a widget was shown for; take it out'
        return ""

    @property
    def lets_everybody_pass(self) -> bool:
        return self.secret.get_secret_value().strip() in _TEST_SECRETS

    def warnings(self) -> list[str]:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or parts.hostname in _LOOPBACK:
            return []
        return ["url: is http://, so whoever is on the way can say that a token is good; use https://"]
