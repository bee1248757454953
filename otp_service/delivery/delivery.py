"""`Delivery`: one send, handed to one channel after another with the same code until one has it.

Who may try is decided in Redis (`take`), where "trying" is written before a byte leaves; what is decided here is when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import structlog

from otp_service.delivery.composer import Composer
from otp_service.delivery.judging import again, judge, verdict
from otp_service.delivery.playing import Repertoire, draw_report
from otp_service.delivery.routing import Plan, Router
from otp_service.keyring import SealBroken
from otp_service.masking import fit_id, fit_to_keep
from otp_service.metrics import count_try
from otp_service.ports import (
    Begun,
    Call,
    Change,
    Channel,
    Entry,
    Judgement,
    Message,
    NoChannel,
    Outbox,
    Outcome,
    Played,
    Pretend,
    Reason,
    StoreDown,
    TakeEnd,
    TryResult,
    Verdict,
)

_LOG = structlog.get_logger("otp_service.delivery")

_HELD_SECONDS = (0.5, 1.0)
"""How soon a paused send is looked at again: a resume is felt within a second or two."""


Announce = Callable[[str, Change], None]
"""Told a channel whose breaker has opened or closed."""


@dataclass(frozen=True, slots=True)
class Route:
    """The ways out, and what a silent one means for the next."""

    channels: Sequence[Channel]
    router: Router
    on_unknown: Literal["failover", "hold"] = "failover"
    reporting: frozenset[str] = frozenset()
    """Channels whose gateways report later."""
    announce: Announce = lambda channel, change: None


@dataclass(slots=True)
class _Round:
    """One pass over the channels: each is asked once."""

    entry: Entry
    fence: str
    asked: set[str] = field(default_factory=set)
    open: set[asyncio.Task[TryResult]] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    taken: float = 0.0
    """When the latest try was asked for."""
    last: tuple[str, TryResult] | None = None
    rests: dict[str, float] = field(default_factory=dict)
    """Seconds after which a channel may be asked for this send again, as it said itself."""
    first: float | None = None
    """Seconds until the first try had an outcome; None while none has, or where that one was the end."""
    played: Played | None = None
    """What it leaves behind, where it was only played."""


@dataclass(slots=True)
class _Waiting:
    """For one channel's answer."""

    answered: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    silent: bool = False
    """It had not answered in time; that was counted then."""


