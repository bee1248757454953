"""`protocol = "webhook"`: the caller's own sender."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator

from otp_service.config.channel import FreeSection, http_address
from otp_service.config.fields import WEBHOOK_SECRETS_HINT, Items, WebhookSecret

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Webhook(FreeSection):
    """A program of the operator's that sends by itself, and is asked by a signed POST."""

    protocol: Literal["webhook"] = Field(description='"webhook"')

    default_reports: ClassVar[Literal["off", "poll", "push"]] = "push"

    url: str = Field(description='the sender\'s address, such as "https://sender.example.com/messages"')
    secrets: Annotated[tuple[WebhookSecret, ...], Items] = Field(
        min_length=1, max_length=2, description=WEBHOOK_SECRETS_HINT
    )
    extno: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{0,20}$")] = Field(
        "", description="at most 20 letters and digits, in quotes"
    )

    def warnings(self) -> list[str]:
        parts = urlsplit(self.url)
        if parts.scheme == "https" or parts.hostname in _LOOPBACK:
            return []
        return ["url: is http://, so codes and numbers are sent in clear; use https://"]

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        return http_address(url)
