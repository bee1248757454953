"""The way through a named proxy, by httpx, which speaks with every kind of them. Rare, so its pace matters less."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from otp_service.channels.http.answer import HttpAnswer, read_answer
from otp_service.channels.http.direct import default_tls
from otp_service.channels.http.errors import NotSent
from otp_service.channels.http.pool import KEEP_IDLE
from otp_service.channels.http.request import Request
from otp_service.channels.http.sending import Sending
from otp_service.channels.http.silence import silence_http_loggers

_CONNECT_SHARE = 0.9
"""Of the deadline: connecting gives up by itself, just before the deadline cancels whatever is going on."""


class Proxied:
    """Drives httpx's transport, not its client: cookies, redirects, the environment's proxies and the log line with
    the URL are then not switched off but absent. Each transport holds one connection, because httpcore walks through
    its whole pool at each request: one pool of 50 connections does a fifth of the work of ten.
    """

    def __init__(self, *, proxy: str, tls: ssl.SSLContext | None, clock: Callable[[], float]) -> None:
        silence_http_loggers()
        self._proxy = httpx.Proxy(proxy)
        self._tls = tls
        self._clock = clock
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()

    async def exchange(self, request: Request, sending: Sending) -> HttpAnswer:
        if request.place.address:
            raise NotSent("a proxy looks names up by itself: a checked address needs a direct connection")
        transport = self._idle.pop()[1] if self._idle else self._open()
        try:
            answer = await self._read(await transport.handle_async_request(_foreign(request, sending)), request.most)
        except BaseException:
            await transport.aclose()
            raise
        await self._keep(transport)
        return answer

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop()[1].aclose()

    async def _read(self, response: httpx.Response, most: int) -> HttpAnswer:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        raw = bytearray()
        try:
            async for chunk in response.stream:
                raw += chunk
                if len(raw) > most:
                    break
        finally:
            await response.aclose()
        return read_answer(response.status_code, response.headers.raw, bytes(raw[: most + 1]), self._clock(), most)

    def _open(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._tls or default_tls(),
            trust_env=False,
            proxy=self._proxy,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_IDLE),
        )

    async def _keep(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Last in, first out: what a burst opened is not used again, grows old on the left, and is closed."""
        now = time.monotonic()
        self._idle.append((now, transport))
        while self._idle[0][0] < now - KEEP_IDLE:
            await self._idle.popleft()[1].aclose()


def _foreign(request: Request, sending: Sending) -> httpx.Request:

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        """The request itself leaves, not the CONNECT before it."""
        if event.endswith(".send_request_headers.started") and info["request"].method == request.method.encode():
            sending.begun = True

    # httpcore loses the socket when it is cancelled within a TLS handshake; its own timeout closes it.
    extensions = {"trace": trace, "timeout": {"connect": sending.deadline * _CONNECT_SHARE}}
    return httpx.Request(
        request.method, request.url, headers=request.headers, content=request.body, extensions=extensions
    )
