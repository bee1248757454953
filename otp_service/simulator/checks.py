"""What a gateway checks before it accepts a message, in its order. Each check passes or names one refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import md5

from otp_service.simulator import texts, words
from otp_service.simulator.accounts import Account, Accounts
from otp_service.simulator.dialects import CHINA, Profile
from otp_service.simulator.endpoints import Endpoint
from otp_service.simulator.forms import Form
from otp_service.simulator.protocol_words import Protocol
from otp_service.simulator.words import Refused

TOLERANCE = 300
"""Seconds that a caller's clock may be off, either way."""

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_STAMP = re.compile(r"[0-9]{14}")
_SIGN = re.compile(r"[0-9a-f]{32}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DIGITS = re.compile(r"[0-9]*")
_SIGNED = re.compile(r"【([^【】]*)】")


@dataclass(slots=True)
class Submission:
    """One request for a send, as the checks see it. `account` is None when there is no such account."""

    endpoint: Endpoint
    form: Form
    account: Account | None
    profile: Profile
    now: float
    content: str = field(init=False)
    """The text as the handset will show it: with the signature that the gateway adds, where it does."""
    mobiles: tuple[str, ...] = field(init=False)
    send_at: float | None = field(init=False, default=None)
    """When the message was asked to be sent; None is now."""

    def __post_init__(self) -> None:
        text = self.form.get("content")
        if text and self.account is not None and self.account.settings.signature_side == "gateway":
            text = f"【{self.account.settings.signature}】{text}"
        self.content = text
        self.mobiles = tuple(piece.strip() for piece in self.form.get("mobile").split(",") if piece.strip())

    @property
    def known(self) -> Account:
        """The account, for the checks behind `credentials`."""
        assert self.account is not None
        return self.account

    @property
    def parts(self) -> int:
        return texts.size(self.content).parts


def submission(endpoint: Endpoint, form: Form, accounts: Accounts, now: float) -> Submission:
    account = accounts.find(Protocol.SMS_ASPX, form.get("account"))
    chosen = account.settings.profile if account is not None else None
    return Submission(endpoint, form, account, endpoint.profile or chosen or Profile.SEED, now)


def credentials_missing(sub: Submission) -> Refused | None:
    secret = "sign" if sub.profile in _SIGNING else "password"
    if not sub.form.get("account") or not sub.form.get(secret):
        return Refused(words.CREDENTIALS_MISSING)
    return None


_SIGNING = frozenset({Profile.V2, Profile.MIAODI})


def sign_and_time(sub: Submission) -> Refused | None:
    if sub.profile in _SIGNING:
        if not _SIGN.fullmatch(sub.form.get("sign")):
            return Refused(words.SIGN)
        at = _china(sub.form.get("timestamp"))
        if at is None or abs(at - sub.now) > TOLERANCE:
            return Refused(words.TIMESTAMP)
    return _send_time(sub)


def _send_time(sub: Submission) -> Refused | None:
    text = sub.form.get("sendtime").strip()
    if text in {"", "0"}:
        return None
    at = _china(text)
    if at is None:
        return Refused(words.SEND_TIME)
    if sub.profile is Profile.SEED and _STAMP.fullmatch(text):
        return None if abs(at - sub.now) <= TOLERANCE else Refused(words.SEND_TIME)
    if at > sub.now:
        sub.send_at = at
    return None


def _china(text: str) -> float | None:
    pattern = "%Y%m%d%H%M%S" if _STAMP.fullmatch(text) else "%Y-%m-%d %H:%M:%S" if _DATE.fullmatch(text) else None
    if pattern is None:
        return None
    try:
        return datetime.strptime(text, pattern).replace(tzinfo=CHINA).timestamp()
    except ValueError:
        return None


def credentials(sub: Submission) -> Refused | None:
    account, form = sub.account, sub.form
    if account is None:
        return Refused(words.CREDENTIALS)
    password = account.settings.password
    match sub.profile:
        case Profile.V2 | Profile.MIAODI:
            right = form.get("sign") == _md5(account.id + password + form.get("timestamp"))
        case Profile.HUAXIN:
            right = form.get("password") == _md5(password).upper()
        case _:
            right = form.get("password") == password
    if account.settings.check_userid:
        right = right and form.get("userid") == account.settings.userid
    return None if right else Refused(words.CREDENTIALS)


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def mobile(sub: Submission) -> Refused | None:
    return None if sub.mobiles else Refused(words.MOBILE)


def content(sub: Submission) -> Refused | None:
    if "content" in sub.form.undecodable:
        return Refused(words.CONTENT_CHARSET)
    if not sub.form.get("content").strip():
        return Refused(words.CONTENT)
    longest = sub.known.settings.max_length
    return Refused(words.CONTENT_LENGTH, str(longest)) if len(sub.content) > longest else None


def number(sub: Submission) -> Refused | None:
    if not all(map(_MOBILE.fullmatch, sub.mobiles)):
        return Refused(words.NUMBER)
    if not sub.known.settings.blacklist:
        return None
    return Refused(words.BLACKLIST) if set(sub.mobiles) & set(sub.known.settings.blacklist) else None


def signature(sub: Submission) -> Refused | None:
    rules, text = sub.known.settings, sub.content
    brackets = text.count("【"), text.count("】")
    if brackets == (0, 0):
        return Refused(words.SIGNATURE) if rules.signature_required else None
    found = _SIGNED.search(text)
    if brackets != (1, 1) or found is None:
        return Refused(words.SIGNATURE, "，且只能有一个")
    side = rules.signature_side or ("rear" if sub.profile is Profile.HUAXIN else "front")
    if side in {"front", "gateway"} and found.start() != 0:
        return Refused(words.SIGNATURE, "，且在内容最前面")
    if side == "rear" and found.end() != len(text):
        return Refused(words.SIGNATURE, "，且在内容最后面")
    if not rules.signature_min <= len(found[1].strip()) <= rules.signature_max:
        return Refused(words.SIGNATURE, f"，签名须为{rules.signature_min}至{rules.signature_max}个字")
    return None


def template(sub: Submission) -> Refused | None:
    filed = sub.known.settings.templates
    if not filed:
        return None
    bare = _SIGNED.sub("", sub.content)
    return None if any(_template_pattern(text).fullmatch(bare) for text in filed) else Refused(words.TEMPLATE)


@lru_cache(maxsize=1000)
def _template_pattern(template: str) -> re.Pattern[str]:
    """A filed text as a pattern for a whole text."""
    pieces = re.split(r"\{\{\s*\w+\s*\}\}|\{\w+\}|#\w+#", template)
    return re.compile(r"[^【】]{1,30}".join(map(re.escape, pieces)))


def keyword(sub: Submission) -> Refused | None:
    found = blocked_word(sub.known, sub.content)
    return Refused(words.KEYWORD, found) if found else None


def blocked_word(account: Account, text: str) -> str:
    return next((word for word in account.settings.keywords if word in text), "")


def extno(sub: Submission) -> Refused | None:
    text = sub.form.get("extno").strip()
    if not _DIGITS.fullmatch(text):
        return Refused(words.EXTNO)
    longest = sub.known.settings.extno_max
    if longest is None:
        longest = 10 if sub.profile is Profile.V2 else 5
    return Refused(words.EXTNO, f"，最长{longest}位") if len(text) > longest else None


def batch(sub: Submission) -> Refused | None:
    most = sub.known.settings.max_numbers
    return Refused(words.BATCH, str(most)) if len(sub.mobiles) > most else None


def frequency(sub: Submission) -> Refused | None:
    if not sub.known.settings.frequency:
        return None
    too_often = any(sub.known.too_often(one, sub.now) for one in sub.mobiles)
    return Refused(words.FREQUENCY) if too_often else None


def balance(sub: Submission) -> Refused | None:
    if sub.known.settings.postpaid or sub.known.balance >= sub.parts * len(sub.mobiles):
        return None
    return Refused(words.BALANCE)


Check = Callable[[Submission], Refused | None]

WHO: tuple[Check, ...] = (credentials_missing, sign_and_time, credentials)
"""What every request must pass; the action comes before it, because it chooses what is checked."""
WHAT: tuple[Check, ...] = (
    *(mobile, content, number, signature, template, keyword),
    *(extno, batch, frequency, balance),
)
"""What a message must pass besides."""


def first_refusal(checks: tuple[Check, ...], sub: Submission) -> Refused | None:
    for check in checks:
        refused = check(sub)
        if refused is not None:
            return refused
    return None
