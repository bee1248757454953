"""Load: callers on threads who start and check all the time, and remember what they were told."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from otp_service.errors import AlreadyApproved, CodeMismatch, OtpServiceError, Unavailable
from otp_service.verifier import Idempotency
from tests.cli.processes import until
from tests.faults.checker import Checker
from tests.world import World

REDIS_INVARIANTS = ("I2", "I3", "I7")
"""Those that a lost server can break where no gateway takes part."""


@contextlib.contextmanager
def calling(count: int, call: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """So many callers at once, who call until it is over."""
    threads = [threading.Thread(target=call, name=f"caller {n}") for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def answered(call: Callable[[], Any]) -> Any:
    """The first answer that is not 503."""
    told: list[Any] = []

    def is_told() -> bool:
        try:
            told.append(call())
        except Unavailable:
            return False
        return True

    until(is_told, "it is answered")
    return told[0]


@dataclass
class Load:
    world: Callable[[], World]
    """A process of ours with connections of its own, one for each caller."""
    callers: int = 4
    lines: list[dict[str, Any]] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    approved: dict[str, float] = field(default_factory=dict)
    """When they were told of it (monotonic)."""
    started: dict[str, float] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Answers 503."""
    strangers: list[str] = field(default_factory=list)
    """Answers that a fault must not bring about."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _unanswered: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What was asked for under a key, and answered by 503 only."""
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[Load]:
        with calling(self.callers, self._call, self._over):
            yield self

    def until_more(self, approvals: int) -> None:
        """Return once so many more were approved: it works."""
        before = len(self.approved)
        until(lambda: len(self.approved) >= before + approvals, "they are approved")

    def _call(self) -> None:
        world = self.world()
        while not self._over.is_set():
            try:
                self._one(world, f"+86138{next(self._numbers):08d}")
            except (Unavailable, RedisError):
                self.refused += 1
                time.sleep(0.005)  # a caller that is told 503 does not come back at once

    def _one(self, world: World, to: str) -> None:
        id = world.start(to=to).verification.id
        now = time.monotonic()
        self.started[id] = now
        self.lines.append({"event": "start", "id": id, "send": 1, "mobile": to, "dies": now + 300})
        try:
            self.codes[id] = code = world.code_of(id)
        except AttributeError:
            return  # a failover has lost it since
        self._check(world, id, world.wrong_code(id), "w" + id)
        self._check(world, id, code, id)

    def _check(self, world: World, id: str, code: str, key: str) -> None:
        """With a key, again and again until there is an answer."""
        self._unanswered[key] = (id, code)
        while not self._over.is_set() and not self._is_answered(world, id, code, key):
            time.sleep(0.005)

    def _is_answered(self, world: World, id: str, code: str, key: str) -> bool:
        try:
            checked = world.check(id, code, idempotency=Idempotency(key, id, code.encode()))
        except CodeMismatch as error:
            self.wrong[id] += 1
            self._note(id, key, "mismatch", replayed=error.replayed)
        except Unavailable:
            self.refused += 1
            self._note(id, key, "error")
            return False
        except OtpServiceError as error:
            self.strangers.append(f"{id}: {error!r}")
            self._note(id, key, "ended")
        else:
            self._note(id, key, "approved", checked.token, checked.replayed)
            self.approved[id] = time.monotonic()
        del self._unanswered[key]
        return True

    def _note(self, id: str, key: str, answer: str, token: str = "", replayed: bool = False) -> None:
        self.lines.append(
            {"event": "check", "id": id, "key": key, "answer": answer, "token": token, "replayed": replayed}
        )

    # --- the end --------------------------------------------------------------------------------------------------

    def violations(self, world: World) -> list[str]:
        """Of the invariants that need no gateway; whoever was told 503 asks once more."""
        for key, (id, code) in list(self._unanswered.items()):
            self._is_answered(world, id, code, key)
        finals = {}
        for id in self.started:
            with contextlib.suppress(OtpServiceError):
                finals[id] = world.get(id)
        said = Checker([], self.lines, finals).violations()
        return [line for line in said if line.startswith(REDIS_INVARIANTS)]

    def lost(self, world: World, before: float = float("inf")) -> list[str]:
        """What somebody was told of, until `before`, and is not so any more. Its codes are all tried again."""
        return [said for id in self.started if (said := self._lost(world, id, before))]

    def _lost(self, world: World, id: str, before: float) -> str:
        if self.approved.get(id, before) < before:
            return self._is_spent(world, id)
        if self.started[id] < before:
            try:
                world.get(id)
            except OtpServiceError:
                return f"{id}: its start is lost"
        return ""

    def _is_spent(self, world: World, id: str) -> str:
        try:
            world.check(id, self.codes[id])
        except AlreadyApproved:
            return ""
        except OtpServiceError as error:
            return f"{id}: its approval is lost: {error!r}"
        return f"{id}: its code was approved again"
