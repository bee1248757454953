"""Telling a key that was drawn from one that was thought up, copied, derived from a word, or padded."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise

from otp_service.config.known_secrets import is_known, made_of_words
from otp_service.webhook_signature import decode_secret

KEY_BYTES = 32
"""RFC 2104 §3: a key shorter than the hash's output (SHA-256: 32 bytes) weakens HMAC."""

FEWEST_DISTINCT = 16
"""Of 32 random bytes about 30 differ; fewer than 16 have odds below 10^-12."""

_KEY_ID = re.compile(r"[a-z0-9]{1,16}")
_MAKE_ONE = "make one with `otp-service secrets new`"
_MAKE_ANOTHER = "make one with `otp-service secrets new --webhook`"
_MAKE_A_WORD = "write what `openssl rand -hex 24` prints"
WEBHOOK_PREFIX = "whsec_"
SHORTEST_WORD = 16
"""Characters of a secret that a gateway's form takes: no base64 of ours, so long that nobody guesses it."""
_FEWEST_CHARACTERS = 6
"""Of sixteen hexadecimal digits, the poorest draw there is, ten differ; fewer than six in one of 10^5 draws."""


def decode_key(text: str) -> bytes:
    """The bytes of a base64 key. Raises ValueError for one that is malformed, short or weak; never repeats it."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"not base64, or still a placeholder; {_MAKE_ONE}") from None
    if len(key) < KEY_BYTES:
        raise ValueError(f"{len(key)} bytes are too short, at least {KEY_BYTES} are needed; {_MAKE_ONE}")
    weakness = _weakness(key)
    if weakness:
        raise ValueError(f"weak: {weakness}; {_MAKE_ONE}")
    return key


def decode_key_pair(text: str) -> tuple[str, bytes]:
    """Read `<kid>:<base64>`. Raises ValueError."""
    kid, colon, encoded = text.strip().partition(":")
    if not colon or not _KEY_ID.fullmatch(kid):
        raise ValueError('not of the form "<kid>:<base64>" with a kid of 1 to 16 characters of a-z and 0-9')
    return kid, decode_key(encoded)


def decode_webhook_secret(text: str) -> bytes:
    """The bytes of a `whsec_<base64>`. Raises ValueError for one that is malformed, short or weak; never repeats it."""
    try:
        secret = decode_secret(text.strip())
    except ValueError as error:
        raise ValueError(f"{error}; {_MAKE_ANOTHER}") from None
    weakness = _weakness(secret)
    if weakness:
        raise ValueError(f"weak: {weakness}; {_MAKE_ANOTHER}")
    return secret


def check_word(text: str) -> None:
    """A secret in words of somebody else's form: text, or a `whsec_`. Raises ValueError, and never repeats it."""
    if text.startswith(WEBHOOK_PREFIX):
        decode_webhook_secret(text)
        return
    if len(text) < SHORTEST_WORD:
        raise ValueError(f"{len(text)} characters are too short, at least {SHORTEST_WORD} are needed; {_MAKE_A_WORD}")
    weakness = _pattern(text.encode(), _FEWEST_CHARACTERS)
    if made_of_words(text):
        weakness = "it is made of words that are tried first"
    if weakness:
        raise ValueError(f"weak: {weakness}; {_MAKE_A_WORD}")


def _weakness(key: bytes) -> str:
    """What is wrong with the key, or nothing."""
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in key):
        return "it is plain text, not random bytes"
    if weakness := _pattern(key, FEWEST_DISTINCT):
        return weakness
    if is_known(key):
        return "it is published, or the hash of a word that is tried first"
    # Of random bytes, 24 are UTF-8 in one of a million draws, 32 in one of a hundred million.
    return "it is plain text, not random bytes" if _is_utf_8(key) else ""


def _pattern(key: bytes, fewest: int) -> str:
    if len(set(key)) < fewest:
        return "it has too few different bytes"
    if any(key[period:] == key[:-period] for period in range(1, len(key) // 2 + 1)):
        return "it repeats itself"
    if len({(after - before) % 256 for before, after in pairwise(key)}) < fewest // 2:
        return "its bytes follow a pattern"
    return ""


def _is_utf_8(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
