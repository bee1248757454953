"""Reports that are pushed: one HTTP POST each, to this machine unless another host was allowed."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import h11

from otp_service.simulator import signing
from otp_service.simulator.wire import Headers

TRIES = (0.0, 1.0, 5.0)
"""Seconds before each try: again after 5xx, 429 or no answer."""
PATIENCE = 5.0
"""Seconds for one whole try."""


@dataclass(frozen=True, slots=True)
class Push:
    """What is to be posted where. User and password in the URL become Basic authentication."""

    url: str
    body: bytes
    content_type: str
    headers: Headers = ()


def standard_headers(secret: str, message_id: str, now: float, body: bytes) -> Headers:
    """The three headers of Standard Webhooks."""
    stamp = str(int(now))
    return (
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", stamp.encode()),
        (b"webhook-signature", signing.webhook(secret, message_id, stamp, body).encode()),
    )


def bare(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Pusher:
    """Posts. Nothing leaves this machine: a report to a host that is not allowed isn't sent at all."""

    def __init__(self, allowed_hosts: frozenset[str]) -> None:
        self._allowed = allowed_hosts

    async def post(self, push: Push) -> int | str:
        """One try: the HTTP status, or `forbidden`, `invalid`, `timeout` or `unreachable`."""
        try:
            parts = urlsplit(push.url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return "invalid"
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return "invalid"
        if not self._may(parts.hostname):
            return "forbidden"
        try:
            async with asyncio.timeout(PATIENCE):
                return await _post(push, parts, port)
        except TimeoutError:
            return "timeout"
        except (OSError, h11.ProtocolError):
            return "unreachable"

    def _may(self, host: str) -> bool:
        if host in self._allowed or host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


async def _post(push: Push, parts: SplitResult, port: int) -> int:
    context = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        http = h11.Connection(h11.CLIENT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        events = (
            h11.Request(method="POST", target=target.encode(), headers=_headers(push, parts)),
            h11.Data(data=push.body),
            h11.EndOfMessage(),
        )
        writer.write(b"".join(http.send(event) or b"" for event in events))
        await writer.drain()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                return event.status_code
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _headers(push: Push, parts: SplitResult) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"host", parts.netloc.rpartition("@")[2].encode()),
        (b"content-type", push.content_type.encode()),
        (b"content-length", str(len(push.body)).encode()),
        (b"connection", b"close"),
        *push.headers,
    ]
    if parts.username is not None:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers.append((b"authorization", b"Basic " + b64encode(both.encode())))
    return headers
