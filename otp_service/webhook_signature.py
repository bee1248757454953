"""Standard Webhooks signatures: who sent this body, and when. Specification: standardwebhooks.com, version 1.

webhook-id:        a name of the message, the same for each time that it is sent
webhook-timestamp: seconds since the epoch, of this sending
webhook-signature: `v1,<base64>` of HMAC-SHA256 over `id.timestamp.body`; several in a row, parted by blanks, while
                   secrets are being changed
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping

TOLERANCE_SECONDS = 300
"""The specification's reference implementations allow five minutes to either side."""

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, as the specification bounds them."""
# A dot in the id could be moved into the timestamp, or from there into the body, under one signature.
_ID = re.compile(r"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES = 16


class BadSignature(Exception):
    """Not from a holder of the secret, or not from now. The text says why; it repeats nothing of what was sent."""


def is_id(text: str) -> bool:
    """Whether `text` can be a webhook-id: 1 to 256 visible ASCII characters without a dot."""
    return _ID.fullmatch(text) is not None


def decode_secret(text: str) -> bytes:
    """The bytes of a `whsec_<base64>` secret. Raises ValueError, which never repeats it."""
    if not text.startswith(_PREFIX):
        raise ValueError(f"does not begin with {_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"not {_PREFIX} and base64") from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ValueError(f"{len(secret)} bytes; a secret has {_SHORTEST} to {_LONGEST}")
    return secret


def sign(secrets: Iterable[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a request that carries `body`, with one signature a secret, in their order.

    Raises ValueError for a secret that is none, for no secret at all, and for an id that can't be signed.
    """
    if not is_id(id):
        raise ValueError("an id is 1 to 256 visible ASCII characters without a dot")
    signatures = [_signature(decode_secret(secret), id, str(timestamp), body) for secret in secrets]
    if not signatures:
        raise ValueError("there is no secret to sign with")
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def verify(
    secrets: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> str:
    """The id of a genuine request: signed with one of `secrets`, at most `tolerance` seconds from `now`.

    Raises `BadSignature`. It says nothing of a request that comes again within the tolerance: what follows from one
    must bear that, or its id must be remembered.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not is_id(id) or not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-id or webhook-timestamp is missing, or not in the form of Standard Webhooks")
    if abs(now - int(timestamp)) > tolerance:
        raise BadSignature(f"webhook-timestamp is more than {tolerance:.0f} seconds from our clock")
    signatures = _signatures(given.get("webhook-signature", ""))
    expected = [_signature(decode_secret(secret), id, timestamp, body).encode() for secret in secrets]
    # Every pair is compared: how long this takes says nothing of which secret, if any, is right.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    if not any(matches):
        raise BadSignature("no v1 signature in webhook-signature is of our secret")
    return id


def _signature(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, f"{id}.{timestamp}.".encode() + body, "sha256")).decode()


def _signatures(header: str) -> list[bytes]:
    pairs = [one.partition(",") for one in header.split()[:_MOST_SIGNATURES]]
    return [value.encode("utf-8", "replace") for version, _, value in pairs if version == "v1"]
