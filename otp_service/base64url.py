"""base64url (RFC 4648 §5) without padding: how bytes are written in keys, nonces and tokens."""

from __future__ import annotations

from binascii import b2a_base64

_IN_URLS = bytes.maketrans(b"+/", b"-_")


def encode(raw: bytes) -> str:
    """What the standard library's `urlsafe_b64encode` gives by three calls, less the padding."""
    return b2a_base64(raw, newline=False).translate(_IN_URLS).rstrip(b"=").decode()
