"""Secrets that everybody knows: printed in documents, or made of a word by a hash."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

_WORDS = (
    "", "0", "1", "a", "abc", "abcdef", "admin", "api", "change", "change-me", "change_me", "changeit", "changeme",
    "default", "demo", "dev", "development", "example", "fingerprint", "fingerprint_key", "foo", "foobar", "hello",
    "helloworld", "key", "letmein", "master", "my-secret", "mykey", "mysecret", "otp", "otp-service", "otp_service",
    "pass", "passw0rd", "password", "production", "qwerty", "root", "s3cret", "salt", "secret", "secret-key",
    "secret_key", "secretkey", "secrets", "service", "test", "testing", "this", "token", "webhook", "welcome", "whsec",
    "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890", "0123456789",
)  # fmt: skip

_PUBLISHED = (
    # Examples of Standard Webhooks and its libraries.
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "plJ3nmyCDGBKInavdOK15jsl",
    "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    # NIST SP 800-38A, appendix F: AES-256.
    "YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=",
    # RFC 7515, appendix A.1: HS256.
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==",
)

PUBLISHED_KEY_HASHES = frozenset({"kcnqed38:0a26cda67f50f552a47e21d8a65cc40b72d8fd344b1a834b0eb24894b1399db4"})
"""Of the API key in the README."""

_FEWEST_OTHERS = 8
_LONG_WORDS = re.compile("|".join(sorted((word for word in _WORDS if len(word) > 3), key=len, reverse=True)))


def is_known(key: bytes) -> bool:
    return key in _known()


def made_of_words(text: str) -> bool:
    """Whether little is left of `text` once the words that are tried first, and what joins them, are taken out."""
    return len(_LONG_WORDS.sub("", re.sub(r"[^a-z0-9]", "", text.lower()))) < _FEWEST_OTHERS


@cache
def _known() -> frozenset[bytes]:
    said = [f"{word}{end}".encode() for word in _WORDS for end in ("", "\n")]
    hashed = [hashlib.new(name, word).digest() for name in ("sha256", "sha512") for word in said]
    return frozenset([*map(base64.b64decode, _PUBLISHED), *hashed])
