"""A small world for tests: a verifier on some store, a clock that can be moved, channels that say what a test wants."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pytest
import redis
import redis.asyncio

from otp_service.challenge import Challenge, Suspect
from otp_service.delivery import Composer, Delivery, Route, Router, Voice, Worker
from otp_service.errors import RateLimited
from otp_service.guard import Finding, Guard
from otp_service.keyring import Keyring
from otp_service.messages import Catalogue
from otp_service.policy import Client, Limits, Policy, Rules
from otp_service.ports import Balance, Message, Outcome, Reason, TryResult
from otp_service.retention import Retention
from otp_service.routes import ChannelRule
from otp_service.store import (
    RedisGuard,
    RedisOperations,
    RedisOutbox,
    RedisPresence,
    RedisStandings,
    RedisStore,
    lane_to,
    trips_to,
)
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.store.lane import Asks
from otp_service.store.scripts import SCRIPTS, Script, retaining
from otp_service.texts import Signature
from otp_service.verification import Verification
from otp_service.verifier import CheckRequest, Idempotency, Started, StartRequest, Verifier

SECRET = bytes(range(32))
FINGERPRINT = bytes(range(100, 132))
SHOP = Client("shop", frozenset({"login", "signup", "password_reset"}))
BANK = Client("bank", frozenset({"login", "signup", "password_reset"}))
NUMBER = "+8613800138000"
ACCEPTED = TryResult(Outcome.ACCEPTED, gateway_id="93390617")
UNLIMITED = Limits(recipient=(), failures=(), client_ip=(), prefix=(), disable_after=0)
KEYS = Keys("otp")
PATIENCE = 30.0
"""Seconds until a test gives up; none waits for time to pass."""

_CLOCK = "t[1] * 1000 + math.floor(t[2] / 1000)"
_MOVED = f"tonumber(redis.call('GET', 'test:now') or ({_CLOCK})) + tonumber(redis.call('GET', 'test:clock') or 0)"


def _movable(script: Script) -> Script:
    text = script.text.replace(_CLOCK, _MOVED, 1)
    return Script(text, Script.sha_of(text))


MOVABLE: Mapping[str, Script] = {name: _movable(script) for name, script in SCRIPTS.items()}
"""The scripts, on a clock that a test moves: Redis's own, or `test:now`, plus `test:clock` milliseconds."""


@dataclass
class Server:
    """One Redis, reachable the two ways that the service reaches it."""

    client: redis.Redis
    make_async: Callable[[], redis.asyncio.Redis]
    url: str = ""

    @cached_property
    def lane(self) -> Asks | None:
        """One for all that ask this server, as in a process: each keeps connections of its own."""
        return lane_to(self.client) if self.url else None


@dataclass
class FakeGateway:
    """A channel that answers what it is told to, and keeps what it was given.

    However slow this machine is, it counts as silent only in a test that gives it less time.
    """

    name: str = "primary"
    answers: list[TryResult | Callable[[], Awaitable[TryResult]]] = field(default_factory=list)
    answer_within: float = 20.0
    deadline: float = 30.0
    inbox: list[Message] = field(default_factory=list)

    async def deliver(self, message: Message) -> TryResult:
        self.inbox.append(message)
        answer = self.answers.pop(0) if self.answers else ACCEPTED
        return answer if isinstance(answer, TryResult) else await answer()

    async def balance(self) -> Balance:
        return Balance("100")

    async def aclose(self) -> None: ...

    @property
    def codes(self) -> list[str]:
        return [re.findall(r"[0-9]{6,10}", message.text)[0] for message in self.inbox]


def fields_of(client: redis.Redis, record: str | bytes) -> dict[str, bytes]:
    """What a verification's record holds, by the names that the scripts have for it."""
    names = {short: name for name, short in RECORD.items()}
    return {names.get(field.decode(), field.decode()): value for field, value in client.hgetall(record).items()}


def silent(seconds: float, then: TryResult = ACCEPTED) -> Callable[[], Awaitable[TryResult]]:
    """An answer that takes its time."""

    async def answer() -> TryResult:
        await asyncio.sleep(seconds)
        return then

    return answer


