"""The one way out to HTTP gateways: one request, one total deadline, a capped answer, and a clear word on what left us.

HttpError
├── NotSent      no byte of the request left: another try can't send twice
└── MaybeSent    the request had begun: the gateway may have acted on it
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import logging
import ssl
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

MAX_ANSWER = 64 * 1024
"""Bytes of an answer, decoded. The longest real answer of an SMS gateway to one number is under 1 KiB."""
MAX_RETRY_AFTER = 86_400.0
"""Seconds: a gateway that asks for more than a day is down, not busy."""
KEEP_IDLE = 3.0
"""Seconds that an unused connection is kept: under the 5 s after which the quickest servers close theirs, since a
connection that closes under our request makes its outcome unknown."""
MAX_CONNECTIONS = 200
_NO_HEADERS: Mapping[str, str] = {}
_CONNECT_SHARE = 0.9
"""Of the deadline: connecting gives up by itself, just before the deadline cancels whatever is going on."""


class HttpError(Exception):
    """No whole answer came. The text holds no URL, and nothing that the gateway sent."""

    def __init__(self, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.timed_out = timed_out


class NotSent(HttpError):
    """DNS, refused, TLS, proxy, no free connection, or the deadline before the request was begun."""


class MaybeSent(HttpError):
    """Reset, truncated or silent after the request was begun; a connection closed by the peer meanwhile as well."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a gateway answered, whatever its headers say of it."""

    status: int
    body: bytes = field(repr=False)
    """Decoded; at most `MAX_ANSWER` + 1 bytes, so that a body that was cut is seen to be too long."""
    retry_after: float | None = None
    """Seconds, from a `Retry-After` header that could be read."""


class GatewayClient:
    """Sends requests to one gateway over connections that are kept while they are busy.

    It drives httpx's transport, not its client: a gateway's cookies (ASP.NET handles the requests of one session one by
    one), redirects, the environment's proxies and the log line with the URL are then not switched off but absent. Each
    transport holds one connection, because httpcore walks through its whole pool at each request: one pool of 50
    connections does a fifth of the work of ten.
    """

    def __init__(
        self,
        *,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        silence_http_loggers()
        self._proxy = httpx.Proxy(proxy) if proxy else None
        self._tls = tls
        self._clock = clock
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()

    async def post(self, url: str, body: bytes, *, content_type: str, deadline: float) -> HttpAnswer:
        """`request` for a form or a document."""
        return await self.request("POST", url, body, {"Content-Type": content_type}, deadline=deadline)

    async def request(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = _NO_HEADERS, *, deadline: float
    ) -> HttpAnswer:
        """Send; the answer is whole when this returns. `deadline` is in seconds and covers everything.

        Raises `NotSent` or `MaybeSent`; only `asyncio.CancelledError` passes through.
        """
        sending = _Sending(method)
        try:
            async with asyncio.timeout(deadline), self._slots:
                return await self._exchange(_request(method, url, body, headers, deadline, sending))
        except Exception as error:
            raise sending.failure(error, deadline) from error

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop()[1].aclose()

    async def _exchange(self, request: httpx.Request) -> HttpAnswer:
        transport = self._idle.pop()[1] if self._idle else self._open()
        try:
            answer = await self._read(await transport.handle_async_request(request))
        except BaseException:
            await transport.aclose()
            raise
        await self._keep(transport)
        return answer

    async def _read(self, response: httpx.Response) -> HttpAnswer:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        raw = bytearray()
        try:
            async for chunk in response.stream:
                raw += chunk
                if len(raw) > MAX_ANSWER:
                    break
        finally:
            await response.aclose()
        body = _decoded(bytes(raw[: MAX_ANSWER + 1]), response.headers.get("Content-Encoding", ""))
        return HttpAnswer(response.status_code, body, _retry_after(response.headers, self._clock()))

    def _open(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._tls or _default_tls(),
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


class _Sending:
    """Knows whether the request itself (not a proxy's CONNECT before it) has begun to leave."""

    def __init__(self, method: str) -> None:
        self.begun = False
        self._method = method.encode()

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method == self._method:
            self.begun = True

    def failure(self, error: Exception, deadline: float) -> HttpError:
        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            phase = "no answer" if self.begun else "no connection"
            return (MaybeSent if self.begun else NotSent)(f"{phase} within {deadline:.3g} s", timed_out=True)
        if self.begun:
            # The text of a protocol error quotes what the gateway sent.
            return MaybeSent(f"the connection broke before a whole answer came ({type(error).__name__})")
        return NotSent(f"no connection ({type(error).__name__}: {error})")


def silence_http_loggers() -> None:
    """httpx logs URLs at INFO, httpcore a gateway's headers at DEBUG: neither may write below WARNING.

    A filter, not a level: it stays when someone turns every logger to DEBUG.
    """
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks"):
        logging.getLogger(name).addFilter(_warnings_only)


def _warnings_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


@functools.cache
def _default_tls() -> ssl.SSLContext:
    """One for all connections: loading the certificates takes about 20 ms."""
    return httpx.create_ssl_context(trust_env=False)


def _request(
    method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: float, sending: _Sending
) -> httpx.Request:
    headers = {**headers, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "otp-service"}
    # httpcore loses the socket when it is cancelled within a TLS handshake; its own timeout closes it.
    extensions = {"trace": sending.trace, "timeout": {"connect": deadline * _CONNECT_SHARE}}
    return httpx.Request(method, url, headers=headers, content=body, extensions=extensions)


def _decoded(raw: bytes, encoding: str) -> bytes:
    """Some servers compress though we ask them not to. httpx would unpack a bomb whole; zlib stops where we say."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return raw
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, MAX_ANSWER + 1)
    except zlib.error:
        return raw


def _retry_after(headers: httpx.Headers, now: float) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER)
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return min(max(moment - now, 0.0), MAX_RETRY_AFTER)
