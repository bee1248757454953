"""`Shedding`: a refusal that costs next to nothing, since it is said most where nothing is left.

Its answers are made once, and its log lines are one a second and not one a request: ten times what can be served is
refused by the process that serves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog

from otp_service import metrics
from otp_service.errors import Unavailable
from otp_service.web.exchange import Response
from otp_service.web.problems import problem_response
from otp_service.web.trace import Trace

START = "/v1/verifications"
_BY_ID = "/v1/verifications/{id}"
_SENDS = frozenset({"verifications", "resend"})
_DETAIL = "This process is asked for more than it can do at once. Nothing was counted or sent; try again later."
_RETRY_SECONDS = (1, 2, 3)
"""In turn, so that those who are refused together don't come back together."""
_TELL_SECONDS = 1.0
_log = structlog.get_logger("otp_service.web")


class Shedding:
    """Threads share one; a count in the log may be a few short of `otp_shed_total`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers = [problem_response(Unavailable(_DETAIL, retry_after=wait)) for wait in _RETRY_SECONDS]
        self._counters = {call: metrics.SHED.labels(call) for call in ("send", "check", "other")}
        self._clock = clock
        self._nth = 0
        self._untold: Counter[str] = Counter()
        self._told = -_TELL_SECONDS

    def refuse(self, trace: Trace, path: str) -> Response:
        """503, noted in `trace`, which writes no line of its own."""
        call = path.rpartition("/")[2]
        if path == START:
            trace.route = START
        elif call in ("resend", "check"):
            trace.route = f"{_BY_ID}/{call}"
        kind = "send" if call in _SENDS else "check" if call == "check" else "other"
        self._counters[kind].inc()
        trace.problem, trace.logged = Unavailable.name, False
        self._untold[kind] += 1
        self.tell()
        self._nth += 1
        return self._answers[self._nth % len(self._answers)]

    def tell(self) -> None:
        """Write how many were refused since the last such line, if there are any, and not twice within a second."""
        now = self._clock()
        if now - self._told < _TELL_SECONDS or not self._untold:
            return
        self._told, untold, self._untold = now, self._untold, Counter()
        _log.warning("shed", **untold)
