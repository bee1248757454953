"""One connection to a gateway: bytes out, bytes in, and whether it may carry another request."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from typing import cast

READ_AHEAD = 64 * 1024
"""Bytes that may lie unread before the peer is made to wait."""
_TLS_SHUTDOWN = 1.0
"""Seconds for the peer to say farewell. We close without waiting for it; this is for a peer that closes half."""


class Line(asyncio.Protocol):
    """Made by `open_line`. One task at a time reads and writes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self.idle = False
        """Nothing was asked: a peer that speaks now is closed, since its words would pass for the next answer."""
        self._got = bytearray()
        self._ended = False
        self._failure: Exception | None = None
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._gone = asyncio.get_running_loop().create_future()

    @property
    def clean(self) -> bool:
        """Open, everything written has left us, and nothing lies here unread: the next bytes will be an answer."""
        return not (self._got or self._ended or self._transport.is_closing() or self._transport.get_write_buffer_size())

    @property
    def silent(self) -> bool:
        """Nor does anything wait in the kernel: what a busy event loop has not come to hear may be the end."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def read(self) -> bytes:
        """What came since; empty at the end. Raises `OSError` when the connection broke."""
        while not self._got:
            if self._failure:
                raise self._failure
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        got = bytes(self._got)
        self._got.clear()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return got

    def abort(self) -> None:
        """Close at once, saying nothing more; the socket is gone when the event loop has come round."""
        self._transport.abort()

    async def aclose(self) -> None:
        self.abort()
        await asyncio.shield(self._gone)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.idle:
            self._transport.abort()
            return
        self._got += data
        if len(self._got) > READ_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The transport closes itself then: a peer that will say nothing more is of no use to us."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._failure = True, exc
        self._gone.set_result(None)
        self._wake()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)


async def open_line(sock: socket.socket, tls: ssl.SSLContext | None, host: str) -> Line:
    """Takes over the connected `sock` and closes it when this fails. With `tls`, the certificate must be for `host`."""
    loop = asyncio.get_running_loop()
    if tls is None:
        _, line = await loop.create_connection(Line, sock=sock)
    else:
        _, line = await loop.create_connection(
            Line, sock=sock, ssl=tls, server_hostname=host, ssl_shutdown_timeout=_TLS_SHUTDOWN
        )
    return line
