"""`Headroom`: how much may be in work at once, so that a process that is asked for too much says so at once.

A server hands each request to one of its threads, and those that find none free wait where nobody can refuse them. So
no kind of call may take the last thread: starts and resends get some of them, and all calls together get all but a
few, which say no, and answer probes. Whoever has typed a code holds a message that was paid for: his check finds a
thread while starts are refused. What is refused here has not been read, counted or charged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from otp_service import metrics
from otp_service.errors import Unavailable
from otp_service.web.edge import respond
from otp_service.web.trace import TRACE, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SENDS = 32
"""Starts and resends at once: a few of them keep a core busy where Redis is near, the rest is for one that is far."""
THREADS = 64
SPARE = 8
"""Threads that no call may take: a refusal needs one for less than a millisecond, a probe while Redis is silent for two
seconds.
"""
_START = "/v1/verifications"
_BY_ID = "/v1/verifications/{id}"
_PROBES = frozenset({"/livez", "/readyz"})
_RETRY_SECONDS = (1, 2, 3)
"""In turn, so that those who are refused together don't come back together."""


class Headroom:
    """Threads share one. Places are things in a deque: to take and to give back one is atomic, and needs no lock."""

    def __init__(self, sends: int = SENDS, threads: int = THREADS) -> None:
        """At most so many `sends` at once, and no more than half of the `threads`.

        Where threads are few nothing is refused: requests are always more than they, and wait a moment.
        """
        few = threads < 2 * SPARE
        self._sends = deque([None] * (threads if few else min(sends, threads // 2)))
        self._calls = deque([None] * (threads if few else threads - SPARE))
        self._refused = 0

    def before(self, inner: WSGIApplication) -> WSGIApplication:
        """`inner` as it is, for as many calls at once as there is room for."""
        sends, calls = self._sends, self._calls

        def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path: str = environ.get("PATH_INFO", "")
            places = sends if path == _START or path.endswith("/resend") else None
            if path in _PROBES:
                return inner(environ, start_response)
            try:
                calls.pop()
            except IndexError:
                return self._refuse(environ[TRACE], path, start_response)
            try:
                if places is not None:
                    try:
                        places.pop()
                    except IndexError:
                        places = None
                        return self._refuse(environ[TRACE], path, start_response)
                return inner(environ, start_response)
            finally:
                if places is not None:
                    places.append(None)
                calls.append(None)

        return serve

    def _refuse(self, trace: Trace, path: str, start_response: StartResponse) -> Iterable[bytes]:
        call = path.rpartition("/")[2]
        known = call in ("resend", "check")
        trace.route = f"{_BY_ID}/{call}" if known else _START if path == _START else trace.route
        metrics.SHED.labels("check" if call == "check" else "send" if path == _START or known else "other").inc()
        self._refused += 1
        wait = _RETRY_SECONDS[self._refused % len(_RETRY_SECONDS)]
        detail = "This process is asked for more than it can do at once. Nothing was counted or sent; try again later."
        return respond(trace.refused(Unavailable(detail, retry_after=wait)), start_response)
