"""A week with two gateways, each down one per cent of the time for minutes on end: who has a gateway's yes within 3 s?

The real `Verifier`, `Delivery`, `Router` and scripts run on a real Valkey; the gateways are channels of this program's
own, which answer in 0.2 s, or are out of order: refused at once, silent, 503, or slow (4 s). Time is scaled: one second
here is ten of the week, for Redis's clock, for the gateways and for what a worker waits; between two bursts, every
few minutes, the clock jumps. Seconds in the table are those of the week. Outages last 3 to 20 minutes, drawn for
each gateway by itself, so both may be out at once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import structlog
from _ground import valkey

from otp_service.delivery import routing, worker
from otp_service.policy import Limits
from otp_service.ports import Balance, Message, Outcome, Reason, TryResult
from otp_service.store import connect, connect_async
from otp_service.store.scripts import SCRIPTS, Script
from tests import world as ground

SCALE = 10
WEEK_MS = 7 * 86_400_000
EVERY_MS = 120_000
DOWN_SHARE = 0.01
CLOCK = ground._CLOCK
KINDS = ("refused", "silent", "503", "slow")
ANSWERS = {
    "well": (0.2, ground.ACCEPTED),
    "refused": (0.0, TryResult(Outcome.RETRYABLE, Reason.NETWORK, "refused")),
    "silent": (5.0, TryResult(Outcome.UNKNOWN, Reason.TIMEOUT, "no answer")),
    "503": (0.1, TryResult(Outcome.RETRYABLE, None, "HTTP 503", overloaded=True)),
    "slow": (4.0, ground.ACCEPTED),
}
"""Seconds of the week until it answers, and what."""


def outages(chance: random.Random) -> list[tuple[float, float, str]]:
    """From, until and kind, in milliseconds of the week; together `DOWN_SHARE` of it."""
    found, down = [], 0.0
    while down < WEEK_MS * DOWN_SHARE:
        length = chance.uniform(3, 20) * 60_000
        begin = chance.uniform(0, WEEK_MS - length)
        found.append((begin, begin + length, chance.choice(KINDS)))
        down += length
    return found


@dataclass
class Gateway:
    name: str
    outages: list[tuple[float, float, str]]
    answer_within: float = 1.5 / SCALE
    deadline: float = 5.0 / SCALE
    moment: float = 0.0
    taken: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return next((kind for begin, end, kind in self.outages if begin <= self.moment < end), "well")

    async def deliver(self, message: Message) -> TryResult:
        seconds, result = ANSWERS[self.state]
        await asyncio.sleep(seconds / SCALE)
        if result.outcome is Outcome.ACCEPTED:
            self.taken.setdefault(message.to, time.monotonic())
        return result

    async def balance(self) -> Balance:
        return Balance("1")

    async def aclose(self) -> None: ...


def scaled() -> dict[str, Script]:
    """The scripts on a clock that runs `SCALE` times as fast and jumps as it is told."""
    moved = f"tonumber(redis.call('GET', 'test:clock') or 0) + ({CLOCK}) * {SCALE}"
    texts = {name: script.text.replace(CLOCK, moved, 1) for name, script in SCRIPTS.items()}
    return {name: Script(text, Script.sha_of(text)) for name, text in texts.items()}


async def live(here: ground.World, gateways: list[Gateway], bursts: int, size: int) -> Counter[str]:
    """One send after another, each with its end as its number's fate: `3s`, `late` or `never`."""
    fates: Counter[str] = Counter()
    async with here.working():
        for nth in range(bursts):
            moment = nth * WEEK_MS / bursts
            for gateway in gateways:
                gateway.moment = moment
                gateway.taken.clear()
            here.move_clock(EVERY_MS / 1000 * (WEEK_MS / EVERY_MS / bursts))
            began, numbers = time.monotonic(), [f"+86138{nth:05d}{one:03d}" for one in range(size)]
            down = [gateway.name for gateway in gateways if gateway.state != "well"]
            both = f"{' and '.join(down)} down: " if down else ""
            for number in numbers:
                try:
                    await asyncio.to_thread(here.start, number)
                except Exception as refusal:
                    fates[f"{both}refused: {type(refusal).__name__}"] += 1
            ends = began + 8.0 / SCALE
            while time.monotonic() < ends and len({n for g in gateways for n in g.taken}) < size:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            for number in numbers:
                first = min((g.taken[number] for g in gateways if number in g.taken), default=None)
                seconds = (first - began) * SCALE if first else None
                fates[both + ("never" if seconds is None else "3s" if seconds <= 3 else "late")] += 1
    return fates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=1000, help="spread over the week")
    parser.add_argument("--size", type=int, default=3, help="sends a burst")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ground.MOVABLE = scaled()  # type: ignore[misc]
    worker._TICK_SECONDS, worker.LOOK_SECONDS = 1.0 / SCALE, routing.LOOK_SECONDS / SCALE
    chance = random.Random(options.seed)
    with valkey() as url:
        server = ground.Server(connect(url), lambda: connect_async(url, 1.0), url)
        here = ground.World(server, Limits(recipient=(), failures=(), client_ip=()))
        here.gateways = [Gateway(name, outages(chance)) for name in ("primary", "backup")]  # type: ignore[misc]
        fates = asyncio.run(live(here, here.gateways, options.bursts, options.size))  # type: ignore[arg-type]
    total = sum(count for fate, count in fates.items() if "refused" not in fate)
    good = sum(count for fate, count in fates.items() if fate.endswith("3s"))
    print(f"{total} sends of a week, two gateways, each down {DOWN_SHARE:.0%} of the time\n")
    for fate, count in sorted(fates.items(), key=lambda one: -one[1]):
        print(f"{fate:<28} {count:>7}  {count / total:.3%}")
    print(f"\naccepted within 3 s: {good / total:.3%}")


if __name__ == "__main__":
    main()
