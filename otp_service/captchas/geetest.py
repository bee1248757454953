"""GeeTest v4: the token is the JSON object that its widget's `getValidate()` gives (docs.geetest.com).

It is asked     POST, a form: lot_number, captcha_output, pass_token, gen_time, sign_token; captcha_id in the query
                sign_token is the hex of HMAC-SHA256 over lot_number under the captcha_key, which itself is never sent
It answers      {"status": "success", "result": "success" | "fail", "reason", "captcha_args"}
                {"status": "error", "code", "msg"} for what it can't read
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlencode

from otp_service.captchas.asking import Answered, Asker
from otp_service.captchas.siteverify import NOT_ACCEPTED
from otp_service.ports import CaptchaDown, CaptchaRefused

URL = "https://gcaptcha4.geetest.com/validate"
FIELDS = ("lot_number", "captcha_output", "pass_token", "gen_time")

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_OURS = ("captcha_id", "sign_token")
"""Words of its `msg` where it is our keys that it can't use."""


@dataclass(frozen=True, slots=True)
class Geetest:
    asker: Asker
    """For an address whose query names the `captcha_id`."""
    site_key: str
    """What GeeTest calls captcha_id."""
    secret: str = field(repr=False)
    """What GeeTest calls captcha_key."""
    verifier: ClassVar[str] = "geetest"

    def close(self) -> None:
        self.asker.close()

    def identity(self, token: str) -> str:
        """Its lot number: the rest may be spelled in many ways."""
        return _fields(token)["lot_number"]

    def verify(self, token: str, client_ip: str | None) -> None:
        fields = _fields(token)
        signed = hmac.digest(self.secret.encode(), fields["lot_number"].encode(), "sha256").hex()
        _judge(self.asker.post(urlencode({**fields, "sign_token": signed}).encode(), _FORM))


def _fields(token: str) -> Mapping[str, str]:
    try:
        said = json.loads(token)
    except (ValueError, RecursionError):
        said = None
    fields = {name: _text(said.get(name)) for name in FIELDS} if isinstance(said, dict) else {}
    if not fields or not all(fields.values()):
        raise CaptchaRefused(f"captcha_token must be the JSON object of getValidate(), with {', '.join(FIELDS)}.")
    return fields


def _text(value: object) -> str:
    """`gen_time` is text in their examples, and a number in some of their kits."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()


def _judge(answer: Answered) -> None:
    status, result = answer.said.get("status"), answer.said.get("result")
    if answer.status == 200 and result == "success" and status in (None, "success"):
        return
    if result == "fail":
        raise CaptchaRefused(NOT_ACCEPTED)
    if status != "error":
        raise CaptchaDown(f"HTTP {answer.status} without a verdict", silent=False)
    word = answer.said.get("msg")
    if isinstance(word, str) and any(ours in word for ours in _OURS):
        raise CaptchaDown("it does not know challenge.site_key, or secret is not its key", silent=False)
    raise CaptchaRefused(NOT_ACCEPTED)
