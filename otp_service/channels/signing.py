"""What Aliyun's ACS3 and Tencent's TC3 signatures have in common: the canonical request of AWS's scheme, and HMACs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple


class Canonical(NamedTuple):
    """A request in the one way to write it that both sides can hash."""

    text: str
    signed_headers: str
    """Their names, in lower case, sorted, parted by semicolons."""


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], payload_hash: str) -> Canonical:
    """All of `headers` are signed, values trimmed; `path` and `query` are given as they must be signed."""
    values = sorted((name.lower(), value.strip()) for name, value in headers.items())
    names = ";".join(name for name, _ in values)
    lines = "".join(f"{name}:{value}\n" for name, value in values)
    return Canonical("\n".join([method, path, query, lines, names, payload_hash]), names)


def host_header(url: str) -> str:
    """As `GatewayClient` writes it: in lower case, and without the port that goes without saying."""
    import httpx  # here, as in `http.request`

    return httpx.URL(url).netloc.decode()


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def same(given: str, expected: str) -> bool:
    """Compared in constant time; `given` may be anything that a stranger wrote."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
