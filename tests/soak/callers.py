"""Callers of the API on one event loop, who hold connections open as a balancer does.

Requests are bytes, and answers are read no further than they must be.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_WITHIN = 20.0
"""Seconds: what has not come by then is `lost`."""


@dataclass(frozen=True, slots=True)
class Answer:
    kind: str
    status: int
    """0 where the connection was lost or refused."""
    seconds: float
    """From the request's last byte written to the answer's last byte read."""
    retry_after: int = 0
    body: bytes = b""
    replayed: bool = False

    @property
    def problem(self) -> str:
        return str(json.loads(self.body).get("problem", "")) if self.status >= 400 and self.body else ""


def request_of(method: str, path: str, key: str, document: object = None, **headers: str) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._waiting: asyncio.Future[tuple[int, bytes, bytes]] | None = None
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or self._waiting is None:
            return
        head = head.lower()
        if len(body) < int(head.partition(b"content-length: ")[2].split(b"\r", 1)[0] or 0):
            return
        self._got = b""
        if not self._waiting.done():
            self._waiting.set_result((int(head[9:12]), head, body))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((0, b"", b""))

    async def ask(self, kind: str, request: bytes) -> Answer:
        self._waiting = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(request)
        try:
            status, head, body = await asyncio.wait_for(self._waiting, ANSWER_WITHIN)
        except TimeoutError:
            self.close()
            status, head, body = 0, b"", b""
        if b"connection: close" in head:
            self.close()
        wait = int(head.partition(b"retry-after: ")[2].split(b"\r", 1)[0] or 0)
        return Answer(kind, status, time.perf_counter() - began, wait, body, b"idempotent-replayed" in head)

    def close(self) -> None:
        self.open = False
        self._transport.close()


class Callers:
    """All who call one address."""

    def __init__(self, host: str, port: int, most: int = 500) -> None:
        """At most so many connections, as a balancer has: more than the server takes would wait for it unseen."""
        self._address = host, port
        self._room = asyncio.Semaphore(most)
        self._idle: list[Line] = []
        self.lines = 0
        """How many connections were opened."""

    async def ask(self, kind: str, request: bytes) -> Answer:
        async with self._room:
            return await self._asked(kind, request)

    async def _asked(self, kind: str, request: bytes) -> Answer:
        line = None
        while self._idle and (line is None or not line.open):
            line = self._idle.pop()
        if line is None or not line.open:
            began = time.perf_counter()
            try:
                _, line = await asyncio.get_running_loop().create_connection(Line, *self._address)
            except OSError:
                return Answer(kind, 0, time.perf_counter() - began)
            self.lines += 1
        answer = await line.ask(kind, request)
        if line.open:
            self._idle.append(line)
        return answer

    def close(self) -> None:
        for line in self._idle:
            line.close()


def percentile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
