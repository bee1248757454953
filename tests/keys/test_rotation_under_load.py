"""F31 at full size: threads at two processes, two workers, a real server, and keys that move under all of them."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from otp_service.errors import CodeMismatch, Problem
from otp_service.ports import Message, TryResult
from otp_service.verifier import CheckRequest, Idempotency, ResendRequest, StartRequest, TokenRequest, Verifier
from tests.keys.test_rotation import keyring
from tests.world import SHOP, UNLIMITED, FakeGateway, Server, World, fields_of

PATIENCE = 30.0
THREADS = 4
"""Callers at work; each call goes to either process, as a balancer would have it."""
STAY_SECONDS = 1.5
"""How long the load runs in each mixture of processes."""
FREE = replace(UNLIMITED, spray_brake=False)
"""Each life has a wrong code, and soon there are enough of them to look like an attack."""


@dataclass
class Phones(FakeGateway):
    """A gateway whose codes are found by their number."""

    code_of: dict[str, str] = field(default_factory=dict)

    async def deliver(self, message: Message) -> TryResult:
        self.code_of.setdefault(message.to, message.code)
        return await super().deliver(message)


@dataclass
class Fleet:
    """Two processes of the API and two workers; `roll` restarts one of each with other keys."""

    server: Server
    phones: Phones = field(default_factory=Phones)
    verifiers: list[Verifier] = field(default_factory=list)
    rolled: Counter[str] = field(default_factory=Counter)
    _stops: list[threading.Event] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def roll(self, place: int, kids: str) -> None:
        world = World(self.server, FREE, cooldown=(0,)).with_keyring(keyring(kids))
        world.gateways = [self.phones, FakeGateway("backup")]
        if place == len(self.verifiers):
            self.verifiers.append(world.verifier)
            self._stops.append(threading.Event())
            self._threads.append(threading.Thread())
        else:
            self._stops[place].set()
            self._threads[place].join()
            self.verifiers[place] = world.verifier
            self._stops[place] = threading.Event()
        self._threads[place] = threading.Thread(target=_work, args=(world, f"w{place}-{kids}", self._stops[place]))
        self._threads[place].start()

    def close(self) -> None:
        for stop, thread in zip(self._stops, self._threads, strict=True):
            stop.set()
            thread.join()

    def one(self) -> Verifier:
        return random.choice(self.verifiers)


def _work(world: World, name: str, stop: threading.Event) -> None:
    async def work() -> None:
        worker, outbox = world.worker(name)
        running = asyncio.create_task(worker.run())
        while not stop.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        worker.stop()
        await running
        await outbox.aclose()

    asyncio.run(work())


class Load:
    """Lives of verifications, each call of which goes to a process by chance; every refusal is kept."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._numbers = count(10_000_000)
        self._drawing = threading.Lock()
        self.refused: Counter[str] = Counter()
        self.lived = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._live_on, args=(stop,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _live_on(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._drawing:
                n = next(self._numbers)
            try:
                self._live(f"+86138{n}", str(n))
                self.lived += 1
            except (Problem, AssertionError) as refused:
                self.refused[f"{type(refused).__name__}: {refused}"] += 1

    def _live(self, to: str, name: str) -> None:
        one, bound = self._fleet.one, {"session": name}
        start, right = Idempotency(f"s{name}", "/", b""), Idempotency(f"c{name}", "/", b"")
        asked = StartRequest(to, "login", metadata={"order": name}, **bound)
        id = one().start(SHOP, asked, start).verification.id
        assert one().start(SHOP, asked, start).verification.id == id
        assert one().resend(SHOP, id, ResendRequest()).verification.sends == 2
        code = self._code(to)
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        with suppress(CodeMismatch):
            one().check(SHOP, id, CheckRequest(wrong, **bound))
        tokens = {one().check(SHOP, id, CheckRequest(code, **bound), right).token for _ in range(3)}
        assert len(tokens) == 1, "a replay gave another token"
        for consume in (False, True):
            proof = TokenRequest(next(iter(tokens)), "login", to, **bound, consume=consume)
            assert one().verify_token(SHOP, proof).metadata == {"order": name}
        canceled = one().start(SHOP, StartRequest(to, "signup")).verification.id
        one().cancel(SHOP, canceled)

    def _code(self, to: str) -> str:
        ends = time.monotonic() + PATIENCE
        while not (code := self._fleet.phones.code_of.get(to)):
            assert time.monotonic() < ends, "no message"
            time.sleep(0.005)
        return code


@pytest.mark.slow
def test_no_step_of_a_rotation_refuses_anybody(real_server: Server) -> None:
    """F31, T30: append, roll out, move to the front, roll out; then, when nothing of the old key is left, remove it."""
    fleet = Fleet(real_server)
    load = Load(fleet)
    lived = []
    try:
        for place in (0, 1):
            fleet.roll(place, "a")
        for acts in ((("ab", 0), ("ab", 1), ("ba", 0), ("ba", 1)), (("b", 0), ("b", 1))):
            # Between the acts every life ends: the old key goes when what it made is over.
            with load.running():
                time.sleep(STAY_SECONDS)
                for kids, place in acts:
                    fleet.roll(place, kids)
                    time.sleep(STAY_SECONDS)
            lived.append(load.lived)
    finally:
        fleet.close()
    print(f"F31: {load.lived} verifications, {len(fleet.phones.inbox)} messages, refused: {dict(load.refused)}")
    assert not load.refused
    assert all(lived)
    records = [fields_of(real_server.client, key) for key in real_server.client.keys("*:v:*")]
    kids = {record["kid"] for record in records if record}
    assert kids == {b"a", b"b"}
