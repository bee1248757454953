"""Connections that wait for their next request: last in, first out, what a burst opened grows old and closes."""

from __future__ import annotations

import asyncio
from collections import deque

from otp_service.channels.http.line import Line
from otp_service.channels.http.request import Place

KEEP_IDLE = 3.0
"""Seconds that an unused connection is kept: under the 5 s after which the quickest servers close theirs, since a
connection that closes under our request makes its outcome unknown."""


class Pool:
    """Each connection waits with the loop's time at which it was put here."""

    def __init__(self, keep_idle: float) -> None:
        self._keep_idle = keep_idle
        self._waiting: dict[Place, deque[tuple[float, Line]]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def take(self, place: Place) -> Line | None:
        """The youngest one that can still carry a request."""
        waiting = self._waiting.get(place)
        while waiting:
            since, line = waiting.pop()
            if since > asyncio.get_running_loop().time() - self._keep_idle and line.clean and line.silent:
                line.idle = False
                return line
            line.abort()
        return None

    def keep(self, place: Place, line: Line) -> None:
        loop = asyncio.get_running_loop()
        line.idle = True
        self._waiting.setdefault(place, deque()).append((loop.time(), line))
        if self._sweep is None:
            self._sweep = loop.call_later(self._keep_idle, self._close_old)

    def close_oldest(self) -> None:
        """To make room for a connection to another place."""
        oldest = min((waiting for waiting in self._waiting.values() if waiting), key=lambda waiting: waiting[0][0])
        oldest.popleft()[1].abort()

    async def aclose(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        lines = [line for waiting in self._waiting.values() for _, line in waiting]
        self._waiting.clear()
        for line in lines:
            await line.aclose()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        for place, waiting in list(self._waiting.items()):
            while waiting and waiting[0][0] <= loop.time() - self._keep_idle:
                waiting.popleft()[1].abort()
            if not waiting:
                del self._waiting[place]
        self._sweep = loop.call_later(self._keep_idle, self._close_old) if self._waiting else None
