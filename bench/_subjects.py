"""The rows of the comparison: whom to ask what in one round, and what that took."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import redis
from _ground import SHOP, Ground, cpu_clock, family, gateways, grounds, memory, mobiles, pin, valkey
from _installation import Installation
from _load import CONNECTIONS, Caller, Heard, Job, post
from _peer import Peer
from _recording import recorded, shas
from _rungs import BELOW
from _servers import Missing, fastify, go_service, ours, rung
from deliveries import LATENCIES, Unsettled, once_more

from otp_service.calls import CheckRequest, StartRequest
from otp_service.store.wire import packed

CHECK, START, DELIVERY = "check", "start", "delivery"
"""What a row does; a row is held against the one of a peer that does the same."""


class Figures(NamedTuple):
    """Of one row in one round. Seconds of CPU are those of one request; 0 is what was not measured."""

    rate: float
    cpu: float
    p50: float = 0.0
    p99: float = 0.0
    rss: float = 0.0
    """MB of the largest of its processes; `pss` of all together, what they share counted once."""
    pss: float = 0.0
    redis: float = 0.0
    """Redis's CPU, where somebody else is the server."""


NOT_MEASURED = Figures(0.0, 0.0)


@dataclass(frozen=True)
class Row:
    name: str
    does: str


class Subject(Protocol):
    """Who is measured. `rows` are in the order in which it is asked."""

    rows: Sequence[Row]

    def ask(self, caller: Caller, count: int) -> Mapping[Row, Figures]:
        """One round. Raises Refused for an answer that is not the right one."""
        ...


