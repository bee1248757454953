"""How Vonage signs requests and receipts with an account's signature secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

_UNSAFE = str.maketrans("&=", "__")


def signature(method: str, secret: str, fields: Iterable[tuple[str, str]]) -> str:
    """Lower-case hex over the sorted fields, `sig` left out; `method` is `md5hash` (Vonage's default) or `sha256`."""
    text = "".join(f"&{name}={value.translate(_UNSAFE)}" for name, value in sorted(fields) if name != "sig")
    if method == "sha256":
        return hmac.digest(secret.encode(), _bytes(text), "sha256").hex()
    # Vonage asks for MD5, not we.
    return hashlib.md5(_bytes(f"{text}{secret}"), usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    """A stranger's receipt may hold what is no text: that has a signature too, and a wrong one."""
    return text.encode(errors="surrogatepass")
