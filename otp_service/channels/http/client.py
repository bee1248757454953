"""What a channel holds to speak with its gateway."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from otp_service.channels.http.answer import MAX_ANSWER, HttpAnswer
from otp_service.channels.http.direct import Direct
from otp_service.channels.http.errors import HttpError
from otp_service.channels.http.names import LookUp, system_look_up
from otp_service.channels.http.pool import KEEP_IDLE
from otp_service.channels.http.request import build_request
from otp_service.channels.http.sending import Sending

if TYPE_CHECKING:
    from otp_service.channels.http.proxied import Proxied

MAX_CONNECTIONS = 256
"""As many as a worker has tries in flight."""
_NO_HEADERS: Mapping[str, str] = {}


class GatewayClient:
    """Sends requests over connections that are kept while they are busy.

    A gateway's cookies (ASP.NET handles the requests of one session one by one), redirects and the environment's
    proxies are not switched off but absent. Not httpx's own client: its pool costs twenty times the rest of a request.
    """

    def __init__(
        self,
        *,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
        keep_idle: float = KEEP_IDLE,
        clock: Callable[[], float] = time.time,
        look_up: LookUp = system_look_up,
    ) -> None:
        self._slots = asyncio.Semaphore(max_connections)
        self._way: Direct | Proxied
        if proxy:
            from otp_service.channels.http.proxied import Proxied

            self._way = Proxied(proxy=proxy, tls=tls, clock=clock)
        else:
            self._way = Direct(
                tls=tls, max_connections=max_connections, keep_idle=keep_idle, clock=clock, look_up=look_up
            )

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        deadline: float,
        address: str = "",
        most: int = MAX_ANSWER,
    ) -> HttpAnswer:
        """`request` for a form or a document."""
        headers = {"Content-Type": content_type}
        return await self.request("POST", url, body, headers, deadline=deadline, address=address, most=most)

    async def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        deadline: float,
        address: str = "",
        most: int = MAX_ANSWER,
    ) -> HttpAnswer:
        """Send; the answer is whole when this returns. `deadline` is in seconds and covers everything.

        `address` is an IP address to connect to in place of the URL's host, which stays what the request and the
        certificate are for. `most` bounds the answer's bytes, decoded: only lists need more. Headers of yours replace
        ours, but for those that say where the request goes and ends.
        Raises `NotSent` or `MaybeSent`; only `asyncio.CancelledError` passes through.
        """
        sending = Sending(deadline)
        try:
            if deadline <= 0:
                raise TimeoutError
            async with asyncio.timeout(deadline), self._slots:
                return await self._way.exchange(build_request(method, url, body, headers, address, most), sending)
        except HttpError:
            raise
        except Exception as error:
            raise sending.failure(error)  # noqa: B904 - it has its cause, or none that may be shown

    async def aclose(self) -> None:
        await self._way.aclose()
