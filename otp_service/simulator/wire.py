"""One HTTP connection, seen from the server: what was asked, and how an answer gets onto the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

import h11

Headers = tuple[tuple[bytes, bytes], ...]

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came. `path` is decoded, with `//` folded to `/`; `headers` have lower-case names."""

    method: str
    target: bytes
    headers: Headers
    body: bytes
    path: str = field(init=False)
    query: bytes = field(init=False)

    def __post_init__(self) -> None:
        target = self.target
        if target.startswith((b"http://", b"https://")):
            target = b"/" + b"/".join(target.split(b"/")[3:])
        path, _, query = target.partition(b"?")
        folded = unquote(path.decode("latin-1"))
        while "//" in folded:
            folded = folded.replace("//", "/")
        object.__setattr__(self, "path", folded)
        object.__setattr__(self, "query", query)

    def header(self, name: bytes) -> str:
        """The first header of that lower-case name, or an empty string."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


def answer_head(status: int, headers: list[tuple[bytes, bytes]]) -> h11.Response:
    return h11.Response(status_code=status, headers=headers, reason=_REASONS[status])


class Line:
    """The server's end of one connection. Everything that is written goes through here, faults included."""

    def __init__(self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.http = http
        self.reader = reader
        self.writer = writer
        self.head_only = False
        self.busy = False

    async def send(self, *events: h11.Event) -> None:
        """Write events of one answer. Raises `ConnectionError` when the caller has gone."""
        self.write(*events)
        await self.writer.drain()

    def write(self, *events: h11.Event) -> None:
        pieces = [self.http.send(event) for event in events]
        self.writer.write(b"".join(piece for piece in pieces if piece))

    def reset(self) -> None:
        """End the connection with a TCP reset instead of an orderly close."""
        connection: socket.socket | None = self.writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
        self.writer.transport.abort()

    async def until_caller_leaves(self) -> None:
        while await self.reader.read(65536):
            pass


class Reply(Protocol):
    """An answer, honest or not. Whatever `send` leaves unfinished closes the connection."""

    async def send(self, line: Line) -> None: ...

    def shown(self) -> bytes:
        """What a reader of the inbox sees as the raw answer."""
        ...


@dataclass(frozen=True, slots=True)
class Response:
    """An honest answer of known length."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Headers = ()

    def head(self) -> list[tuple[bytes, bytes]]:
        length = str(len(self.body)).encode()
        return [(b"content-type", self.content_type.encode()), (b"content-length", length), *self.headers]

    async def send(self, line: Line) -> None:
        events: list[h11.Event] = [answer_head(self.status, self.head())]
        if self.body and not line.head_only:
            events.append(h11.Data(data=self.body))
        await line.send(*events, h11.EndOfMessage())

    def shown(self) -> bytes:
        lines = [b"HTTP/1.1 %d %s" % (self.status, _REASONS[self.status]), *(b"%s: %s" % pair for pair in self.head())]
        return b"\r\n".join([*lines, b"", self.body])
