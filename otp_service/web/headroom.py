"""`Headroom`: how much may be in work at once, so that a process that is asked for too much says so at once.

A server hands each request to one of its threads, and those that find none free wait where nobody can refuse them. So
starts and resends get half of the threads, and most of the others are for all other calls: whoever has typed a code
holds a message that was paid for, and no number of starts takes the thread of his check. A few are nobody's: they say
no, and answer probes.

What waits for the core itself, before any of this runs, waits all alike: checks are slower while starts are refused by
the thousand, and how much slower, docs/behaviour.md says. So a refusal costs a tenth of a start (`web/shedding.py`),
and threads are few: each that is ready to run waits for all others that are, once for each thing that it waits for.

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
"""Starts and resends at once: a few of them keep a core busy where Redis is near, the rest is for one that is far."""
THREADS = 32
STALL_SECONDS = 1.0
"""A moment in which no call ends, as when a disk is slow to sync, is no outage: a check waits for so long."""
_FEW = 16
_PROBES = frozenset({"/livez", "/readyz"})


class Headroom:
    """Threads share one. To take and to give back a place is atomic, and needs no lock."""

    def __init__(
        self,
        sends: int = SENDS,
        threads: int = THREADS,
        stall: float = STALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most so many `sends` at once, and no more than half of the `threads`; an eighth of them stays free.

        Where threads are few nothing is refused: requests are always more than they, and wait a moment.
        """
        few = threads < _FEW
        sends = threads if few else min(sends, threads // 2)
        self.others = threads if few else threads - sends - threads // 8
        """Calls that are neither, at once."""
        self._sends = deque([None] * sends)
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(self.others):
            self._places.put(None)
        self._stall, self._clock = stall, clock
        self._full_since: float | None = None
        """The first call that found no place since one was quick."""
        self._shedding = Shedding()

    def before(self, inner: WSGIApplication) -> WSGIApplication:
        """`inner` as it is, for as many calls at once as there is room for."""
        sends, refuse, other = self._sends, self._shedding.refuse, self._other(inner)

        def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path: str = environ.get("PATH_INFO", "")
            if path in _PROBES:
                return inner(environ, start_response)
            if path != START and not path.endswith("/resend"):
                return other(environ, start_response)
            try:
                sends.pop()
            except IndexError:
                return respond(refuse(environ[TRACE], path), start_response)
            try:
                return inner(environ, start_response)
            finally:
                sends.append(None)

        return serve

    def _other(self, inner: WSGIApplication) -> WSGIApplication:
        places, refuse = self._places, self._shedding.refuse

        def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            try:
                self._take_place()
            except queue.Empty:
                return respond(refuse(environ[TRACE], environ.get("PATH_INFO", "")), start_response)
            began = self._clock()
            try:
                return inner(environ, start_response)
            finally:
                if self._clock() - began < self._stall:
                    self._full_since = None
                places.put(None)

        return serve

    def _take_place(self) -> None:
        """Raises queue.Empty. Waits only where a call was quick just now: a silent Redis holds no queue."""
        try:
            self._places.get_nowait()
        except queue.Empty:
            now = self._clock()
            since = self._full_since = self._full_since or now
            if now - since >= self._stall:
                raise
            self._places.get(timeout=self._stall)
