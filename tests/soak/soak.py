"""`Soak`: half of what the plant can serve, one fault after another, and the invariants at the end of each epoch."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from otp_service.errors import OtpServiceError
from otp_service.policy import Client
from otp_service.verification import Verification
from tests.cli.processes import until
from tests.faults.checker import Caps, Checker, Left, Line
from tests.soak.callers import Callers, percentile
from tests.soak.damage import FAULTS
from tests.soak.life import People
from tests.soak.plant import DEADLINE, HOST, Plant
from tests.soak.watch import Watch

SHOP = Client("shop", frozenset({"login"}))
LOAD = 0.5
"""Of what can be served."""
PACE_SECONDS = 10.0
AT_ONCE = 24
LOOK_SECONDS = 2.0
FOR_EVER = (
    ":outbox", ":later", ":due", ":dead", ":events", ":heard", ":orphans", ":workers", ":pauses", ":revoked",
)  # fmt: skip
"""How the names end of what `store/keys.py` says has no life of its own; a channel's hash is told by its middle."""


@dataclass
class Soak:
    """`fault_every` seconds, from the beginning of one to that of the next."""

    plant: Plant
    fault_every: float = 60.0
    say: Callable[[str], None] = print
    watch: Watch = field(default_factory=Watch)
    wrong: list[str] = field(default_factory=list)
    """What must not be: none, or the soak has failed."""
    happened: list[str] = field(default_factory=list)
    rate: float = 0.0
    """Verifications a second that are offered; 0 until it is known."""
    _epochs: int = 0
    _log_read: int = 0
    """Bytes of the gateways' log that earlier epochs were judged by."""
    _began: float = field(default_factory=time.monotonic)

    def run(self, seconds: float) -> None:
        """One epoch."""
        asyncio.run(self._run(seconds))

    async def _run(self, seconds: float) -> None:
        rng = random.Random(self._epochs)
        callers = [Callers(HOST, port) for port in self.plant.ports]
        people = People(callers, self.plant.key, self.plant.code_of, rng, 13_000_000_000 + 10_000_000 * self._epochs)
        self._epochs += 1
        if not self.rate:
            await people.pace(PACE_SECONDS / 2, AT_ONCE)  # everything is slower the first time
            pace = await people.pace(PACE_SECONDS, AT_ONCE)
            self.rate = pace * LOAD
            self.say(f"{pace:.1f} verifications a second can be served; {self.rate:.1f} are offered")
        looking = asyncio.create_task(self._look())
        doing = asyncio.create_task(self._harm(rng, seconds))
        lives = await people.offer(self.rate, seconds)
        await doing
        await asyncio.to_thread(self._judge, people, lives)
        looking.cancel()
        for one in callers:
            one.close()

    async def _look(self) -> None:
        while True:
            await asyncio.to_thread(self.watch.look, self.plant, time.monotonic() - self._began)
            await asyncio.sleep(LOOK_SECONDS)

    async def _harm(self, rng: random.Random, seconds: float) -> None:
        """Each fault in turn, in an order of chance; none that would begin shortly before the end."""
        began = time.monotonic()
        for nth, name in enumerate(_shuffled(rng)):
            begins = self.fault_every * (nth + 0.5)
            if begins > seconds - self.fault_every / 2 + 0.1:
                return
            await asyncio.sleep(max(begins - (time.monotonic() - began), 0))
            self.say(f"{time.monotonic() - self._began:6.0f} s  {name}")
            self.happened.append(name)
            await FAULTS[name](self.plant)

    # --- the end --------------------------------------------------------------------------------------------------

    def _judge(self, people: People, lives: int) -> None:
        until(lambda: self._left() == Left(), "nothing is left to do")
        finals = dict(self._finals(people))
        clients = people.lines + [{"event": "kill", "point": name} for name in self.happened if "killed" in name]
        gateways, self._log_read = read_log(self.plant.folder / "gateways.log", self._log_read)
        checker = Checker(gateways, clients, finals, self._left(), Caps(grace=DEADLINE))
        self.wrong += checker.violations() + people.given_up
        immortal = [key for key in self.plant.redis.scan_iter(count=1000) if self._is_immortal(key.decode())]
        self.wrong += [f"{key.decode()} has no end of its life" for key in immortal]
        self.say(f"{lives} lives · {checker.totals()} · keys without TTL {len(immortal)}")
        self.say("answers: " + " · ".join(f"{kind} {count}" for kind, count in sorted(people.statuses.items())))
        for kind, took in sorted(people.seconds.items()):
            half, most = (percentile(took, share) * 1000 for share in (0.5, 0.99))
            self.say(f"{kind:<7}{half:8.1f} ms p50 {most:8.1f} ms p99")

    def _finals(self, people: People) -> Iterator[tuple[str, Verification]]:
        for id in people.mobiles:
            try:
                yield id, self.plant.verifier.get(SHOP, id)
            except OtpServiceError:
                continue

    def _left(self) -> Left:
        redis = self.plant.redis
        outboxes, later = redis.keys("*:outbox"), redis.keys("*:later")
        return Left(
            entries=sum(redis.xlen(key) for key in outboxes),
            pending=sum(group["pending"] for key in outboxes for group in redis.xinfo_groups(key)),
            later=sum(redis.zcard(key) for key in later),
        )

    def _is_immortal(self, key: str) -> bool:
        is_channel = key.startswith("otp:c:")
        return not is_channel and not key.endswith(FOR_EVER) and self.plant.redis.pttl(key) == -1


def read_log(path: Path, after: int) -> tuple[list[Line], int]:
    """The whole lines of a log from byte `after` on, and where they end."""
    with path.open("rb") as log:
        log.seek(after)
        whole = log.read().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()], after + len(whole) + bool(whole)


def _shuffled(rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(list(FAULTS), len(FAULTS))
