"""Cloudflare Turnstile. A token lives 300 s and is taken once (developers.cloudflare.com/turnstile)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from otp_service.captchas.asking import Asker
from otp_service.captchas.siteverify import NOT_ACCEPTED, made_at, siteverify
from otp_service.ports import CaptchaRefused

URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify"


@dataclass(frozen=True, slots=True)
class Turnstile:
    asker: Asker
    site_key: str
    secret: str = field(repr=False)
    hostnames: frozenset[str] = frozenset()
    action: str = ""
    """What the widget was shown for; empty for anything."""
    verifier: ClassVar[str] = "turnstile"

    def close(self) -> None:
        self.asker.close()

    def identity(self, token: str) -> str:
        return token.strip()

    def verify(self, token: str, client_ip: str | None) -> None:
        said = siteverify(self.asker, {"secret": self.secret, "response": token.strip()}, client_ip)
        made_at(said, self.hostnames)
        if self.action and said.get("action") != self.action:
            raise CaptchaRefused(NOT_ACCEPTED)
