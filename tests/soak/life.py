"""People: each starts a verification, looks whether its message has left, types codes, and notes what was told.

They ask again, with the same Idempotency-Key, until they have an answer: so whatever was accepted is known here, and
the checker of `tests/faults` can say whether the service kept to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from tests.soak.callers import Answer, Callers, request_of

PATIENCE = 120.0
"""Seconds until one who asks again and again gives up: no fault here lasts as long."""
_STARTS = "/v1/verifications"
_ENDS = {"approve": 85, "cancel": 10, "exhaust": 5}
_OPEN = frozenset({"queued", "trying"})
_PERHAPS = frozenset({"accepted", "unknown"})
"""Outcomes of a try after which the message may be there, though its delivery may never be known."""


class GaveUp(Exception):
    """Nobody answered within `PATIENCE`."""


@dataclass
class People:
    """`lines` is the log that the checker reads; `mobiles` of each verification."""

    lines_to: Sequence[Callers]
    key: str
    code_of: Callable[[str], str]
    rng: random.Random
    first: int
    """The first of the mobile numbers that are called."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    mobiles: dict[str, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.first)

    async def offer(self, rate: float, seconds: float) -> int:
        """So many lives a second, whether or not those before them are over; returns how many, when all are."""
        began, tasks, count = time.monotonic(), set[asyncio.Task[None]](), 0
        while (now := time.monotonic() - began) < seconds:
            if count / rate > now:
                await asyncio.sleep(count / rate - now)
                continue
            task = asyncio.create_task(self.live())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            count += 1
        while tasks:
            await asyncio.wait(set(tasks))
        return count

    async def pace(self, seconds: float, at_once: int) -> float:
        """How many lives a second there are where so many live at once: what can be served."""
        began, count = time.monotonic(), 0

        async def again() -> None:
            nonlocal count
            while time.monotonic() - began < seconds:
                await self.live()
                count += 1

        await asyncio.gather(*(again() for _ in range(at_once)))
        return count / (time.monotonic() - began)

    async def live(self) -> None:
        mobile = str(next(self._numbers))
        try:
            await self._live(mobile)
        except GaveUp as error:
            self.given_up.append(str(error))

    async def _live(self, mobile: str) -> None:
        asked = {"to": f"+86{mobile}", "purpose": "login"}
        started = await self._until_told("start", "POST", _STARTS, asked, f"s{mobile}")
        document = json.loads(started.body)
        if started.status != 201:
            raise GaveUp(f"a start was answered {started.status} {started.problem}")
        id = str(document["id"])
        self.mobiles[id] = mobile
        dies = time.monotonic() + document["expires_in"]
        self._note("start", id=id, send=document["sends"], mobile=mobile, dies=dies)
        await self._until_sent(id)
        end = self.rng.choices(list(_ENDS), list(_ENDS.values()))[0]
        code = await self._code(id)
        wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
        if end == "exhaust":
            for nth in range(5):
                await self._check(id, wrong, f"w{nth}{id}")
        elif self.rng.random() < 0.3:
            await self._check(id, wrong, f"w{id}")
        if end == "cancel":
            canceled = await self._until_told("cancel", "DELETE", f"{_STARTS}/{id}", None)
            if canceled.status != 200:
                raise GaveUp(f"{id} could not be canceled: {canceled.status} {canceled.problem}")
        else:
            await self._check(id, code, f"r{id}")

    async def _until_sent(self, id: str) -> None:
        until = time.monotonic() + PATIENCE
        seen: dict[str, Any] = {}
        while time.monotonic() < until:
            seen = json.loads((await self._until_told("get", "GET", f"{_STARTS}/{id}", None)).body)
            self._note("state", id=id, sends=seen["sends"], delivery=seen["delivery"], status=seen["status"])
            if seen["delivery"] not in _OPEN or any(one["outcome"] in _PERHAPS for one in seen["tries"]):
                return
            await asyncio.sleep(0.25)
        tries = [f"{one['channel']} {one['outcome']} {one['took_ms']} ms" for one in seen["tries"]]
        raise GaveUp(f"{id}, of {seen['created_at']}, is still {seen['delivery']} after {tries}")

    async def _code(self, id: str) -> str:
        """As the phone shows it; where Redis is away, the person looks again."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(RedisError):
                return await asyncio.to_thread(self.code_of, id)
            await asyncio.sleep(0.5)
        raise GaveUp(f"{id} has no code")

    async def _check(self, id: str, code: str, key: str) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            told = await self._ask("check", "POST", f"{_STARTS}/{id}/check", {"code": code}, key)
            facts: dict[str, Any] = {"answer": "ended", "token": "", "replayed": told.replayed}
            if told.status == 200:
                facts |= {"answer": "approved", "token": json.loads(told.body)["token"]}
            elif told.problem == "code_mismatch":
                facts["answer"] = "mismatch"
            elif told.status in (0, 503):
                facts["answer"] = "error"
            self._note("check", id=id, key=key, **facts)
            if facts["answer"] != "error":
                return
            if time.monotonic() > until:
                raise GaveUp(f"{id}: its check was never answered")
            await asyncio.sleep(0.5 + self.rng.random())

    async def _until_told(self, kind: str, method: str, path: str, document: object, key: str = "") -> Answer:
        """Anything but 503 and silence."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            told = await self._ask(kind, method, path, document, key)
            if told.status not in (0, 503):
                return told
            await asyncio.sleep(0.5 + self.rng.random())
        raise GaveUp(f"a {kind} was never answered")

    async def _ask(self, kind: str, method: str, path: str, document: object, key: str = "") -> Answer:
        headers = {"Idempotency_Key": key} if key else {}
        request = request_of(method, path, self.key, document, **headers)
        told = await self.rng.choice(self.lines_to).ask(kind, request)
        self.statuses[f"{kind} {told.status or 'lost'}"] += 1
        self.seconds.setdefault(kind, []).append(told.seconds)
        return told

    def _note(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})
