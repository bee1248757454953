"""Codes: the digits that a person types. They are derived, never stored."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from os import urandom

from otp_service.errors import FieldError, InvalidRequest
from otp_service.macs import Mac
from otp_service.verification import Verification

SEED_BYTES = 16
"""128 bits of origin a code: neither the record without the key nor the key without the record yields it."""

_WORD = 8
_WORDS = hashlib.sha256().digest_size // _WORD
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212\uFE63]+")
_CODE = re.compile(r"[0-9]{6,10}")


def new_seed() -> bytes:
    return urandom(SEED_BYTES)


def derive(mac: Mac, verification_id: str, seed: bytes, counter: int, length: int) -> str:
    """The code of a verification: `length` digits, each of the 10**length values equally likely.

    The `digits` of HMAC-SHA256(id, seed, counter, block), for the first block that has any. `counter` numbers the
    codes of one verification (`rotate`).
    """
    block = 0
    while True:
        # The id has one length and the seed another that never changes: the fields can't run into one another.
        material = b"|".join((verification_id.encode(), seed, counter.to_bytes(2, "big"), block.to_bytes(2, "big")))
        if code := digits(mac(material), length):
            return code
        block += 1


def digits(block: bytes, length: int) -> str | None:
    """The first usable one of four 64-bit words, modulo 10**length; None when all are beyond.

    Words beyond the largest multiple of 10**length are rejected, as RFC 4226's plain modulo is biased.
    """
    values = 10**length
    usable = (1 << 64) // values * values
    for i in range(_WORDS):
        word = int.from_bytes(block[i * _WORD : (i + 1) * _WORD], "big")
        if word < usable:
            return f"{word % values:0{length}d}"
    return None


def normalize(text: str) -> str:
    """Fold what a person typed: NFKC, then blanks and hyphens dropped. Raises InvalidRequest at /code.

    Only `[0-9]` passes: Python's own `\\d`, `isdecimal` and `int` would take Arabic digits and `12_3456`.
    """
    if _CODE.fullmatch(text):
        return text
    # A code of ten digits needs no more than a few dozen characters; NFKC of a megabyte is work for an attacker.
    folded = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)) if len(text) <= 64 else ""
    if not _CODE.fullmatch(folded):
        raise invalid_code("the code is 6 to 10 digits, as in the message")
    return folded


def invalid_code(detail: str, seen: Verification | None = None) -> InvalidRequest:
    """The one refusal of a code that can't be one; nothing is counted for it."""
    return InvalidRequest(detail, errors=[FieldError("/code", detail)], verification=seen)