async def until(holds: Callable[[], object]) -> None:
    """Wait for what comes, and then stays."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 (what a store holds has no event)
            await asyncio.sleep(0.01)


def refused(reason: Reason) -> TryResult:
    return TryResult(Outcome.REJECTED, reason, "no")


class World:
    scripts: Mapping[str, Script] = MOVABLE

    def __init__(self, server: Server, limits: Limits | None = None, **policy: Any) -> None:
        self.server = server
        self.gateways = [FakeGateway("primary"), FakeGateway("backup")]
        self.keyring = Keyring([("a", SECRET)], FINGERPRINT)
        self.rules = Rules(
            policies={name: replace(Policy(), **policy) for name in ("login", "signup", "password_reset")},
            limits=limits or Limits(),
            default_region="CN",
            regions=frozenset({"CN"}),
            channels=(ChannelRule("primary", priority=0), ChannelRule("backup", priority=1)),
        )
        self.on_unknown: Any = "failover"
        self.reporting: set[str] = set()
        self.challenge: Challenge | None = None
        self.suspect: Suspect | None = None
        self.replica_within = 0
        self._rebuild()

    def with_rules(self, **changes: Any) -> World:
        self.rules = replace(self.rules, **changes)
        self._rebuild()
        return self

    def with_keyring(self, keyring: Keyring) -> World:
        self.keyring = keyring
        self._rebuild()
        return self

    def with_challenge(self, challenge: Challenge, suspect: Suspect | None = None) -> World:
        self.challenge, self.suspect = challenge, suspect
        self._rebuild()
        return self

    def with_replica(self, within_ms: int) -> World:
        """Every transition that somebody is told of waits so long for a replica."""
        self.replica_within = within_ms
        self._rebuild()
        return self

    def with_fence(self) -> World:
        """What was made before a failover, a restart or a restore is over."""
        self.scripts = {name: _movable(script) for name, script in retaining(Retention(), fenced=True).items()}
        self._rebuild()
        return self

    def with_scripts(self, scripts: Mapping[str, Script]) -> World:
        """As a process of another version, whose scripts differ."""
        self.scripts = scripts
        self._rebuild()
        return self

    def _rebuild(self) -> None:
        self.store = RedisStore(self.server.client, "otp", self.scripts, self.server.lane, self.replica_within)
        self.findings: list[Finding] = []
        self.ledger = RedisGuard(self.server.client, scripts=self.scripts)
        self.guard = Guard(self.ledger, self.keyring, self.rules.pumping, self.findings.append)
        self.verifier = Verifier(self.store, self.keyring, self.rules, self.challenge, self.suspect, self.guard)
        self.operations = RedisOperations(self.server.client, scripts=self.scripts)

    def move_clock(self, seconds: float) -> None:
        """Forwards or back, from where it stands. Redis's own expiry of keys stays on the real clock."""
        self.server.client.incrby("test:clock", round(seconds * 1000))

    def freeze_clock(self, slot: int = 1) -> None:
        """From now on time passes only when `move_clock` says so: for what a millisecond decides.

        `slot`, in milliseconds: what is counted by spans of the clock finds it at the beginning of one.
        """
        self.server.client.set("test:now", self.store.now() // slot * slot)
        self.server.client.delete("test:clock")

    def start(self, to: str = NUMBER, purpose: str = "login", client: Client = SHOP, **more: Any) -> Started:
        key: Idempotency | None = more.pop("idempotency", None)
        return self.verifier.start(client, StartRequest(to=to, purpose=purpose, **more), key)

    def check(self, id: str, code: str, client: Client = SHOP, **more: Any) -> Any:
        key: Idempotency | None = more.pop("idempotency", None)
        return self.verifier.check(client, id, CheckRequest(code=code, **more), key)

    def get(self, id: str, client: Client = SHOP) -> Verification:
        return self.verifier.get(client, id)

    def code_of(self, id: str, counter: int = 0) -> str:
        """What the SMS says, derived as a worker derives it."""
        parsed = self.keyring.parse_id(id)
        assert parsed is not None
        record = KEYS.record(parsed.partition, id)
        kid, seed, length = self.server.client.hmget(record, *(RECORD[name] for name in ("kid", "seed", "code_length")))
        return self.keyring.code(kid.decode(), id, seed, counter, int(length))

    def wrong_code(self, id: str) -> str:
        right = self.code_of(id)
        return f"{(int(right) + 1) % 10 ** len(right):0{len(right)}d}"

    def worker(
        self, name: str = "w1", idle_ms: int = 15_000, consumer: str | None = None, concurrency: int = 256
    ) -> tuple[Worker, RedisOutbox]:
        client = self.server.make_async()
        trips = trips_to(client, self.scripts)
        outbox = RedisOutbox(client, consumer or name, self.keyring, trips=trips)
        router = Router(RedisStandings(trips), self.rules.channels, {one.name: one.deadline for one in self.gateways})
        voice = Voice(Catalogue({}), Signature("今信科技", "front"))
        composer = Composer(self.keyring, self.rules.policies, {gateway.name: voice for gateway in self.gateways})
        route = Route(self.gateways, router, self.on_unknown, frozenset(self.reporting))
        delivery, presence = Delivery(outbox, route, composer), RedisPresence(trips)
        worker = Worker(outbox, delivery, router, name, concurrency, idle_ms, block_ms=10, presence=presence)
        return worker, outbox

    async def is_idle(self) -> None:
        """Return once no send waits in an outbox or is worked on."""
        await until(lambda: not self.waiting())

    def waiting(self) -> int:
        """Sends."""
        return sum(self.server.client.xlen(key) for key in self.server.client.keys("*:outbox"))

    def deliver(self, done: Callable[[], object] = lambda: True) -> None:
        """Wake what is due, and let one worker run until it has done what there is to do and `done` holds."""

        async def work() -> None:
            async with self.working():
                await self.is_idle()
                await until(done)

        asyncio.run(work())

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """A worker that has woken what is due, runs inside, and is stopped at the end, whatever happens."""
        worker, outbox = self.worker()
        # Else it does so at its first tick, a moment after it began to read. A busy machine may need a second attempt.
        for step in (outbox.open, worker._wake):
            await worker._until_it_works(step)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running
            await outbox.aclose()


def limited(server: Server, **limits: Any) -> World:
    """A world with these limits and no others; its clock stands still."""
    world = World(server, replace(UNLIMITED, **limits)).with_rules(regions=frozenset({"*"}))
    world.freeze_clock()
    return world


def refusal(call: Callable[[], object]) -> tuple[str | None, int | None]:
    """The limit that refuses `call`, and the seconds to wait."""
    with pytest.raises(RateLimited) as refused:
        call()
    return refused.value.limit, refused.value.retry_after
