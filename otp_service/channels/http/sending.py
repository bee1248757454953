"""One sending: how long it may take, whether the request has begun to leave, and what a failure therefore means."""

from __future__ import annotations

import h11
import httpx

from otp_service.channels.http.errors import HttpError, MaybeSent, NotSent

_QUOTING = (h11.ProtocolError, httpx.ProtocolError, httpx.InvalidURL, UnicodeError)
"""Errors whose text quotes what the gateway sent, or headers and addresses of ours."""


class Sending:
    """`begun` turns true just before the first byte of the request itself is handed over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun = False

    def failure(self, error: Exception) -> HttpError:
        """`NotSent` or `MaybeSent`, with `error` as its cause unless its text must not be seen in a traceback."""
        failure = self._translated(error)
        failure.__cause__ = None if isinstance(error, _QUOTING) else error
        failure.__suppress_context__ = True
        return failure

    def _translated(self, error: Exception) -> HttpError:
        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            phase = "no answer" if self.begun else "no connection"
            return (MaybeSent if self.begun else NotSent)(f"{phase} within {self.deadline:.3g} s", timed_out=True)
        if self.begun:
            return MaybeSent(f"the connection broke before a whole answer came ({type(error).__name__})")
        if isinstance(error, _QUOTING):
            return NotSent(f"not a request that can be sent ({type(error).__name__})")
        if isinstance(error, ValueError):
            return NotSent(f"not a request that can be sent ({error})")
        return NotSent(f"no connection ({type(error).__name__}: {error})")
