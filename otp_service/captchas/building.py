"""From settings to the challenger of their service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from otp_service.captchas import geetest, hcaptcha, turnstile
from otp_service.captchas.asking import Asker
from otp_service.captchas.counted import Counted
from otp_service.captchas.own_url import OwnUrl
from otp_service.ports import Challenger


@dataclass(frozen=True, slots=True)
class CaptchaSettings:
    verifier: Literal["turnstile", "hcaptcha", "geetest", "url"]
    site_key: str
    secret: str = field(repr=False)
    url: str = ""
    """Empty for the service's own address."""
    hostnames: frozenset[str] = frozenset()
    """In lower case."""
    action: str = ""
    timeout: float = 3.0
    """Seconds for an answer, total."""


def build_challenger(settings: CaptchaSettings) -> Challenger:
    """Its verdicts are counted and its failures logged."""
    return Counted(_plain(settings))


def _plain(its: CaptchaSettings) -> Challenger:
    match its.verifier:
        case "turnstile":
            asker = Asker(its.url or turnstile.URL, its.timeout)
            return turnstile.Turnstile(asker, its.site_key, its.secret, its.hostnames, its.action)
        case "hcaptcha":
            asker = Asker(its.url or hcaptcha.URL, its.timeout)
            return hcaptcha.HCaptcha(asker, its.site_key, its.secret, its.hostnames)
        case "geetest":
            asker = Asker(f"{its.url or geetest.URL}?{urlencode({'captcha_id': its.site_key})}", its.timeout)
            return geetest.Geetest(asker, its.site_key, its.secret)
        case "url":
            return OwnUrl(Asker(its.url, its.timeout), its.site_key, its.secret)
