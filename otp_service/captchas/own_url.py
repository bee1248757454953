"""`verifier = "url"`: a verifier of the operator's own, for any other CAPTCHA.

It is asked     POST, signed as Standard Webhooks, with {"type": "captcha.verify", "token", "client_ip"}; the latter is
                null where it is not known
It answers      200, {"success": true} or {"success": false}; whatever else is no verdict
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from otp_service.captchas.asking import Asker
from otp_service.captchas.siteverify import NOT_ACCEPTED
from otp_service.ports import CaptchaDown, CaptchaRefused
from otp_service.webhook_signature import sign


@dataclass(frozen=True, slots=True)
class OwnUrl:
    asker: Asker
    site_key: str
    secret: str = field(repr=False)
    """`whsec_…`."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch, for the timestamp."""
    verifier: ClassVar[str] = "url"

    def close(self) -> None:
        self.asker.close()

    def identity(self, token: str) -> str:
        return token.strip()

    def verify(self, token: str, client_ip: str | None) -> None:
        words = {"type": "captcha.verify", "token": token.strip(), "client_ip": client_ip}
        body = json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()
        headers = sign([self.secret], f"cap_{secrets.token_hex(16)}", int(self.clock()), body)
        answer = self.asker.post(body, headers | {"Content-Type": "application/json"})
        success = answer.said.get("success")
        if answer.status != 200 or not isinstance(success, bool):
            raise CaptchaDown(f"HTTP {answer.status} without a verdict", silent=False)
        if not success:
            raise CaptchaRefused(NOT_ACCEPTED)
