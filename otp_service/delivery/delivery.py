"""`Delivery`: one send, handed to one channel after another with the same code until one has it.

Who may try is decided in Redis (`take`), where "trying" is written before a byte leaves; what is decided here is when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from otp_service.delivery.composer import Composer
from otp_service.keyring import SealBroken
from otp_service.metrics import TRIES, TRY_SECONDS
from otp_service.ports import (
    Begun,
    Channel,
    Entry,
    Message,
    NoChannel,
    Outbox,
    Outcome,
    Reason,
    StoreDown,
    TakeEnd,
    TryResult,
    Verdict,
)

_LOG = structlog.get_logger("otp_service.delivery")

MIN_LEFT_MS = 30_000
"""A code with less than this to live is not tried again: it would arrive as it dies."""
_AGAIN_SECONDS = (3.0, 8.0)
"""The jitter before the next round, so that a gateway that comes back is not met by everyone at once."""

_RECENT = 32
"""How many sends are remembered for those that are only played."""
_AT_FIRST = (0.05, Verdict.ACCEPTED)
"""Before a worker has sent anything: a gateway that is near and well."""


@dataclass(frozen=True, slots=True)
class Route:
    """The channels in the order in which they are tried, and what a silent one means for the next."""

    channels: Sequence[Channel]
    on_unknown: Literal["failover", "hold"] = "failover"


@dataclass(slots=True)
class _Round:
    """One pass over the channels: each is asked once."""

    entry: Entry
    fence: str
    asked: set[str] = field(default_factory=set)
    open: set[asyncio.Task[TryResult]] = field(default_factory=set)
    retry_after: float = 0.0
    """The longest wait that a gateway asked for, in seconds."""


class Delivery:
    """Deliveries share this; what belongs to one send is in its `_Round`."""

    def __init__(self, outbox: Outbox, route: Route, composer: Composer) -> None:
        self._outbox = outbox
        self._channels = {channel.name: channel for channel in route.channels}
        self._on_unknown = route.on_unknown
        self._composer = composer
        self._recent = deque([_AT_FIRST], maxlen=_RECENT)

    async def deliver(self, entry: Entry, fence: str) -> None:
        """Bring one outbox entry to its end. Raises StoreDown: then the entry stays, and is reclaimed by somebody."""
        current = _Round(entry, fence)
        began = time.monotonic()
        try:
            verdict, delay = await self._hand_over(current)
            self._remember(current, verdict, time.monotonic() - began)
            # A try that was begun is heard out: a late answer is still recorded.
            await asyncio.gather(*current.open)
        except StoreDown:
            await asyncio.gather(*current.open, return_exceptions=True)
            raise
        if verdict is not None:
            await self._outbox.settle(entry, fence, verdict, delay)
            _LOG.info("delivery", id=entry.id, send=entry.send, verdict=str(verdict), channels=sorted(current.asked))

    async def _hand_over(self, current: _Round) -> tuple[Verdict | None, int]:
        while True:
            left = [name for name in self._channels if name not in current.asked]
            step = await self._outbox.take(current.entry, current.fence, left, self._on_unknown)
            match step:
                case Begun():
                    result = await self._try(current, step)
                    if result is not None and result.outcome is Outcome.ACCEPTED:
                        return Verdict.ACCEPTED, 0
                case NoChannel() if current.open:
                    # The silent ones are all that is left; the first to answer may open the way again.
                    done, current.open = await asyncio.wait(current.open, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.gather(*done)
                case NoChannel():
                    return _verdict(current, step)
                case TakeEnd.LOST:
                    return None, 0
                case TakeEnd.PRETEND:
                    return await self._play(), 0
                case TakeEnd.STOP:
                    return Verdict.FAILED, 0
                case TakeEnd.OVER:
                    return Verdict.DONE, 0

    def _remember(self, current: _Round, verdict: Verdict | None, seconds: float) -> None:
        """How a real send went and how long it took, to play the next `deliver: false` by."""
        if current.asked and verdict is not None:
            self._recent.append((seconds, verdict))

    async def _play(self) -> Verdict:
        """Take as long as one of the latest sends, and come to its end: an unknown account looks like a known one."""
        seconds, verdict = random.choice(self._recent)  # noqa: S311 (which one is no secret)
        await asyncio.sleep(seconds)
        return Verdict.DONE if verdict is Verdict.LATER else verdict

    async def _try(self, current: _Round, begun: Begun) -> TryResult | None:
        """Ask one channel; None when it is silent for `answer_within` seconds, and goes on by itself."""
        channel = self._channels[begun.channel]
        current.asked.add(begun.channel)
        task = asyncio.create_task(self._ask(current, begun, channel))
        current.open.add(task)
        await asyncio.wait({task}, timeout=channel.answer_within)
        if not task.done():
            return None
        current.open.discard(task)
        return task.result()

    async def _ask(self, current: _Round, begun: Begun, channel: Channel) -> TryResult:
        message = self._compose(current.entry, begun)
        started = time.monotonic()
        result = await channel.deliver(message) if isinstance(message, Message) else message
        took = time.monotonic() - started
        TRIES.labels(channel.name, str(result.outcome), str(result.reason or "")).inc()
        TRY_SECONDS.labels(channel.name).observe(took)
        current.retry_after = max(current.retry_after, result.retry_after or 0.0)
        await self._outbox.record(current.entry, begun.index, current.fence, result, round(took * 1000))
        return result

    def _compose(self, entry: Entry, begun: Begun) -> Message | TryResult:
        try:
            return self._composer.compose(entry, begun)
        except (SealBroken, KeyError) as error:
            # Old records outlive a configuration: say so in the try, where `doctor` and the operator look.
            _LOG.error("can't compose", id=entry.id, error=type(error).__name__)
            return TryResult(Outcome.REJECTED, Reason.CONFIG, f"the message can't be written: {type(error).__name__}")


def _verdict(current: _Round, step: NoChannel) -> tuple[Verdict, int]:
    if step.retryable:
        wait = max(random.uniform(*_AGAIN_SECONDS), current.retry_after)  # noqa: S311 (jitter is no secret)
        if step.left - wait * 1000 >= MIN_LEFT_MS:
            return Verdict.LATER, round(wait * 1000)
    return (Verdict.DONE if step.may_have_sent else Verdict.FAILED), 0
