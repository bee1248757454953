"""The fields of a request, wherever the caller put them: query, form, multipart, or a mixture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from otp_service.simulator.wire import Request

MAX_FIELDS = 100
"""More fields than this are not read: the family has a dozen."""

_ALIASES = {"accountsid": "account", "smscontent": "content", "to": "mobile", "sig": "sign"}
"""What miaodi calls the fields of the family."""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by lower-case name. A value that is not in the expected charset is in `undecodable` instead."""

    fields: dict[str, str]
    undecodable: frozenset[str] = frozenset()

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


def read(request: Request, charsets: tuple[str, ...], *, miaodi: bool = False) -> Form:
    """Read the fields of a request. What the body says wins over the query; the first of equal names wins.

    `charsets` are tried in turn, strictly, for each value; a `charset` in the Content-Type is tried alone, but for a
    path of one charset other than UTF-8: who wrote to that one in UTF-8 has mistaken the address.
    """
    content_type = request.header(b"content-type")
    declared = _parameter(content_type, "charset").lower()
    if "utf-8" in charsets and declared in {"gbk", "gb2312", "gb18030", "utf-8", "utf8"}:
        charsets = ("utf-8",) if declared.startswith("utf") else ("gbk",)
    raw: dict[str, bytes] = {}
    for name, value in _pairs(request, content_type):
        key = name.decode("latin-1").lower()
        raw.setdefault(_ALIASES.get(key, key) if miaodi else key, value)
    fields: dict[str, str] = {}
    undecodable = set()
    for key, value in raw.items():
        text = _decode(value, charsets)
        if text is None:
            undecodable.add(key)
        else:
            fields[key] = text
    return Form(fields, frozenset(undecodable))


def _pairs(request: Request, content_type: str) -> Iterator[tuple[bytes, bytes]]:
    count = 0
    if content_type[:19].lower() == "multipart/form-data":
        body = _multipart(request.body, _parameter(content_type, "boundary").encode("latin-1"))
    else:
        body = _urlencoded(request.body)
    for source in (body, _urlencoded(request.query)):
        for pair in source:
            count += 1
            if count > MAX_FIELDS:
                return
            yield pair


def _urlencoded(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    # Not `parse_qsl`: old clients put raw GBK bytes into the form, which only a parser of bytes survives.
    for piece in text.split(b"&", MAX_FIELDS):
        name, found, value = piece.strip(b"\r\n").partition(b"=")
        if found:
            yield unquote_to_bytes(name.replace(b"+", b" ")), unquote_to_bytes(value.replace(b"+", b" "))


def _multipart(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not boundary:
        return
    for piece in body.split(b"--" + boundary, MAX_FIELDS)[1:]:
        head, found, value = piece.partition(b"\r\n\r\n")
        if not found:
            continue
        for line in head.split(b"\r\n"):
            if line[:20].lower() == b"content-disposition:":
                name = _parameter(line.decode("latin-1"), "name").encode("latin-1")
                yield name, value.removesuffix(b"\r\n")


def _parameter(header: str, name: str) -> str:
    for piece in header.split(";")[1:]:
        key, _, value = piece.strip().partition("=")
        if key.lower() == name:
            return value.strip('"')
    return ""


def _decode(value: bytes, charsets: tuple[str, ...]) -> str | None:
    for charset in charsets:
        try:
            return value.decode(charset)
        except UnicodeDecodeError:
            continue
    return None
