"""What can go wrong, told by what may have left us.

HttpError
├── NotSent      no byte of the request left: another try can't send twice
└── MaybeSent    the request had begun: the gateway may have acted on it
"""

from __future__ import annotations


class HttpError(Exception):
    """No whole answer came. The text holds no URL, and nothing that the gateway sent."""

    def __init__(self, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.timed_out = timed_out


class NotSent(HttpError):
    """DNS, refused, TLS, proxy, no free connection, a request that can't be built, or the deadline before it began."""


class MaybeSent(HttpError):
    """Reset, truncated, malformed or silent after the request was begun; a kept connection that closed under it too."""
