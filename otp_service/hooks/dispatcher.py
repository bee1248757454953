"""`Dispatcher`: from the log of events into the queue of each webhook that wants them, and on to the webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from otp_service import metrics
from otp_service.hooks.lane import Lane
from otp_service.ports import EventLog, HookQueue, HookState, Logged, StoreDown

_LOG = structlog.get_logger("otp_service.hooks")

_BATCH = 64
"""Events of one stream that are read at once."""
RECLAIM_IDLE_MS = 30_000
"""Queueing takes milliseconds: whoever has not done it by then is dead, or has lost Redis."""
_TICK_SECONDS = 1.0
_RECLAIM_SECONDS = 10.0
_COUNT_SECONDS = 10.0
_AFTER_A_LOSS_SECONDS = 0.5


class Dispatcher:
    """Several may run at once, in as many processes: each event is queued once a webhook, and sent by one of them."""

    def __init__(
        self,
        log: EventLog,
        queue: HookQueue,
        lanes: Sequence[Lane],
        tick_seconds: float = _TICK_SECONDS,
        reclaim_idle_ms: int = RECLAIM_IDLE_MS,
    ) -> None:
        self._log = log
        self._queue = queue
        self._lanes = lanes
        self._tick_seconds = tick_seconds
        self._reclaim_idle_ms = reclaim_idle_ms
        self._stopping = asyncio.Event()
        self._is_open = self._is_lost = False

    def stop(self) -> None:
        """Begin nothing more; what is being sent may end."""
        self._stopping.set()
        for lane in self._lanes:
            lane.wake()

    async def run(self, drain_seconds: float = 20.0) -> bool:
        """Work until `stop`; then give what is under way `drain_seconds`. True when all of it ended."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._every(self._tick_seconds, self.read))
            loops.create_task(self._every(_RECLAIM_SECONDS, self.reclaim))
            loops.create_task(self._every(_COUNT_SECONDS, self._count))
            for lane in self._lanes:
                loops.create_task(self._drive(lane))
        return all(await asyncio.gather(*(lane.drain(drain_seconds) for lane in self._lanes)))

    async def states(self) -> Sequence[HookState]:
        """How each webhook's queue stands. Raises StoreDown."""
        return await self._queue.states([lane.webhook for lane in self._lanes])

    async def aclose(self) -> None:
        for lane in self._lanes:
            await lane.aclose()

    # --- the steps ------------------------------------------------------------------------------------------------

    async def read(self) -> bool:
        """Queue what has happened. True when there may be more. Raises StoreDown."""
        return await self._take_over(self._log.read)

    async def reclaim(self) -> bool:
        """Queue what another has read and then left. Raises StoreDown."""
        return await self._take_over(lambda count: self._log.reclaim(self._reclaim_idle_ms, count))

    async def _take_over(self, read: Callable[[int], Awaitable[Sequence[Logged]]]) -> bool:
        try:
            if not self._is_open:
                await self._log.open()
                self._is_open = True
            logged = await read(_BATCH)
            await self._queue_all(logged)
        except StoreDown:
            # A server that comes back empty has no consumer group.
            self._is_open = False
            raise
        return len(logged) >= _BATCH

    async def _queue_all(self, logged: Sequence[Logged]) -> None:
        if not logged:
            return
        events = [one.event for one in logged if one.event]
        if len(events) < len(logged):
            _LOG.warning("events of another version are passed over", count=len(logged) - len(events))
        for lane in self._lanes:
            await lane.add(events)
        await self._log.forget(logged)

    async def _count(self) -> bool:
        for state in await self.states():
            metrics.WEBHOOKS_QUEUED.labels(state.name).set(state.queued)
        return False

    # --- the loops ------------------------------------------------------------------------------------------------

    async def _drive(self, lane: Lane) -> None:
        while not self._stopping.is_set():
            await self._safely(lane.step)
            await lane.wait(self._tick_seconds)

    async def _every(self, seconds: float, step: Callable[[], Awaitable[bool]]) -> None:
        while not self._stopping.is_set():
            if not await self._safely(step):
                await self._pause(seconds)

    async def _safely(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """What the step gives; None when it could not be done."""
        try:
            given = await step()
        except StoreDown as error:
            if not self._is_lost:
                _LOG.warning("Redis does not answer: events wait", error=str(error))
            self._is_lost = True
        except Exception:
            # One fault of ours must not end a loop, and with it all webhooks, without a word.
            _LOG.exception("events could not be worked on")
        else:
            self._is_lost = False
            return given
        await self._pause(_AFTER_A_LOSS_SECONDS)
        return None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
