"""Pushed reports that wait for their time, and the tries to push them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from otp_service.simulator.journal import Journal
from otp_service.simulator.push import TRIES, Push, Pusher

MAX_WAITING = 20_000
"""Pushes under way at once; what comes beyond is dropped, and the journal says so."""
_AT_ONCE = 64
"""Connections at once."""
_AGAIN = frozenset({"timeout", "unreachable", 408, 429})


class Deliveries:
    """Pushes each report when it is due, at most three times, and notes every try."""

    def __init__(self, pusher: Pusher, journal: Journal) -> None:
        self._pusher = pusher
        self._journal = journal
        self._waiting: set[asyncio.Task[None]] = set()
        self._lines = asyncio.Semaphore(_AT_ONCE)

    def plan(self, delay: float, make: Callable[[], Push], facts: Mapping[str, str]) -> None:
        """Push what `make` gives in `delay` seconds; it is asked anew for each try, so that signatures are fresh."""
        if len(self._waiting) >= MAX_WAITING:
            self._journal.write("report", how="pushed", result="dropped", **facts)
            return
        task = asyncio.get_running_loop().create_task(self._deliver(delay, make, facts))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _deliver(self, delay: float, make: Callable[[], Push], facts: Mapping[str, str]) -> None:
        await asyncio.sleep(max(0.0, delay))
        for pause in TRIES:
            await asyncio.sleep(pause)
            async with self._lines:
                result = await self._pusher.post(make())
            self._journal.write("report", how="pushed", result=result, **facts)
            if result not in _AGAIN and not (isinstance(result, int) and result >= 500):
                return

    def clear(self) -> None:
        """Forget all that is still to be pushed."""
        for task in self._waiting:
            task.cancel()
