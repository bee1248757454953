"""`Rounds`: a step that is done again and again, and that no fault ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from otp_service.ports import StoreDown

_LOG = structlog.get_logger("otp_service.reports")

AFTER_A_FAULT_SECONDS = 1.0


class Rounds:
    """`step` returns the seconds after which it is to be done again; `leave` is done when all is over."""

    def __init__(
        self, name: str, step: Callable[[], Awaitable[float]], leave: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.name = name
        self._step = step
        self._leave = leave
        self._stopping = asyncio.Event()
        self._is_lost = False

    def stop(self) -> None:
        """Begin no other step."""
        self._stopping.set()

    async def run(self, drain_seconds: float = 20.0) -> bool:
        """Until `stop`; then the step that is under way has `drain_seconds`. True when it came to its end."""
        stopped = asyncio.create_task(self._stopping.wait())
        ended = True
        while not self._stopping.is_set():
            step = asyncio.create_task(self._safely())
            await asyncio.wait({step, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                await asyncio.wait({step}, timeout=drain_seconds)
            if not (ended := step.done()):
                step.cancel()
                await asyncio.wait({step})
                break
            await asyncio.wait({stopped}, timeout=step.result())
        if self._leave is not None:
            await self._give_back(self._leave)
        await stopped
        return ended

    async def _safely(self) -> float:
        try:
            seconds = await self._step()
        except StoreDown as error:
            if not self._is_lost:
                _LOG.warning("Redis does not answer", work=self.name, error=str(error))
            self._is_lost = True
        except Exception as error:
            # By its type and place: its words may quote what a gateway said.
            _LOG.error("a fault of ours", work=self.name, error=type(error).__qualname__, at=_place(error))
        else:
            self._is_lost = False
            return seconds
        return AFTER_A_FAULT_SECONDS

    async def _give_back(self, leave: Callable[[], Awaitable[None]]) -> None:
        try:
            await leave()
        except StoreDown:
            return  # it ends by itself


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
