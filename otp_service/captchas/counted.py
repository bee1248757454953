"""A challenger, with each verdict counted, and said where an operator must know of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import structlog

from otp_service import metrics
from otp_service.ports import CaptchaDown, CaptchaRefused, Challenger
from otp_service.seldom import Seldom

_LOG = structlog.get_logger("otp_service.captchas")


@dataclass(frozen=True, slots=True)
class Counted:
    """Implements `ports.Challenger` around another."""

    inner: Challenger
    _seldom: Seldom = field(default_factory=Seldom, repr=False)

    @property
    def verifier(self) -> str:
        return self.inner.verifier

    @property
    def site_key(self) -> str:
        return self.inner.site_key

    def close(self) -> None:
        self.inner.close()

    def identity(self, token: str) -> str:
        return self.inner.identity(token)

    def verify(self, token: str, client_ip: str | None) -> None:
        try:
            self.inner.verify(token, client_ip)
        except CaptchaRefused:
            self._count("refused")
            raise
        except CaptchaDown as down:
            verdict = "silent" if down.silent else "fault"
            self._count(verdict)
            unsaid = self._seldom.say(time.monotonic(), verdict)
            if unsaid is not None:
                _LOG.warning("captcha service", verifier=self.verifier, verdict=verdict, why=str(down), unsaid=unsaid)
            raise
        self._count("passed")

    def _count(self, verdict: str) -> None:
        metrics.CAPTCHAS.labels(self.verifier, verdict).inc()
