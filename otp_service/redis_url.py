"""Where Redis is: the forms of `redis.url`, read once. Addresses are plain data here; who dials is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

REDIS_PORT = 6379
SENTINEL_PORT = 26379

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_SINGLE_SCHEMES = ("redis", "rediss", "unix")

Node = tuple[str, int]
"""Host and port; an IPv6 address stands without its brackets."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a server wants to hear first; empty: nothing."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SingleUrl:
    """One server. Its URL goes to the library as it stands, options and all."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Sentinels, which know the master by its name."""

    sentinels: tuple[Node, ...]
    master: str
    db: int = 0
    login: Login = Login()
    """For the master."""
    sentinel_login: Login = Login()
    tls: bool = False
    """To the master and to the sentinels."""


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """Some nodes of a cluster; they name the others."""

    nodes: tuple[Node, ...]
    login: Login = Login()
    tls: bool = False


RedisUrl = SingleUrl | SentinelUrl | ClusterUrl


def parse_redis_url(url: str) -> RedisUrl:
    """What a URL says. Raises ValueError, which says what to write and repeats nothing that may be a password."""
    scheme, mark, rest = url.partition("://")
    if mark and scheme in _SINGLE_SCHEMES:
        return _single(url)
    if mark and scheme in {"redis+sentinel", "rediss+sentinel"}:
        return _sentinel(rest, tls=scheme.startswith("rediss"))
    if mark and scheme in {"redis+cluster", "rediss+cluster"}:
        return _cluster(rest, tls=scheme.startswith("rediss"))
    raise ValueError("not a Redis URL")


def where(url: str) -> str:
    """The address as a person is told it: without a login. Raises ValueError as `parse_redis_url` does."""
    place = parse_redis_url(url)
    if isinstance(place, SentinelUrl):
        return f"the master {place.master} of the sentinels {_listed(place.sentinels)}"
    if isinstance(place, ClusterUrl):
        return f"the cluster of {_listed(place.nodes)}"
    parts = urlsplit(place.url)
    if parts.scheme == "unix":
        return parts.path
    return _listed([(parts.hostname or "localhost", parts.port or REDIS_PORT)])


def _listed(nodes: Iterable[Node]) -> str:
    return ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes)


def _single(url: str) -> SingleUrl:
    """redis-py reads it, and says of some faults nothing, of others half of the password."""
    if url.startswith("unix:"):
        return SingleUrl(url)
    try:
        parts = urlsplit(url)
        is_readable = parts.port != 0
    except ValueError:
        is_readable = False
    if not is_readable:
        raise ValueError(
            "the host is none, or its port not a number of 1 to 65535; "
            "an @, / or ? in a password is written %40, %2F or %3F"
        )
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        raise ValueError("the database after the host is not a number; write redis://host:6379/0")
    return SingleUrl(url)


def _sentinel(rest: str, tls: bool) -> SentinelUrl:
    login, hosts, path, query = _parts(rest)
    nodes = _nodes(hosts, SENTINEL_PORT)
    master, _, db = path.partition("/")
    if not master:
        raise ValueError("the master's name is missing; write redis+sentinel://h1,h2/mymaster")
    if db and not re.fullmatch(r"[0-9]{1,5}", db):
        raise ValueError("the database after the master's name is not a number; write …/mymaster/0")
    options = _options(query, _SENTINEL_OPTIONS)
    sentinel_login = Login(*(options.get(name, "") for name in _SENTINEL_OPTIONS))
    return SentinelUrl(nodes, unquote(master), int(db or 0), login, sentinel_login, tls)


def _cluster(rest: str, tls: bool) -> ClusterUrl:
    login, hosts, path, query = _parts(rest)
    nodes = _nodes(hosts, REDIS_PORT)
    if path not in {"", "0"}:
        raise ValueError("a cluster has database 0 only; write no path after its nodes")
    _options(query, ())
    return ClusterUrl(nodes, login, tls)


def _parts(rest: str) -> tuple[Login, str, str, str]:
    """Login, hosts, path without its slash, query."""
    if "#" in rest:
        raise ValueError("a # in a password is written %23")
    # What ends a host in a URL must not hide half a password: its ?, / and @ are written %3F, %2F and %40.
    location, _, query = rest.partition("?")
    authority, _, path = location.partition("/")
    if "@" in path or "@" in query or authority.count("@") > 1:
        raise ValueError("an @, / or ? in a user's name or password is written %40, %2F or %3F")
    user, at, hosts = authority.rpartition("@")
    if not at:
        return Login(), hosts, path, query
    name, _, password = user.partition(":")
    return Login(unquote(name), unquote(password)), hosts, path, query


def _nodes(hosts: str, default_port: int) -> tuple[Node, ...]:
    nodes = tuple(_node(place, default_port) for place in hosts.split(","))
    if len(set(nodes)) < len(nodes):
        raise ValueError("a host stands there twice")
    return nodes


def _node(place: str, default_port: int) -> Node:
    host = _HOST.match(place)
    if host is None:
        raise ValueError("a host is missing or is none; write h1:port,h2:port")
    port = place[host.end() :]
    if not port:
        return host[0].strip("[]"), default_port
    if not re.fullmatch(r":[0-9]{1,5}", port) or not 0 < int(port[1:]) < 65536:
        raise ValueError("a port is not a number of 1 to 65535; write h1:port,h2:port")
    return host[0].strip("[]"), int(port[1:])


def _options(query: str, allowed: Collection[str]) -> dict[str, str]:
    # A + is a character of a password, not a blank: this is no form.
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    if {name for name, _ in pairs} - set(allowed):
        raise ValueError(f"an option that is not known here; allowed: {', '.join(allowed) or 'none'}")
    return dict(pairs)
