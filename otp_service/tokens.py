"""Tokens: the signed proof of an approval. A token holds no number, and the same facts always give the same token.

Form: `<kid>.<payload>.<signature>`: the payload is base64url of sorted JSON, uncompressed, as compressors differ from
node to node; signed by itsdangerous with HMAC-SHA256. Its key belongs to one client and one purpose.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode

from otp_service import base64url
from otp_service.errors import TokenExpired, TokenInvalid
from otp_service.macs import Mac, mac
from otp_service.policy import TOKEN_LEEWAY_SECONDS

_SALT = b"otp-service token v1"
_MAX_LENGTH = 1024


class Token(NamedTuple):
    """What a token says. Times are seconds since the epoch."""

    id: str
    """Its own id: single use hangs on this, never on the token's spelling."""
    verification_id: str
    to: str
    """Keyed hashes of what was approved (`bind`); None where nothing was bound."""
    session: str | None
    context: str | None
    approved_at: int
    expires_at: int


def bind(key: bytes, kind: str, value: str | Mapping[str, str] | None) -> str | None:
    """16 bytes of HMAC-SHA256 under the token's key, base64url: what a token says of a number, session or context.

    A client that verifies offline computes the same: HMAC(key, kind + NUL + value). A context is its names and values,
    sorted by name, each behind its length in UTF-8 bytes and a colon: `6:amount1:1`, so that none runs into the next.
    """
    if value is None:
        return None
    text = (
        value if isinstance(value, str) else "".join(_measured(part) for pair in sorted(value.items()) for part in pair)
    )
    return base64url.encode(_mac(key)(f"{kind}\0{text}".encode())[:16])


def _measured(text: str) -> str:
    return f"{len(text.encode())}:{text}"


def mint(kid: str, key: bytes, token: Token) -> str:
    payload = base64url.encode(_payload(token).encode())
    # What `_signer(key).sign` gives, at an eighth of its time; `read` has it judged by itsdangerous.
    return f"{kid}.{payload}.{base64url.encode(_signing(key)(payload.encode()))}"


def kid_of(text: str) -> str:
    """The key id that a token names; not yet proved. Raises TokenInvalid for what can't be a token."""
    kid, dot, _ = text.partition(".")
    if not dot or len(text) > _MAX_LENGTH or not text.isascii():
        raise invalid()
    return kid


def read(text: str, key: bytes, now: int) -> Token:
    """The facts of a genuine token at `now` (seconds), which may have expired. Raises TokenInvalid.

    base64 has several spellings of one value; only the one that `mint` writes is a token.
    """
    try:
        payload = _signer(key).unsign(text.partition(".")[2])
        token = _token(json.loads(base64_decode(payload)))
    except (BadData, KeyError, TypeError, ValueError) as error:
        raise invalid() from error
    if not hmac.compare_digest(mint(kid_of(text), key, token), text) or token.approved_at > now + TOKEN_LEEWAY_SECONDS:
        raise invalid()
    return token


def refuse_expired(token: Token, now: int) -> None:
    """Raises TokenExpired. Last, as whom a token is for is no business of those whom it is not for."""
    if token.expires_at <= now:
        raise TokenExpired("The token has expired; the person needs a new code.")


def invalid() -> TokenInvalid:
    """One answer for everything that a token is not good for."""
    return TokenInvalid("The token is not genuine, or not for this client, purpose, recipient, session and context.")


@lru_cache(maxsize=4096)
def _mac(key: bytes) -> Mac:
    return mac(key)


@lru_cache(maxsize=4096)
def _signing(key: bytes) -> Mac:
    return mac(_signer(key).derive_key())


def _signer(key: bytes) -> Signer:
    return Signer(key, salt=_SALT, digest_method=hashlib.sha256, key_derivation="hmac")


def _payload(token: Token) -> str:
    """JSON, sorted by name. What was not bound has no field."""
    context = "" if token.context is None else f'"c":{quoted(token.context)},'
    session = "" if token.session is None else f'"s":{quoted(token.session)},'
    return (
        f'{{"a":{token.approved_at},{context}"e":{token.expires_at},"j":{quoted(token.id)},{session}'
        f'"t":{quoted(token.to)},"v":{quoted(token.verification_id)}}}'
    )


def _token(payload: dict[str, Any]) -> Token:
    return Token(
        id=payload["j"],
        verification_id=payload["v"],
        to=payload["t"],
        session=payload.get("s"),
        context=payload.get("c"),
        approved_at=int(payload["a"]),
        expires_at=int(payload["e"]),
    )
