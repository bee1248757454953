"""The signatures of the protocols, as their public documents define them, from the receiver's side. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5, sha1, sha256
from hmac import new as hmac_of
from urllib.parse import parse_qsl, quote


def _hmac(key: bytes, message: str) -> bytes:
    return hmac_of(key, message.encode(), sha256).digest()


def _canonical_query(query: bytes) -> str:
    """Decoded, sorted, and encoded anew by RFC 3986: what ACS3 and TC3 sign, however it was written."""
    pairs = sorted(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def _canonical_request(
    method: str, path: str, query: bytes, headers: Mapping[str, str], signed: Sequence[str], body_hash: str
) -> str:
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed)
    return "\n".join([method, quote(path, safe="/-_.~"), _canonical_query(query), lines, ";".join(signed), body_hash])


def acs3(
    secret: str, method: str, path: str, query: bytes, headers: Mapping[str, str], signed: Sequence[str], body: bytes
) -> str:
    """Alibaba Cloud, ACS3-HMAC-SHA256 (API v3 signature): lower hex. `signed` are lower-case names, in their order."""
    request = _canonical_request(method, path, query, headers, signed, sha256(body).hexdigest())
    return _hmac(secret.encode(), "ACS3-HMAC-SHA256\n" + sha256(request.encode()).hexdigest()).hex()


def tc3(
    secret: str,
    scope: tuple[str, str],
    timestamp: str,
    headers: Mapping[str, str],
    signed: Sequence[str],
    body: bytes,
) -> str:
    """Tencent Cloud, TC3-HMAC-SHA256 of a POST to `/`: lower hex. `scope` is (UTC date, service)."""
    # The documents sign x-tc-action in lower case; the other signed headers are spelt in lower case anyway.
    lower = {name: value.lower() for name, value in headers.items()}
    request = _canonical_request("POST", "/", b"", lower, signed, sha256(body).hexdigest())
    date, service = scope
    hashed = sha256(request.encode()).hexdigest()
    key = _hmac(_hmac(_hmac(b"TC3" + secret.encode(), date), service), "tc3_request")
    return _hmac(key, f"TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{hashed}").hex()


def twilio(token: str, url: str, fields: Mapping[str, str]) -> str:
    """`X-Twilio-Signature` of a POST: base64 HMAC-SHA1 of the URL followed by the sorted fields, name and value."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return b64encode(hmac_of(token.encode(), text.encode(), sha1).digest()).decode()


def vonage(secret: str, fields: Mapping[str, str]) -> str:
    """`sig` by Vonage's method md5hash: lower hex of the sorted fields, their `&` and `=` as `_`, and the secret."""
    pairs = (f"&{name}={fields[name].translate(_PLAIN)}" for name in sorted(fields) if name != "sig")
    return md5(("".join(pairs) + secret).encode(), usedforsecurity=False).hexdigest()


_PLAIN = str.maketrans("&=", "__")


def webhook_key(secret: str) -> bytes:
    """The key in a Standard Webhooks secret, `whsec_` and base64. Raises `ValueError` when it is none."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("a Standard Webhooks secret is whsec_ followed by base64") from error
    if not key:
        raise ValueError("a Standard Webhooks secret is whsec_ followed by base64")
    return key


def webhook(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """One `webhook-signature`, `v1,…`: base64 HMAC-SHA256 of id, timestamp and body, joined by dots."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac_of(webhook_key(secret), signed, sha256).digest()).decode()
