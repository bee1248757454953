"""HTTP as an attacker writes it: many requests on many connections, the last byte of each released together."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from typing import Any

CONNECTIONS = 32
PATIENCE = 30.0
"""Seconds for one answer; only a failure takes so long."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    """In the order in which they came, as they were spelt."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def outcome(self) -> str:
        """`ok`, or the problem's name."""
        return "ok" if self.status < 300 else str(self.json()["problem"])


class Line:
    """One connection that is kept open."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def write(self, some: bytes) -> None:
        self._socket.sendall(some)

    def read(self) -> Answer:
        status = int(self._reader.readline().split()[1])
        headers = tuple(self._headers())
        length = next(int(value) for name, value in headers if name.lower() == "content-length")
        return Answer(status, headers, self._reader.read(length))

    def ask(self, request: bytes) -> Answer:
        self.write(request)
        return self.read()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self._reader.readline().rstrip(b"\r\n").decode("latin-1"):
            name, _, value = line.partition(":")
            yield name, value.strip()


def never_given(id: str) -> str:
    """One that is spelt as this one is and lies in its partition, and that nobody was given."""
    return id[:6] + "".join("1" if char == "0" else "0" for char in id[6:18]) + id[18:]


def post(path: str, key: str, body: Any, **headers: str) -> bytes:
    """A POST as it stands on the wire."""
    content = json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{more}"
    )
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def release_together(
    addresses: Sequence[tuple[str, int]], requests: Sequence[bytes], connections: int = CONNECTIONS
) -> list[Answer]:
    """Ask all of them, in waves of as many as there are connections, which lie in turn at each address.

    Every request of a wave is on its way but for its last byte before the first of these bytes is sent.
    """
    answers: list[Answer] = []
    with ExitStack() as stack:
        where = cycle(addresses)
        lines = [stack.enter_context(Line(next(where))) for _ in range(min(connections, len(requests)))]
        for first in range(0, len(requests), len(lines)):
            wave = requests[first : first + len(lines)]
            for line, request in zip(lines, wave, strict=False):
                line.write(request[:-1])
            for line, request in zip(lines, wave, strict=False):
                line.write(request[-1:])
            answers += [line.read() for line, _ in zip(lines, wave, strict=False)]
    return answers