def measured(caller: Caller, job: Job, pids: Sequence[int], behind: Sequence[int] = ()) -> tuple[Figures, Heard]:
    """`pids` are whom we ask, with what they started; `behind` is the Redis that they ask."""
    everybody = [member for pid in pids for member in family(pid)]
    before, redis_before = (sum(cpu_clock(pid) for pid in group) for group in (everybody, behind))
    heard = caller.ask(job)
    after, redis_after = (sum(cpu_clock(pid) for pid in group) for group in (everybody, behind))
    count, in_order = len(job.requests), sorted(heard.latencies)
    rss, pss = memory(everybody) if everybody else (0.0, 0.0)
    cpu, of_redis = (after - before) / count, (redis_after - redis_before) / count
    p50, p99 = in_order[count // 2], in_order[min(count - 1, count * 99 // 100)]
    return Figures(count / heard.seconds, cpu, p50, p99, rss, pss, of_redis), heard


def pid_of(redis_url: str) -> int:
    return int(redis.Redis.from_url(redis_url).info("server")["process_id"])


class Ours:
    rows = (Row("ours: start", START), Row("ours: check", CHECK))

    def __init__(self, installation: Installation, pid: int, redis_pid: int) -> None:
        self._installation, self._pid, self._redis = installation, pid, redis_pid
        self._headers = [f"Authorization: Bearer {installation.key}", "Content-Type: application/json"]

    def ask(self, caller: Caller, count: int, connections: int = CONNECTIONS) -> Mapping[Row, Figures]:
        found = {}
        calls = self._installation.starts(count)
        for row, expect in zip(self.rows, (b'"pending"', b'"approved"'), strict=True):
            requests = [post(path, json.dumps(body).encode(), self._headers) for path, body in calls]
            job = Job(self._installation.port, requests, expect, connections=connections)
            found[row], heard = measured(caller, job, [self._pid], [self._redis])
            if row.does == START:
                calls = self._installation.checks(heard.answers)
        return found


class Rung:
    """What answers the same to everything. Held against a peer's check, which is the smaller of its calls."""

    def __init__(self, name: str, pid: int, port: int, redis_pid: int = 0) -> None:
        self.rows = (Row(name, CHECK),)
        self._pid, self._port, self._redis = pid, port, [redis_pid] if redis_pid else []

    def ask(self, caller: Caller, count: int) -> Mapping[Row, Figures]:
        job = Job(self._port, [post("/", b"{}", ["Content-Type: application/json"])] * count, b'"pending"')
        return {self.rows[0]: measured(caller, job, [self._pid], self._redis)[0]}


class Rival:
    """A peer, asked by its description."""

    def __init__(self, peer: Peer, redis_pid: int = 0) -> None:
        self.rows = (Row(f"{peer.name}: send", START), Row(f"{peer.name}: check", CHECK))
        self._peer, self._redis, self._next = peer, [redis_pid] if redis_pid else [], 0

    def ask(self, caller: Caller, count: int) -> Mapping[Row, Figures]:
        peer = self._peer
        words = peer.sends([f"86{number}" for number in mobiles(count, self._next)])
        self._next += count
        sends = [peer.send.filled(one, peer.headers) for one in words]
        sent, heard = measured(caller, Job(peer.port, sends, peer.send.expect.encode()), peer.pids, self._redis)
        told = [peer.told(one, answer) for one, answer in zip(words, heard.answers, strict=True)]
        checks = [peer.check.filled(one, peer.headers) for one in told]
        checked, _ = measured(caller, Job(peer.port, checks, peer.check.expect.encode()), peer.pids, self._redis)
        return dict(zip(self.rows, (sent, checked), strict=True))

    def set_up(self, caller: Caller) -> None:
        if self._peer.setup:
            call = self._peer.setup
            caller.ask(Job(self._peer.port, [call.filled({}, self._peer.headers)], call.expect.encode()))


class RedisAlone:
    """Our two scripts as our service called them, asked by the callers themselves, on an empty Redis each round."""

    rows = (Row("Redis alone: start's script", START), Row("Redis alone: check's script", CHECK))

    def __init__(self, installation: Installation, redis_url: str) -> None:
        self._installation, self._redis = installation, redis.Redis.from_url(redis_url)
        self._port, self._pid = urlsplit(redis_url).port or 0, pid_of(redis_url)
        self._scripts: Sequence[Sequence[bytes]] = ((), ())
        pin(self._pid, 0)

    def ask(self, caller: Caller, count: int) -> Mapping[Row, Figures]:
        if len(self._scripts[0]) < count:
            self._scripts = self._written_down(count)
        self._redis.flushall()
        found = {}
        for row, scripts, expect in zip(self.rows, self._scripts, (b"created", b"approved"), strict=True):
            job = Job(self._port, scripts[:count], expect, "redis")
            found[row], _ = measured(caller, job, [self._pid])
        return found

    def _written_down(self, count: int) -> Sequence[Sequence[bytes]]:
        config = self._installation.config
        verifier, recorder = recorded(config)
        start_sha, check_sha = shas(config, "start", "check")
        self._redis.flushall()
        with recorder.watching(start_sha) as starts:
            numbers = [body["to"] for _, body in self._installation.starts(count)]
            ids = [verifier.start(SHOP, StartRequest(to=to, purpose="login")).verification.id for to in numbers]
        codes = [self._installation.code(id) for id in ids]
        with recorder.watching(check_sha) as checks:
            for id, code in zip(ids, codes, strict=True):
                verifier.check(SHOP, id, CheckRequest(code))
        assert len(starts) == len(checks) == count, "a start and a check are one script each"
        return [[packed([words]) for words in asked] for asked in (starts, checks)]


class Deliveries:
    """One worker, emptying an outbox that was filled before; once with each gateway's latency."""

    rows = tuple(Row(f"ours: delivery, gateway {seconds * 1000:.0f} ms", DELIVERY) for seconds in LATENCIES)

    def __init__(self, stack: ExitStack, sends: int) -> None:
        self._sends, self._ports = sends, stack.enter_context(gateways(*LATENCIES))
        self._grounds = stack.enter_context(grounds(*([port] for port in self._ports)))

    def ask(self, caller: Caller, count: int) -> Mapping[Row, Figures]:
        places = zip(self._grounds, self._ports, strict=True)
        return {row: self._measured(*place) for row, place in zip(self.rows, places, strict=True)}

    def _measured(self, ground: Ground, port: int) -> Figures:
        try:
            one = once_more(ground, port, self._sends)
        except Unsettled:
            return NOT_MEASURED  # what the other rows took minutes for is not thrown away
        return Figures(one.rate, one.cpu, rss=one.rss, pss=one.pss, redis=one.redis)


# --- each by its name -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """What subjects stand on. `other` is a Redis for those that aren't ours, so that theirs doesn't grow ours."""

    stack: ExitStack
    new_installation: Callable[[str], Installation]
    ours: str
    other: str
    sends: int


def _ours(place: Place) -> Subject:
    installation = place.new_installation(place.ours)
    pid = place.stack.enter_context(ours(installation.path, installation.port))
    return Ours(installation, pid, pid_of(place.ours))


def _rung(name: str) -> Callable[[Place], Subject]:
    def make(place: Place) -> Subject:
        pid, port = place.stack.enter_context(rung(name, place.other))
        return Rung(NAMES[name], pid, port, pid_of(place.other) if "script" in name else 0)

    return make


def _fastify(place: Place) -> Subject:
    return Rival(place.stack.enter_context(fastify(place.other)), pid_of(place.other))


def _go(place: Place) -> Subject:
    (port,) = place.stack.enter_context(gateways(0.0))
    return Rival(place.stack.enter_context(go_service(place.other, port)), pid_of(place.other))


def _redis(place: Place) -> Subject:
    url = place.stack.enter_context(valkey())
    return RedisAlone(place.new_installation(url), url)


def _deliveries(place: Place) -> Subject:
    return Deliveries(place.stack, place.sends)


NAMES = {"bare": "bare WSGI", "bare + script": "bare WSGI + one script", "Flask hello": "Flask hello"}
assert tuple(NAMES) == BELOW
SUBJECTS: Mapping[str, Callable[[Place], Subject]] = {
    "hello": _rung("Flask hello"),
    "bare": _rung("bare"),
    "script": _rung("bare + script"),
    "ours": _ours,
    "go": _go,
    "fastify": _fastify,
    "redis": _redis,
    "deliveries": _deliveries,
}


def subjects(names: Sequence[str], peers: Sequence[Peer], place: Place) -> Iterator[tuple[str, Subject | Missing]]:
    """Each that can be measured here, or why not."""
    for name in names:
        try:
            yield name, SUBJECTS[name](place)
        except Missing as missing:
            yield name, missing
    for peer in peers:
        yield peer.name, Rival(peer)
