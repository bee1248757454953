"""`Headroom`: how much may be in work at once, so that a process that is asked for too much says so at once.

A server hands each request to one of its threads, and those that find none free wait where nobody can refuse them. So
starts and resends get some of the threads, and others are for all other calls: whoever has typed a code holds a message
that was paid for, and no number of starts takes the thread of his check. A few are nobody's: they say no, and answer
probes.

Many at once are no overload yet: some wait for their turn, and a burst of many does. Only where more is asked for all
the time is it refused. What waits for the core itself, before any of this runs, waits all alike: checks are slower
while starts are refused by the thousand, and how much slower, docs/behaviour.md says. So a refusal costs a tenth of a
start (`web/shedding.py`), and few are in work: each that is ready to run waits for all others that are, once for each
thing that it waits for.

What is refused here has not been read, counted or charged.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from otp_service.web.edge import respond
from otp_service.web.shedding import START, Shedding
from otp_service.web.trace import TRACE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SENDS = 16
"""Starts and resends in work at once: a few keep a core busy where Redis is near, the rest is for one that is far."""
THREADS = 64
BURST_SECONDS = 0.25
"""For which more starts and resends may wait than usually may: some hundred of them are served by then."""
STALL_SECONDS = 1.0
"""A moment in which no call ends, as when a disk is slow to sync, is no outage: a check waits for so long."""
SLOW_STALLS = 5
"""While others end, for up to so many times as long: a core that is shared with too many serves all late, not never."""
_FEW = 16
_PROBES = frozenset({"/livez", "/readyz"})


class _Places:
    """Threads share one. To take and to give back a place is atomic, and needs no lock of ours."""

    def __init__(self, count: int, waiting: int, patience: float, clock: Callable[[], float], times: int = 1) -> None:
        """So many `waiting` may wait for a place, and more for the first `patience` seconds in which they are more.

        They wait for `patience` seconds, and up to so many `times` as long where calls end meanwhile.
        """
        self._patience, self._times, self._clock = patience, times, clock
        self._ended = 0
        """Calls, about: threads that end at once may count as one, which still is a change."""
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._seats = deque([None] * waiting)
        self._crowded_from = self._crowded_at = self._stuck_at = float("-inf")

    def take(self) -> None:
        """Raises queue.Empty."""
        try:
            self._free.get_nowait()
        except queue.Empty:
            self._wait(self._clock())

    def give_back(self) -> None:
        self._ended += 1
        self._free.put(None)

    def _wait(self, now: float) -> None:
        if now - self._stuck_at < self._patience:
            # Somebody waited in vain just now: a silent Redis holds no queue.
            raise queue.Empty
        try:
            self._seats.pop()
        except IndexError:
            if self._is_crowded(now):
                raise queue.Empty from None
            self._until_free()
        else:
            try:
                self._until_free()
            finally:
                self._seats.append(None)

    def _is_crowded(self, now: float) -> bool:
        """From `patience` after somebody found no seat until for as long nobody has."""
        if now - self._crowded_at > self._patience:
            self._crowded_from = now
        self._crowded_at = now
        return now - self._crowded_from >= self._patience

    def _until_free(self) -> None:
        for _ in range(self._times):
            ended = self._ended
            try:
                return self._free.get(timeout=self._patience)
            except queue.Empty:
                if ended == self._ended:
                    break
        self._stuck_at = self._clock()
        raise queue.Empty


class Headroom:
    """Threads share one."""

    def __init__(
        self,
        sends: int = SENDS,
        threads: int = THREADS,
        stall: float = STALL_SECONDS,
        burst: float = BURST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most so many `sends` at once, and no more than half of the `threads`, of which an eighth stays free.

        Sends that work or wait have five eighths of them, but for a burst. Where threads are few nothing is refused:
        requests are always more than they, and wait a moment.
        """
        few = threads < _FEW
        sends = threads if few else min(sends, threads // 2)
        waiting = max(0, threads * 5 // 8 - sends)
        self.others = threads if few else threads - sends - waiting - threads // 8
        """Calls that are neither, at once."""
        self._sends = _Places(sends, waiting, burst, clock)
        self._places = _Places(self.others, threads, stall, clock, SLOW_STALLS)
        self._shedding = Shedding()

    def before(self, inner: WSGIApplication) -> WSGIApplication:
        """`inner` as it is, for as many calls at once as there is room for."""
        sends, others, refuse = self._sends, self._places, self._shedding.refuse

        def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path: str = environ.get("PATH_INFO", "")
            if path in _PROBES:
                return inner(environ, start_response)
            places = sends if path == START or path.endswith("/resend") else others
            try:
                places.take()
            except queue.Empty:
                return respond(refuse(environ[TRACE], path), start_response)
            try:
                return inner(environ, start_response)
            finally:
                places.give_back()

        return serve
