"""Tencent Cloud's signature version 3, TC3-HMAC-SHA256."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from otp_service.channels.signing import canonical_request, hmac_sha256, sha256_hex

_ALGORITHM = "TC3-HMAC-SHA256"
_SERVICE = "sms"
_CONTENT_TYPE = "application/json; charset=utf-8"


def signed_headers(
    secret_id: str, secret_key: str, host: str, action: str, region: str, body: bytes, now: float
) -> dict[str, str]:
    """What goes with a POST to `/` at `host`; `now` in seconds since the epoch: Tencent takes 5 minutes' error."""
    signed = {"Content-Type": _CONTENT_TYPE, "Host": host, "X-TC-Action": action.lower()}
    return {
        "Content-Type": _CONTENT_TYPE,
        "X-TC-Action": action,
        "X-TC-Version": "2021-01-11",
        "X-TC-Timestamp": str(int(now)),
        "X-TC-Region": region,
        "Authorization": authorization(secret_id, secret_key, _SERVICE, signed, body, int(now)),
    }


def authorization(
    secret_id: str, secret_key: str, service: str, headers: Mapping[str, str], body: bytes, now: int
) -> str:
    """The header's value for a POST to `/`, all of whose `headers` are signed."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    canonical = canonical_request("POST", "/", "", headers, sha256_hex(body))
    key = f"TC3{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac_sha256(key, part)
    signature = hmac_sha256(key, f"{_ALGORITHM}\n{now}\n{scope}\n{sha256_hex(canonical.text.encode())}").hex()
    names = canonical.signed_headers
    return f"{_ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={names}, Signature={signature}"
