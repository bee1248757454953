"""Where a request of ours may go whose address somebody else chose: never into our own network.

An address is judged twice: `Target.parse` reads the URL strictly, when it is configured; `is_public` judges each
address that its name stands for, at each attempt, and the connection is then made to an address that was judged.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = frozenset({443, 8443})
"""Where receivers listen; on any other port something else may."""

_V4_REFUSED = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        # IANA IPv4 Special-Purpose Address Registry, and multicast and reserved space (RFC 5771, RFC 1112).
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata are at 100.100.100.200
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; most clouds' metadata are at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # public by its number, but Azure's own host, to each machine there
    )
)

_V6_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA gives out. Outside of it lie ::1, ::ffff:0:0/96, 64:ff9b::/96, fc00::/7, fe80::/10 and multicast."""

_V6_REFUSED = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        # IANA IPv6 Special-Purpose Address Registry, within 2000::/3.
        "2001::/23",  # Teredo, benchmarks, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_VISIBLE = re.compile(r"[!-\[\]-~]+")
"""ASCII without blanks, control characters and the backslash, which some readers of URLs take for a slash."""


def is_public(address: str) -> bool:
    """Whether this IP address is one of the open Internet. False for whatever is not spelled as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _V4_REFUSED)
    if parsed.scope_id is not None:
        return False
    return parsed in _V6_UNICAST and not any(parsed in network for network in _V6_REFUSED)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect for a URL."""

    host: str
    """A name in lower case, or an IP address in its one usual spelling, without brackets."""
    port: int
    allowed: bool
    """Excepted by the operator from the rules on addresses and ports."""

    @staticmethod
    def parse(url: str, allow: Collection[str] = ()) -> Target:
        """Read an http(s) URL. `allow` are exact "host:port" exceptions, as `hook.internal:8080` or `[::1]:8080`.

        Raises ValueError, which says what is wrong and repeats nothing of the URL: it may hold a secret.
        """
        if not _VISIBLE.fullmatch(url):
            raise ValueError("holds a blank, a backslash or a character that is not ASCII")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("not an address that can be read") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an https:// address")
        if "@" in parts.netloc or parts.fragment or "#" in url:
            raise ValueError("holds a user or a fragment")
        host = parts.hostname
        _refuse_odd_host(host)
        port = port if port is not None else {"http": 80, "https": 443}[parts.scheme]
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if shown in {entry.lower() for entry in allow}:
            return Target(host, port, True)
        if parts.scheme != "https":
            raise ValueError("not https://; plain http only to a host:port that `allow` names")
        if port not in PORTS:
            raise ValueError("not on port 443 or 8443; other ports only for a host:port that `allow` names")
        _refuse_private_host(host)
        return Target(host, port, False)


def _refuse_odd_host(host: str) -> None:
    """Names, usual spellings only: what inet_aton reads besides (0x7f.1, 2130706433, 0177.0.0.1) hides an address."""
    if _is_address(host):
        return
    if not _NAME.fullmatch(host) or len(host) > 253 or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise ValueError("its host is neither a name nor an address in its usual spelling")


def _refuse_private_host(host: str) -> None:
    if _is_address(host):
        if not is_public(host):
            raise ValueError("its address is not of the open Internet; `allow` can except a host:port")
    elif "." not in host or host.endswith((".localhost", ".local", ".internal")):
        raise ValueError("its host is a name of a network's own; `allow` can except a host:port")


def _is_address(host: str) -> bool:
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        return False
