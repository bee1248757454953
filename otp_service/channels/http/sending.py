"""One sending: how long it may take, whether the request has begun to leave, and what a failure therefore means."""

from __future__ import annotations

import h11

from otp_service.channels.http.errors import HttpError, MaybeSent, NotSent


def _quotes(error: Exception) -> bool:
    """Whether its text quotes what the gateway sent, or headers and addresses of ours."""
    import httpx  # here, as in `request`: with the first request at the earliest

    return isinstance(error, h11.ProtocolError | httpx.ProtocolError | httpx.InvalidURL | UnicodeError)


def _is_late(error: Exception) -> bool:
    import httpx

    return isinstance(error, TimeoutError | httpx.TimeoutException)


class Sending:
    """`begun` turns true just before the first byte of the request itself is handed over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun = False

    def failure(self, error: Exception) -> HttpError:
        """`NotSent` or `MaybeSent`, with `error` as its cause unless its text must not be seen in a traceback."""
        failure = self._translated(error)
        failure.__cause__ = None if _quotes(error) else error
        failure.__suppress_context__ = True
        return failure

    def _translated(self, error: Exception) -> HttpError:
        if _is_late(error):
            phase = "no answer" if self.begun else "no connection"
            return (MaybeSent if self.begun else NotSent)(f"{phase} within {self.deadline:.3g} s", timed_out=True)
        if self.begun:
            return MaybeSent(f"the connection broke before a whole answer came ({type(error).__name__})")
        if _quotes(error):
            return NotSent(f"not a request that can be sent ({type(error).__name__})")
        if isinstance(error, ValueError):
            return NotSent(f"not a request that can be sent ({error})")
        return NotSent(f"no connection ({type(error).__name__}: {error})")
