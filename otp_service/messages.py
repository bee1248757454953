"""The messages: which text a person gets, and the proof at start-up that phones, people and gateways read it right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Literal

from otp_service.default_texts import DEFAULT_TEXTS, GENERIC
from otp_service.errors import ConfigError
from otp_service.locales import pick_locale, valid_locale
from otp_service.plain_text import check_plain, digit_runs
from otp_service.sms_parts import Parts, count_parts
from otp_service.texts import Signature, Text

__all__ = [
    "DEFAULT_TEXTS",
    "Catalogue",
    "Parts",
    "Signature",
    "Text",
    "check_text",
    "count_parts",
    "minutes_left",
    "other_times",
    "pick_locale",
    "valid_locale",
]

# Stands for what changes from message to message while a text is searched for fixed words.
_BLANK = "\ufffc"
_FILLED_BY_US = frozenset({"code", "minutes"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CHINESE_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2, "兩": 2}
_MINUTES = re.compile(
    r"(?:(\d+)[ -]?(?:分|분|min(?:ute[ns]?|utos?|s)?\b)|([一二两兩三四五六七八九十]+)分[钟鐘])", re.IGNORECASE
)
_HOURS_AND_SECONDS = re.compile(
    r"(\d+|[半一二两兩三四五六七八九十]+)[ -]?[个個]?"
    r"(?:(小[时時]|(?:hours?|h)(?![a-z]))|秒|(?:seconds?|secs?|s)(?![a-z]))",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Google's SMS Retriever: the first 11 characters of a base64 SHA-256, in a message of at most 140 bytes.
_ANDROID_HASH = re.compile(r"[A-Za-z0-9+/]{11}")
_ANDROID_BYTES = 140


def minutes_left(seconds: int) -> int:
    """Whole minutes in `seconds`, rounded down as a promise must be, and at least 1."""
    return max(1, seconds // 60)


def check_text(
    text: Text,
    *,
    where: str,
    ttl: int,
    code_length: int,
    max_parts: int,
    encoding: Literal["utf-8", "gbk"],
    signature: Signature | None,
    variables: Mapping[str, str],
    webotp_host: str = "",
    android_hash: str = "",
) -> Parts:
    """What one message of `text` will be billed as on a channel with this `encoding` and `signature`.

    The longest case is counted: all of `ttl` (seconds) left, and the signature included even if the gateway adds it.
    Raises `ConfigError` naming `where` for everything that phones, people or gateways would misread.
    """
    _check_variables(text, variables, where)
    check_plain(text.fill("1", "1", variables), where)
    _check_minutes(text, variables, ttl, where)
    _check_trailer(signature, webotp_host, android_hash, where)
    code = "0" * code_length
    counted = replace(signature, position="front") if signature else None
    message = text.render(code, minutes_left(ttl), variables, counted, webotp_host, android_hash)
    if digit_runs(message) != [code] * (2 if webotp_host else 1):
        raise ConfigError(f"{where}: take out every other run of four or more digits; phones may take it for the code.")
    _check_charset(message, encoding, signature, where)
    if android_hash and len(message.encode()) > _ANDROID_BYTES:
        raise ConfigError(
            f"{where}: shorten the text by {len(message.encode()) - _ANDROID_BYTES} bytes; with android_hash a message "
            f"has at most {_ANDROID_BYTES}."
        )
    parts = count_parts(message)
    if parts.parts > max_parts:
        raise ConfigError(
            f"{where}: shorten the text, or raise max_parts; with its signature it has {parts.units} {parts.encoding} "
            f"units, which is {parts.parts} SMS where max_parts = {max_parts}."
        )
    return parts


def _check_variables(text: Text, variables: Mapping[str, str], where: str) -> None:
    for name, value in variables.items():
        if name in _FILLED_BY_US or not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: rename the variable {name!r}: a-z, 0-9 and _, and neither code nor minutes.")
        check_plain(value, f"{where}: variable {name}")
        if digit_runs(value):
            raise ConfigError(f"{where}: variable {name}: take out the run of four or more digits.")
    if missing := sorted(text.names - _FILLED_BY_US - variables.keys()):
        known = ", ".join(sorted({*_FILLED_BY_US, *variables}))
        raise ConfigError(f"{where}: nothing is known as {', '.join(missing)}; a text may use {known}.")


def _check_minutes(text: Text, variables: Mapping[str, str], ttl: int, where: str) -> None:
    words = unicodedata.normalize("NFKC", text.fill(_BLANK, _BLANK, variables))
    for digits, chinese in _MINUTES.findall(words):
        minutes = int(digits) if digits else _chinese_number(chinese)
        if minutes * 60 != ttl:
            raise ConfigError(
                f"{where}: the text promises {minutes} minutes, but ttl = {ttl} seconds; write {{{{ minutes }}}}, or "
                f"set ttl = {minutes * 60}."
            )


def other_times(text: Text, variables: Mapping[str, str], ttl: int) -> Iterator[str]:
    """What the text says in hours or seconds and is not `ttl` (seconds): a promise most often, or "again in 60 s"."""
    words = unicodedata.normalize("NFKC", text.fill(_BLANK, _BLANK, variables))
    for found in _HOURS_AND_SECONDS.finditer(words):
        number, hours = found.groups()
        value = int(number) if number.isdigit() else 0.5 if number == "半" else _chinese_number(number)
        if value * (3600 if hours else 1) != ttl:
            yield found[0]


def _chinese_number(numeral: str) -> int:
    """十 = 10, 十五 = 15, 三十 = 30."""
    tens, ten, units = numeral.rpartition("十")
    return (_CHINESE_DIGITS.get(tens, 1) * 10 if ten else 0) + _CHINESE_DIGITS.get(units, 0)


def _check_trailer(signature: Signature | None, webotp_host: str, android_hash: str, where: str) -> None:
    if webotp_host and not _HOST.fullmatch(webotp_host):
        raise ConfigError(
            f"{where}: webotp_host is a host name in lower case, as login.example.com; no scheme or port."
        )
    if android_hash and not _ANDROID_HASH.fullmatch(android_hash):
        raise ConfigError(f"{where}: android_hash is the app's 11-character hash (letters, digits, + and /).")
    if (webotp_host or android_hash) and signature and signature.position == "rear":
        raise ConfigError(
            f"{where}: the line of webotp_host or android_hash must be last, and so must a rear signature; "
            'use signature_position "front", or leave both empty.'
        )


def _check_charset(message: str, encoding: str, signature: Signature | None, where: str) -> None:
    try:
        message.encode(encoding)
    except UnicodeEncodeError as error:
        char = message[error.start]
        place = " of the signature" if signature and char in signature.text else ""
        raise ConfigError(
            f"{where}: take out {char!r} (U+{ord(char):04X}){place}; {encoding} has no such character."
        ) from error


class Catalogue:
    """The texts that one channel may carry.

    A text is found in this order, the same whatever the order of the configuration:
    1. The channel's own texts for the purpose. If there are any, only these are used, in any locale: the texts that a
       carrier has on file are the ones it lets pass.
    2. Else the configured texts for the purpose, over the built-in ones of the purpose (of `generic`, if it has none),
       locale by locale.
    Among these `pick_locale` chooses; where neither the wanted nor the default locale fits, `standing_in`.
    """

    def __init__(
        self,
        configured: Mapping[str, Mapping[str, str]],
        own: Mapping[str, Mapping[str, str]] | None = None,
        *,
        where: str = "messages",
        own_where: str = "channels.messages",
    ) -> None:
        """`configured` and `own` (the channel's): purpose → locale → source. Raises `ConfigError` naming the text."""
        self._configured = _parsed(configured, where)
        self._own = _parsed(own or {}, own_where)
        self._left_out: dict[str, Mapping[str, str]] = {}

    def texts(self, purpose: str) -> dict[str, Text]:
        """Every text that may go out for `purpose`, by locale."""
        if own := self._own.get(purpose):
            return own
        left_out = self.left_out(purpose)
        built_in = _built_in(purpose if purpose in DEFAULT_TEXTS else GENERIC)
        offered = {locale: text for locale, text in built_in.items() if locale not in left_out}
        return offered | self._configured.get(purpose, {})

    def left_out(self, purpose: str) -> Mapping[str, str]:
        """Locales of the built-in texts that `check` found this channel unable to carry, and why."""
        return self._left_out.get(purpose, {})

    def text(self, purpose: str, locale: str | None, default_locale: str) -> Text:
        """The text for a person who asked for `locale`. Never fails: some text always fits."""
        texts = self.texts(purpose)
        return texts[pick_locale(locale, texts, standing_in(default_locale, texts))]

    def check(self, purpose: str, default_locale: str, check: Callable[[Text], Parts]) -> dict[str, Parts]:
        """The parts of every text for `purpose`, as `check` (usually `check_text`) counts them; for start-up.

        A built-in text that does not pass is left out from then on (GBK has no Korean; a long signature may push one
        over `max_parts`), and the person gets the default locale. Raises `ConfigError` for any text that the operator
        wrote, and for the one that the default locale would get.
        """
        needed = {*self._configured.get(purpose, {}), *self._own.get(purpose, {})}
        needed |= {
            locale for locale, text in self.texts(purpose).items() if text is self.text(purpose, None, default_locale)
        }
        parts: dict[str, Parts] = {}
        left_out: dict[str, str] = {}
        for locale, text in self.texts(purpose).items():
            try:
                parts[locale] = check(text)
            except ConfigError as error:
                if locale in needed:
                    raise
                left_out[locale] = str(error)
        self._left_out[purpose] = left_out
        return parts


def standing_in(default_locale: str, texts: Mapping[str, Text]) -> str:
    """The locale for people whose own has no text: the default one, else English, else the alphabetically first."""
    return pick_locale(default_locale, texts, pick_locale("en", texts, min(texts)))


def _parsed(sources: Mapping[str, Mapping[str, str]], where: str) -> dict[str, dict[str, Text]]:
    return {
        purpose: {
            locale: _parsed_one(source, locale, f"{where}.{purpose}.{locale}") for locale, source in texts.items()
        }
        for purpose, texts in sources.items()
    }


def _parsed_one(source: str, locale: str, where: str) -> Text:
    if not valid_locale(locale):
        raise ConfigError(f"{where}: write the locale as a language tag, as zh-CN or en.")
    return Text.parse(source, where=where)


@cache
def _built_in(purpose: str) -> Mapping[str, Text]:
    return _parsed({purpose: DEFAULT_TEXTS[purpose]}, "built-in")[purpose]
