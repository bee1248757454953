"""base64url (RFC 4648 §5) without padding: how bytes are written in keys, nonces and tokens."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

_IN_URLS = bytes.maketrans(b"+/", b"-_")
_FROM_URLS = str.maketrans("-_", "+/")


def encode(raw: bytes) -> str:
    """What the standard library's `urlsafe_b64encode` gives by three calls, less the padding."""
    return b2a_base64(raw, newline=False).translate(_IN_URLS).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Raises ValueError for what `encode` can't have written."""
    return a2b_base64(text.translate(_FROM_URLS) + "=" * (-len(text) % 4), strict_mode=True)
