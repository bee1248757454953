"""`Shifts`: one crew after another in one process, so that there is no moment of a change in which none works."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from otp_service.delivery.crew import Crew

_READY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class _Shift:
    crew: Crew
    work: asyncio.Task[None]


class Shifts:
    """The first crew is begun as each one that relieves another; the last one ends by `stop`."""

    def __init__(self) -> None:
        self._at_work: list[_Shift] = []
        """The youngest last; those before it only finish what they began."""
        self._stopping = asyncio.Event()

    @property
    def draining(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin nothing more; what was begun is finished."""
        self._stopping.set()
        for shift in self._at_work:
            shift.crew.stop()

    async def relieve(self, opening: AbstractAsyncContextManager[Crew], drain_seconds: float) -> None:
        """Let another crew begin; as soon as it is ready the one before it stops, finishes, and closes what it used.

        Raises what `opening` raises: then the one before goes on.
        """
        await self._until_one_is_left()
        async with AsyncExitStack() as used:
            crew = await used.enter_async_context(opening)
            closing = used.pop_all()
        shift = _Shift(crew, asyncio.create_task(self._work(crew, closing, drain_seconds)))
        before, self._at_work = self._at_work, [*self._at_work, shift]
        if self.draining:
            crew.stop()
        for relieved in before:
            while not (crew.ready or shift.work.done() or self.draining):  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(_READY_SECONDS)
            relieved.crew.stop()

    async def ended(self) -> None:
        """Return when all have finished what they began, after `stop`."""
        await self._stopping.wait()
        while self._at_work:
            await asyncio.wait({shift.work for shift in self._at_work})

    async def _until_one_is_left(self) -> None:
        while len(self._at_work) > 1:
            await asyncio.wait({self._at_work[0].work})

    async def _work(self, crew: Crew, closing: AsyncExitStack, drain_seconds: float) -> None:
        try:
            async with closing:
                await crew.run(drain_seconds)
        finally:
            is_last = self._at_work[-1].crew is crew
            self._at_work = [shift for shift in self._at_work if shift.crew is not crew]
            if is_last:
                self.stop()
