"""A request as it will stand on the wire, and the place where it goes.

httpx reads its address, and is imported when there is one: whoever only checks a channel's settings goes without.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from otp_service.channels.http.answer import MAX_ANSWER

if TYPE_CHECKING:
    import httpx

_OURS = frozenset(("host", "accept-encoding", "content-length", "transfer-encoding", "connection", "expect", "upgrade"))
"""Headers that say where a request goes, where it ends and how its answer comes: nobody else's business."""
_WITH_BODY = ("POST", "PUT", "PATCH")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110, 5.6.2."""
_VALUE = re.compile(r"[\t\x20-\x7e]*")
"""RFC 9110, 5.5, without obs-text: nothing that could end the line."""
_PLAIN_QUERY = re.compile(r"(?:[A-Za-z0-9!$&()*+,./:;=?@_~-]|%[0-9A-Fa-f]{2})*")
"""What stays as it is in a query; the rest is quoted by httpx."""


class Place(NamedTuple):
    """What a connection leads to; one that leads elsewhere, or was checked for another name, can't stand in for it."""

    host: str
    """As TLS checks it: ASCII, an IPv6 address without its brackets."""
    port: int
    tls: bool
    address: str = ""
    """The IP address to connect to; empty for whatever `host` resolves to."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    method: str
    url: str
    place: Place
    target: bytes
    headers: list[tuple[str, str]]
    body: bytes
    most: int = MAX_ANSWER
    """Bytes of its answer, decoded."""

    def wire(self) -> bytes:
        head = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method.encode(), self.target, head.encode(), self.body)


def build_request(
    method: str, url: str, body: bytes, headers: Mapping[str, str], address: str, most: int = MAX_ANSWER
) -> Request:
    """Raises `ValueError`, whose text quotes no value of a header, or `httpx.InvalidURL`, for what can't be sent."""
    method = method.upper()
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise ValueError("no such method")
    place, authority, target = _destination(url)
    if address:
        place = place._replace(address=_ip_address(address))
    given = {name.lower() for name in headers}
    lines = [("Host", authority), *[_line(name, value) for name, value in headers.items()]]
    if "accept" not in given:
        lines.append(("Accept", "*/*"))
    lines.append(("Accept-Encoding", "identity"))
    if "user-agent" not in given:
        lines.append(("User-Agent", "otp-service"))
    if body or method in _WITH_BODY:
        lines.append(("Content-Length", str(len(body))))
    return Request(method, url, place, target, lines, body, most)


def _line(name: str, value: str) -> tuple[str, str]:
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError("a header holds a character that none may hold")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is set by this client alone")
    return name, value.strip()


def _destination(url: str) -> tuple[Place, str, bytes]:
    """Place, authority for the Host header, and target. A gateway's address differs by its query at most."""
    base, mark, query = url.partition("?")
    if "#" in base or not _PLAIN_QUERY.fullmatch(query):
        return _parsed(_read(url))
    place, authority, path = _parsed_base(base)
    return place, authority, path + (mark + query).encode()


@functools.lru_cache(maxsize=256)
def _parsed_base(base: str) -> tuple[Place, str, bytes]:
    """httpx takes 20 µs to read an address, a tenth of all that a request takes."""
    return _parsed(_read(base))


def _read(url: str) -> httpx.URL:
    import httpx

    return httpx.URL(url)


def _parsed(url: httpx.URL) -> tuple[Place, str, bytes]:
    host, tls = url.raw_host.decode(), url.scheme == "https"
    if url.scheme not in ("http", "https") or not host or host.startswith("."):
        raise ValueError("the address must begin with http:// or https:// and a host")
    return Place(host, url.port or (443 if tls else 80), tls), url.netloc.decode(), url.raw_path


def _ip_address(text: str) -> str:
    """Nothing but the usual spelling: `getaddrinfo` takes 0x7f.1 as well."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("the address to connect to must be an IP address") from None
