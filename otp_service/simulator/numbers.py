"""Phone numbers as the inbox knows them: eleven digits in mainland China, +country code and digits elsewhere."""

from __future__ import annotations

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MAINLAND = re.compile(r"1[3-9][0-9]{9}")


def is_e164(text: str) -> bool:
    return _E164.fullmatch(text) is not None


def known_as(text: str) -> str:
    """One spelling of a number, so that a test finds its message whichever protocol carried it; empty for none.

    `+86 138 0013 8000` (also where a query turned the + into a blank), 8613800138000 and 13800138000 are one number.
    Eleven digits that begin like a Chinese mobile number are one: an American number needs its +.
    """
    digits = "".join(piece for piece in text if piece in "0123456789")
    if not digits:
        return ""
    if digits.startswith("86") and _MAINLAND.fullmatch(digits[2:]):
        return digits[2:]
    international = text[:1] in {"+", " "}
    return digits if not international and _MAINLAND.fullmatch(digits) else f"+{digits}"


def e164(known: str) -> str:
    """The number with + and country code, from the inbox's spelling."""
    return known if known.startswith("+") else f"+86{known}"
