"""The forms that we send: one profile, one list of fields in the order of its document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from urllib.parse import quote_plus

from otp_service.channels.sms_aspx.settings import SmsAspxSettings

CHINA = timezone(timedelta(hours=8))
Fields = list[tuple[str, str]]
MOST_ROWS = 4000
"""Of one list: the family's own default."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What stands in a form as it is, in every charset of the family."""
_MAINLAND = re.compile(r"\+86(1[3-9][0-9]{9})")


@dataclass(frozen=True, slots=True)
class Form:
    """One request, ready to go. `secrets` are the values in it that an answer must not echo into our records."""

    url: str
    body: bytes = field(repr=False)
    content_type: str
    secrets: tuple[str, ...] = field(repr=False)


def mainland_number(recipient: str) -> str | None:
    """E.164 to the family's eleven digits; None for every number that it does not serve."""
    found = _MAINLAND.fullmatch(recipient)
    return found[1] if found else None


def send_form(settings: SmsAspxSettings, mobile: str, text: str, now: float) -> Form:
    """`now` in seconds since the epoch. Raises UnicodeEncodeError when the channel's charset lacks a character."""
    return _form(settings, "send", _SEND[settings.profile](settings, mobile, text, china_time(now)))


def balance_form(settings: SmsAspxSettings, now: float) -> Form | None:
    """None when the profile has no such call."""
    build = _LOGINS.get(settings.profile)
    if build is None:
        return None
    return _form(settings, "overage", [("action", "overage"), *build(settings, china_time(now))])


def list_form(settings: SmsAspxSettings, place: int, now: float) -> Form | None:
    """Asks for reports (0) or replies (1); None when the profile has no such call."""
    build = _LOGINS.get(settings.profile)
    if build is None:
        return None
    fields = [("action", "query"), *build(settings, china_time(now)), ("statusNum", str(MOST_ROWS))]
    return replace(_form(settings, "query", fields), url=settings.list_address(place))


def china_time(now: float) -> str:
    """`yyyyMMddHHmmss` in China, where there has been no summer time since 1991."""
    return datetime.fromtimestamp(now, CHINA).strftime("%Y%m%d%H%M%S")


def sign(*parts: str) -> str:
    """Lower-case MD5 of the parts run together: what `sign` and `sig` are. The gateways ask for MD5, not we."""
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _form(settings: SmsAspxSettings, action: str, fields: Fields) -> Form:
    return Form(
        url=settings.address(action),
        body="&".join([f"{key}={_quoted(value, settings.encoding)}" for key, value in fields]).encode("ascii"),
        content_type=f"application/x-www-form-urlencoded; charset={settings.encoding}",
        secrets=(settings.password, *(value for key, value in fields if key in ("password", "sign", "sig"))),
    )


def _quoted(value: str, encoding: str) -> str:
    """As urlencode writes it, which takes as long for each name and number as for the text.

    Strict: a character replaced by "?" would be a text that nobody wrote or filed.
    """
    return value if _PLAIN.fullmatch(value) else quote_plus(value, encoding=encoding, errors="strict")


def _login(settings: SmsAspxSettings) -> Fields:
    return [("userid", settings.userid), ("account", settings.account), ("password", settings.password)]


def _hashed_login(settings: SmsAspxSettings) -> Fields:
    return [
        ("userid", settings.userid),
        ("account", settings.account),
        ("password", sign(settings.password).upper()),
    ]


def _signed_login(settings: SmsAspxSettings, stamp: str) -> Fields:
    return [
        ("userid", settings.userid),
        ("account", settings.account),
        ("timestamp", stamp),
        ("sign", sign(settings.account, settings.password, stamp)),
    ]


def _text(settings: SmsAspxSettings, mobile: str, text: str, send_time: str = "") -> Fields:
    """An empty `sendTime` means now. In most of the family a given one is a schedule; only `seed` wants the moment."""
    return [("mobile", mobile), ("content", text), ("sendTime", send_time), ("extno", settings.extno)]


def _seed(settings: SmsAspxSettings, mobile: str, text: str, stamp: str) -> Fields:
    return [("action", "send"), *_login(settings), *_text(settings, mobile, text, stamp)]


def _classic(settings: SmsAspxSettings, mobile: str, text: str, stamp: str) -> Fields:
    return [("action", "send"), *_login(settings), *_text(settings, mobile, text)]


def _v2(settings: SmsAspxSettings, mobile: str, text: str, stamp: str) -> Fields:
    return [("action", "send"), ("rt", "json"), *_signed_login(settings, stamp), *_text(settings, mobile, text)]


def _huaxin(settings: SmsAspxSettings, mobile: str, text: str, stamp: str) -> Fields:
    return [("action", "send"), *_hashed_login(settings), *_text(settings, mobile, text)]


def _miaodi(settings: SmsAspxSettings, mobile: str, text: str, stamp: str) -> Fields:
    return [
        ("accountSid", settings.account),
        ("smsContent", text),
        ("to", mobile),
        ("timestamp", stamp),
        ("sig", sign(settings.account, settings.password, stamp)),
        ("respDataType", "JSON"),
    ]


_SEND: dict[str, Callable[[SmsAspxSettings, str, str, str], Fields]] = {
    "seed": _seed,
    "classic": _classic,
    "v2": _v2,
    "huaxin": _huaxin,
    "miaodi": _miaodi,
}
_LOGINS: dict[str, Callable[[SmsAspxSettings, str], Fields]] = {
    "seed": lambda settings, stamp: _login(settings),
    "classic": lambda settings, stamp: _login(settings),
    "v2": lambda settings, stamp: [("rt", "json"), *_signed_login(settings, stamp)],
    "huaxin": lambda settings, stamp: _hashed_login(settings),
}
"""For what is asked of an account; miaodi has no such calls."""
