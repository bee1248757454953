"""A gateway's answer: its status, its body up to a cap, and when it wants to be asked again."""

from __future__ import annotations

import email.utils
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_ANSWER = 64 * 1024
"""Bytes of an answer, decoded. The longest real answer of an SMS gateway to one number is under 1 KiB."""
MAX_RETRY_AFTER = 86_400.0
"""Seconds: a gateway that asks for more than a day is down, not busy."""
_LONGEST_DATE = 64
"""Characters of a `Retry-After`; the longest form of a date that RFC 9110 knows has 33."""

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a gateway answered, whatever its headers say of it."""

    status: int
    body: bytes = field(repr=False)
    """Decoded; at most one byte more than was allowed, so that a body that was cut is seen to be too long."""
    retry_after: float | None = None
    """Seconds, from a `Retry-After` header that could be read."""
    unpacked: bytes = field(default=b"", repr=False)
    """As far as it came, the text of a body whose compression has no end: then `body` is as it came, since what is
    missing may have said otherwise. For lists, which are worth something without their end."""


def read_answer(status: int, headers: Headers, raw: bytes, now: float, most: int = MAX_ANSWER) -> HttpAnswer:
    """`raw` is the body as it came, cut to `most` + 1 bytes; `now` in seconds since the epoch."""
    encoding, retry_after = list[bytes](), list[bytes]()
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"content-encoding":
            encoding.append(value)
        elif lowered == b"retry-after":
            retry_after.append(value)
    body, unpacked = _decoded(raw, _joined(encoding), most)
    return HttpAnswer(status, body, _retry_after(_joined(retry_after), now), unpacked)


def _joined(values: list[bytes]) -> str:
    return b", ".join(values).decode("latin-1").strip()


def _decoded(raw: bytes, encoding: str, most: int) -> tuple[bytes, bytes]:
    """Body and, of one that was cut, its beginning. Some servers compress though we ask them not to. Others would
    unpack a bomb whole; zlib stops where we say."""
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return raw, b""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = unpacking.decompress(raw, most + 1)
    except zlib.error:
        return (_inflated(raw, most) if encoding.lower() == "deflate" else raw), b""
    return (body, b"") if unpacking.eof or len(body) > most else (raw, body)


def _inflated(raw: bytes, most: int) -> bytes:
    """RFC 9110, 8.4.1.2: some leave out zlib's head. Any bytes begin to make sense then; these must end so as well."""
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = unpacking.decompress(raw, most + 1)
    except zlib.error:
        return raw
    return body if len(body) > most or (unpacking.eof and not unpacking.unused_data) else raw


def _retry_after(value: str, now: float) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER)
    if not value or len(value) > _LONGEST_DATE:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None
    return min(max(moment - now, 0.0), MAX_RETRY_AFTER)
