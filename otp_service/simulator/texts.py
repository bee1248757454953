"""What a handset and a bill make of a text: its parts, and the code in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""3GPP TS 23.038, basic alphabet."""
_GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
"""3GPP TS 23.038, extension table: two septets each."""


@dataclass(frozen=True, slots=True)
class Size:
    """How a text is billed. `length` and `room` count units of the encoding; `room` is that of all parts together."""

    encoding: str
    length: int
    parts: int
    room: int


def size(text: str) -> Size:
    """Measure a text: GSM-7 160/153, else UCS-2 70/67 (a character outside the BMP takes two and is never cut)."""
    if all(character in _GSM7 or character in _GSM7_EXTENSION for character in text):
        widths = [2 if character in _GSM7_EXTENSION else 1 for character in text]
        return _size("GSM-7", widths, 160, 153)
    return _size("UCS-2", [2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67)


def _size(encoding: str, widths: list[int], alone: int, joined: int) -> Size:
    length = sum(widths)
    if length <= alone:
        return Size(encoding, length, 1, alone)
    parts, used = 1, 0
    for width in widths:
        if used + width > joined:
            parts, used = parts + 1, 0
        used += width
    return Size(encoding, length, parts, parts * joined)


_RUN = r"(?<![0-9])([0-9]{4,10})(?![0-9])"
_WEBOTP = re.compile(r"(?:^|\n)@[^\s@#]+ #([0-9]{4,10})(?: @[^\s@#]+)?\s*$")
_NAME = r"(?:验证码|驗證碼|校验码|校驗碼|动态码|動態碼|确认码|口令|密码|(?<![a-z])(?:code|código|otp|pin)(?![a-z]))"
_GAP = r"[^0-9.。;；!！?？]{0,24}"
"""Between a code and its name: never across the end of a sentence."""
_NAMED = re.compile(_NAME + _GAP + _RUN, re.IGNORECASE)
_NAMED_AFTER = re.compile(_RUN + _GAP + _NAME, re.IGNORECASE)
_ANY = re.compile(_RUN)
_SIGNATURE = re.compile(r"【[^】]*】")


def code_in(text: str) -> str | None:
    """The code in a text: of the WebOTP line, else beside a word for it, else the only run of 4–10 digits; or None."""
    if found := _WEBOTP.search(text):
        return found[1]
    bare = _SIGNATURE.sub(" ", text)
    if found := _NAMED.search(bare) or _NAMED_AFTER.search(bare):
        return found[1]
    runs = _ANY.findall(bare)
    return runs[0] if len(runs) == 1 else None