class Delivery:
    """Deliveries share this; what belongs to one send is in its `_Round`."""

    def __init__(self, outbox: Outbox, route: Route, composer: Composer) -> None:
        self._outbox = outbox
        self._route = route
        self._router = route.router
        self._channels = {channel.name: channel for channel in route.channels}
        self._composer = composer
        self._repertoire = Repertoire()

    async def deliver(self, entry: Entry, fence: str, handed_over: Callable[[], None] = lambda: None) -> None:
        """Bring one outbox entry to its end. Raises StoreDown: then the entry stays, and is reclaimed by somebody.

        `handed_over` is called when no channel will be asked any more, while late answers may still be awaited."""
        current = _Round(entry, fence)
        try:
            if await self._is_held(entry):
                if entry.turn > 1:
                    # Whoever left it still holds it, and what it began is unknown: only a holder can put it off.
                    await self._outbox.take(entry, fence, (), self._route.on_unknown)
                wait = random.uniform(*_HELD_SECONDS)  # noqa: S311 (jitter is no secret)
                await self._outbox.settle(entry, fence, Verdict.LATER, round(wait * 1000))
                return
            ending, delay = await self._hand_over(current)
            self._remember(current, ending)
            handed_over()
            # A try that was begun is heard out: a late answer is still recorded.
            if current.open:
                await asyncio.gather(*current.open)
        except StoreDown:
            await asyncio.gather(*current.open, return_exceptions=True)
            raise
        if ending is not None:
            await self._outbox.settle(entry, fence, ending, delay, current.played)
            self._log_end(current, ending)

    async def _is_held(self, entry: Entry) -> bool:
        """An operator holds back all sends, or those to this number's region or beginning."""
        now, pauses = self._router.now, self._router.pauses
        if pauses.until(now):
            return True
        if not pauses.some(now) or (found := await self._outbox.recipient(entry)) is None:
            return False
        try:
            return bool(pauses.until(now, *self._composer.place(entry, *found)))
        except SealBroken:
            return False

    async def _hand_over(self, current: _Round) -> tuple[Verdict | None, int]:
        while True:
            plan = await self._router.plan(current.entry, current.asked, current.fence)
            current.taken = time.monotonic()
            step = await self._outbox.take(current.entry, current.fence, plan.candidates, self._route.on_unknown)
            await self._give_back(plan, step, current.fence)
            match step:
                case Begun():
                    result = await self._try(current, step, plan)
                    if result is not None and result.outcome is Outcome.ACCEPTED:
                        return Verdict.ACCEPTED, 0
                case NoChannel() if current.open:
                    # The silent ones are all that is left; the first to answer may open the way again.
                    done, current.open = await asyncio.wait(current.open, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.gather(*done)
                case NoChannel():
                    return verdict(plan, step, current.rests)
                case TakeEnd.LOST:
                    return None, 0
                case Pretend():
                    return await self._play(current, step, plan)
                case TakeEnd.STOP:
                    return Verdict.FAILED, 0
                case TakeEnd.OVER:
                    return Verdict.DONE, 0

    async def _give_back(self, plan: Plan, step: Begun | NoChannel | Pretend | TakeEnd, fence: str) -> None:
        """A probe that this send can't use, as its channel is full or was asked before, is the next send's."""
        chosen = step.channel if isinstance(step, Begun) else ""
        for channel in plan.probes - {chosen}:
            await self._note(Call(channel, Judgement.NEUTRAL, None, 0, fence))

    def _remember(self, current: _Round, ending: Verdict | None) -> None:
        """How a real send went and how long it took, to play the next `deliver: false` by."""
        if current.asked and ending is not None:
            self._repertoire.remember(current.first, time.monotonic() - current.began, ending)

    async def _play(self, current: _Round, step: Pretend, plan: Plan) -> tuple[Verdict, int]:
        """Take as long as one of the latest sends, and come to its end: an unknown account looks like a known one."""
        if not step.channel:
            return again(step.left)
        seen = self._repertoire.draw()
        if seen.first is not None:
            await asyncio.sleep(seen.first)
            await self._outbox.tell(current.entry)
        await asyncio.sleep(seen.whole - (seen.first or 0.0))
        if seen.ending is Verdict.LATER:
            return again(step.left)
        windows = next(one.windows for one in plan.candidates if one.channel == step.channel)
        current.played = Played(step.channel, windows, draw_report(self._router.standing(step.channel)))
        return seen.ending, 0

    # --- one try --------------------------------------------------------------------------------------------------

    async def _try(self, current: _Round, begun: Begun, plan: Plan) -> TryResult | None:
        """Ask one channel; None when it is silent for `answer_within` seconds, and goes on by itself."""
        channel = self._channels[begun.channel]
        holder = current.fence if begun.channel in plan.probes else ""
        current.asked.add(begun.channel)
        waiting = _Waiting()
        task = asyncio.create_task(self._ask(current, begun, channel, holder, waiting))
        current.open.add(task)
        # Only the gateway's time counts, not Redis's.
        await asyncio.wait((waiting.answered,), timeout=channel.answer_within)
        if not waiting.answered.done():
            waiting.silent = True
            took_ms = round(channel.answer_within * 1000)
            await self._note(Call(channel.name, Judgement.SILENT, None, took_ms, holder))
            return None
        current.open.discard(task)
        return await task

    async def _ask(self, current: _Round, begun: Begun, channel: Channel, holder: str, waiting: _Waiting) -> TryResult:
        started = time.monotonic()
        try:
            message = self._compose(current, begun)
            result = await channel.deliver(message) if isinstance(message, Message) else message
        finally:
            waiting.answered.set_result(None)
        took = time.monotonic() - started
        current.last = (channel.name, result)
        current.rests[channel.name] = result.retry_after or 0.0
        count_try(channel.name, str(result.outcome), str(result.reason or ""), took)
        if result.gateway_id and channel.name in self._route.reporting:
            # First: a report that comes before the answer is written down must find its try.
            name = self._composer.report_name(channel.name, result.gateway_id)
            await self._outbox.expect_report(name, current.entry, begun)
        if isinstance(message, Message):
            result = replace(result, gateway_id=fit_id(result.gateway_id, message.to, message.code))
            current.last = (channel.name, result)
        # Silence was counted when it began; and a message that we could not write says nothing of its channel.
        says_nothing = waiting.silent or not isinstance(message, Message)
        judgement = Judgement.NEUTRAL if says_nothing else judge(result, took, channel.answer_within)
        call = Call(channel.name, judgement, result, round(took * 1000), holder)
        record = self._outbox.record(current.entry, begun, current.fence, result, round(took * 1000))
        await asyncio.gather(record, self._note(call))
        if current.first is None and result.outcome is not Outcome.ACCEPTED:
            current.first = time.monotonic() - current.began
        return result

    async def _note(self, call: Call) -> None:
        change = await self._router.note(call)
        if change is not Change.NONE:
            _LOG.warning(f"channel {change}", channel=call.channel)
            self._route.announce(call.channel, change)

    def _log_end(self, current: _Round, ending: Verdict) -> None:
        entry = current.entry
        channel, result = current.last or ("", None)
        _LOG.info(
            "delivery",
            id=entry.id,
            send=entry.send,
            request_id=entry.request_id,
            verdict=str(ending),
            channel=channel,
            outcome=str(result.outcome) if result else "",
            reason=str(result.reason or "") if result else "",
            words=fit_to_keep(result.detail) if result else "",
            gateway_id=result.gateway_id if result else "",
            channels=sorted(current.asked),
            ms=round((time.monotonic() - current.began) * 1000),
            since_request_ms=max(self._router.now - entry.at, 0),
        )

    def _compose(self, current: _Round, begun: Begun) -> Message | TryResult:
        if time.monotonic() - current.taken >= (begun.expires - begun.now) / 1000:
            # This process was stopped between the permission and the act: nobody can use that code any more.
            return TryResult(Outcome.REJECTED, Reason.CONTENT, "not sent: the code had expired meanwhile")
        try:
            return self._composer.compose(current.entry, begun)
        except (SealBroken, KeyError) as error:
            # Old records outlive a configuration, and new ones are there before all workers have theirs: it is said in
            # the try, where `doctor` and the operator look, and tried again, maybe by a worker that can.
            _LOG.error("can't compose", id=current.entry.id, error=type(error).__name__)
            return TryResult(Outcome.RETRYABLE, Reason.CONFIG, f"the message can't be written: {type(error).__name__}")
