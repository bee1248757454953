"""`siteverify`, the dialect that Turnstile and hCaptcha share.

It is asked     POST, a form: secret, response (the token), remoteip where it is known
It answers      {"success": true, "hostname", "challenge_ts", "action"?}
                {"success": false, "error-codes": ["invalid-input-response"]}, with 200 or 400
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from otp_service.captchas.asking import Answered, Asker
from otp_service.ports import CaptchaDown, CaptchaRefused

NOT_ACCEPTED = "The CAPTCHA token was not accepted: it is wrong, too old, used before, or of another site."

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_OURS = ("missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "internal-error")
"""Codes that say nothing of the token: our keys, or the service itself."""


def siteverify(asker: Asker, fields: Mapping[str, str], client_ip: str | None) -> Mapping[str, Any]:
    """What the service knows of a good token. Raises CaptchaRefused, CaptchaDown."""
    form = {**fields, "remoteip": client_ip} if client_ip else fields
    return _judge(asker.post(urlencode(form).encode(), _FORM))


def _judge(answer: Answered) -> Mapping[str, Any]:
    success, codes = answer.said.get("success"), answer.said.get("error-codes")
    faults = [code for code in codes if code in _OURS] if isinstance(codes, list) else []
    if faults:
        raise CaptchaDown(f"it says {', '.join(faults)}; the keys are challenge.site_key and secret", silent=False)
    if success is True and answer.status == 200:
        return answer.said
    if success is False and answer.status in (200, 400):
        raise CaptchaRefused(NOT_ACCEPTED)
    raise CaptchaDown(f"HTTP {answer.status} without a verdict", silent=False)


def made_at(said: Mapping[str, Any], hostnames: frozenset[str]) -> None:
    """Raises CaptchaRefused for a token that was made on a site which is not ours; no `hostnames`: on any."""
    hostname = said.get("hostname")
    if hostnames and (not isinstance(hostname, str) or hostname.lower() not in hostnames):
        raise CaptchaRefused(NOT_ACCEPTED)
