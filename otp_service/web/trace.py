"""What is known of one request for its log line: an id, and never a path, a query, a body or a number."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from os import urandom

import structlog

from otp_service import metrics
from otp_service.errors import Problem, RateLimited
from otp_service.logs import quiet_request_line, request_line
from otp_service.web.exchange import Response
from otp_service.web.problems import Internal, problem_response

TRACE = "otp_service.trace"
"""The key in a WSGI environ."""

UNMATCHED = "unmatched"

_log = structlog.get_logger("otp_service.web")
_REQUEST_ID = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"  # UUID
    r"|(?![0-9]+\Z)[0-9a-fA-F]{16,64}"
    r"|(?![0-9]+\Z)[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}"  # ULID
    r"|(?![oO][tT][pP]_)(?!(?:[^0-9]*[0-9]){6})[A-Za-z0-9._-]{1,64}"
)
"""What can't be a code, a number or an API key: ids go to the log as they are."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_APOLOGY = "Something went wrong on our side. Give the request id to whoever runs the service."
_QUIET = frozenset({"/livez", "/readyz"})
"""Balancers ask these every second: worth a line only while debugging."""


@dataclass(slots=True)
class Trace:
    """Filled in on the way by whoever learns it. Every field comes from a list of ours or a pattern: no line breaks."""

    request_id: str
    method: str
    route: str = UNMATCHED
    status: int = 0
    client: str = ""
    problem: str = ""
    logged: bool = True
    """Whether `end` writes a line."""

    @classmethod
    def begin(cls, method: str, request_id: str | None) -> Trace:
        """A caller's `X-Request-Id` is taken over only if it is plainly no secret; else there is a fresh one."""
        known = request_id is not None and _REQUEST_ID.fullmatch(request_id)
        return cls(
            request_id=request_id if known and request_id else urandom(8).hex(),
            method=method if method in _METHODS else "OTHER",
        )

    def end(self, seconds: float) -> None:
        metrics.count_request(self.route, self.status)
        if not self.logged:
            return
        ms = round(seconds * 1000, 2)
        say = quiet_request_line if self.route in _QUIET else request_line
        say(self.request_id, self.method, self.route, self.status, ms, self.client, self.problem)

    def refused(self, problem: Problem) -> Response:
        """The response to a problem, noted here."""
        self.problem = problem.name
        if isinstance(problem, RateLimited) and not problem.replayed:
            metrics.REFUSALS.labels(problem.limit or "unknown").inc()
        return problem_response(problem)

    def unforeseen(self, error: Exception) -> Response:
        """The response to a mistake of ours. Logged by its type and place: its words may quote a code or a number."""
        frames = traceback.extract_tb(error.__traceback__)
        _log.error(
            "internal error",
            request_id=self.request_id,
            route=self.route,
            error=type(error).__qualname__,
            frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )
        return self.refused(Internal(_APOLOGY))
