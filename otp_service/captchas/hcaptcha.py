"""hCaptcha. A token lives 120 s and is taken once (docs.hcaptcha.com)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from otp_service.captchas.asking import Asker
from otp_service.captchas.siteverify import made_at, siteverify

URL = "https://api.hcaptcha.com/siteverify"


@dataclass(frozen=True, slots=True)
class HCaptcha:
    asker: Asker
    site_key: str
    secret: str = field(repr=False)
    hostnames: frozenset[str] = frozenset()
    verifier: ClassVar[str] = "hcaptcha"

    def close(self) -> None:
        self.asker.close()

    def identity(self, token: str) -> str:
        return token.strip()

    def verify(self, token: str, client_ip: str | None) -> None:
        # With the site key, so that a token of another site of the same account is refused.
        fields = {"secret": self.secret, "response": token.strip(), "sitekey": self.site_key}
        made_at(siteverify(self.asker, fields, client_ip), self.hostnames)
