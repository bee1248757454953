"""The way that leads straight to a gateway."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable

from otp_service.channels.http.answer import HttpAnswer
from otp_service.channels.http.dialing import dial
from otp_service.channels.http.exchange import exchange
from otp_service.channels.http.line import Line, open_line
from otp_service.channels.http.names import LookUp, Names
from otp_service.channels.http.pool import Pool
from otp_service.channels.http.request import Place, Request
from otp_service.channels.http.sending import Sending


class Direct:
    """Holds at most `max_connections`, idle ones included, if no more than that many exchanges run at once."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None,
        max_connections: int,
        keep_idle: float,
        clock: Callable[[], float],
        look_up: LookUp,
    ) -> None:
        import httpx  # noqa: F401 - before the first request, whose time is the sends'

        self._tls = tls
        self._clock = clock
        self._names = Names(look_up)
        self._pool = Pool(keep_idle)
        self._max = max_connections
        self._busy = 0
        self._closed = False

    async def exchange(self, request: Request, sending: Sending) -> HttpAnswer:
        self._busy += 1
        try:
            line = self._pool.take(request.place) or await self._open(request.place)
            reusable = False
            try:
                answer, reusable = await exchange(line, request, sending, self._clock())
            finally:
                if not reusable or self._closed:
                    line.abort()
            if not self._closed:
                self._pool.keep(request.place, line)
            return answer
        finally:
            self._busy -= 1

    async def aclose(self) -> None:
        """What is busy closes when its answer has come."""
        self._closed = True
        await self._pool.aclose()

    async def _open(self, place: Place) -> Line:
        if self._busy + len(self._pool) > self._max and len(self._pool):
            self._pool.close_oldest()
        endpoints = await self._names.endpoints(place.address or place.host, place.port)
        sock = await dial(endpoints)
        return await open_line(sock, (self._tls or default_tls()) if place.tls else None, place.host)


@functools.cache
def default_tls() -> ssl.SSLContext:
    """One for all connections: loading the certificates takes about 20 ms."""
    import httpx  # here, as in `request`

    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
