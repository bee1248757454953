"""Aliyun's signature version 3, ACS3-HMAC-SHA256."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from otp_service.channels.signing import canonical_request, hmac_sha256, sha256_hex

_ALGORITHM = "ACS3-HMAC-SHA256"


def signed_headers(
    key_id: str, secret: str, host: str, action: str, body: bytes, content_type: str, now: float, nonce: str
) -> dict[str, str]:
    """What goes with a POST to `/` at `host`; `now` in seconds since the epoch: Aliyun takes 15 minutes' error."""
    headers = {
        "Content-Type": content_type,
        "x-acs-action": action,
        "x-acs-version": "2017-05-25",
        "x-acs-date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": sha256_hex(body),
    }
    return {**headers, "Authorization": authorization(key_id, secret, {}, {"Host": host, **headers})}


def authorization(key_id: str, secret: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The header's value for a POST to `/` whose `headers`, all of which are signed, hold `x-acs-content-sha256`."""
    payload_hash = next(value for name, value in headers.items() if name.lower() == "x-acs-content-sha256")
    ordered = urlencode(sorted(query.items()), quote_via=quote, safe="~")
    canonical = canonical_request("POST", "/", ordered, headers, payload_hash)
    signature = hmac_sha256(secret.encode(), f"{_ALGORITHM}\n{sha256_hex(canonical.text.encode())}").hex()
    return f"{_ALGORITHM} Credential={key_id},SignedHeaders={canonical.signed_headers},Signature={signature}"
