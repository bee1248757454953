"""A message centre that speaks SMPP 3.4, by code of its own: it keeps what it got and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

SUBMIT_SM, SUBMIT_SM_RESP, DELIVER_SM, DELIVER_SM_RESP = 0x04, 0x80000004, 0x05, 0x80000005
BIND, BIND_RESP, UNBIND, UNBIND_RESP = 0x09, 0x80000009, 0x06, 0x80000006
ENQUIRE, ENQUIRE_RESP, NACK = 0x15, 0x80000015, 0x80000000

SILENT, DROPS, NACKS, RAVES = "silent", "drops", "nacks", "raves"
"""What it may do instead of answering a submit_sm with a status."""


@dataclass
class Submitted:
    """A submit_sm, taken apart."""

    source: tuple[int, int, str]
    destination: tuple[int, int, str]
    esm_class: int
    registered_delivery: int
    data_coding: int
    text: bytes
    tags: dict[int, bytes] = field(default_factory=dict)


class Smsc:
    """`async with Smsc() as smsc`. `answers` are statuses or odd behaviours for one submit_sm each, the last again."""

    def __init__(
        self,
        *answers: int | str,
        bind_status: int = 0,
        hears_enquiries: bool = True,
        id_of: Callable[[int], str] = lambda count: f"id-{count}",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.bind_status: int | str = bind_status
        self.binds: list[tuple[str, str, str, int]] = []
        self.submitted: list[Submitted] = []
        self.got: list[tuple[int, int, int]] = []
        """Command, status and sequence of every PDU."""
        self.enquiries = 0
        self.held = asyncio.Event()
        self.held.set()
        """Cleared, it answers no submit_sm until it is set."""
        self.most_held = self._holding = 0
        self._answers = list(answers) or [0]
        self._hears_enquiries = hears_enquiries
        self._id_of = id_of
        self._tls = tls
        self._lines: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._something = asyncio.Event()
        self._over = False

    async def __aenter__(self) -> Smsc:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._over = True
        self.drop()
        self.held.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        for line in self._lines:
            line.close()
        self._lines.clear()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for something that came in to make `true` so."""
        async with asyncio.timeout(20):
            while not true():
                self._something.clear()
                await self._something.wait()

    def send(self, command: int, body: bytes = b"", sequence: int = 1, status: int = 0) -> None:
        self._lines[-1].write(struct.pack("!IIII", 16 + len(body), command, status, sequence) + body)

    def deliver(
        self,
        text: bytes,
        *,
        source: tuple[int, int, str] = (1, 1, "447400123456"),
        esm_class: int = 0,
        data_coding: int = 0,
        tags: Sequence[tuple[int, bytes]] = (),
        sequence: int = 1,
    ) -> None:
        body = b"\0" + _address(source) + _address((0, 1, "77")) + bytes([esm_class, 0, 0, 0, 0, 0, 0, data_coding, 0])
        body += bytes([len(text)]) + text
        body += b"".join(struct.pack("!HH", tag, len(value)) + value for tag, value in tags)
        self.send(DELIVER_SM, body, sequence)

    def receipt(self, text: str, sequence: int = 1, **more: Any) -> None:
        self.deliver(text.encode("latin-1"), esm_class=0x04, sequence=sequence, **more)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A handshake may end after everything else has."""
        if self._over:
            writer.close()
            return
        self._lines.append(writer)
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                length, command, status, sequence = struct.unpack("!IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                self.got.append((command, status, sequence))
                self._take(writer, command, sequence, body)
                self._something.set()
        writer.close()

    def _take(self, writer: asyncio.StreamWriter, command: int, sequence: int, body: bytes) -> None:
        def answer(command: int, status: int = 0, body: bytes = b"") -> None:
            writer.write(struct.pack("!IIII", 16 + len(body), command, status, sequence) + body)

        if command == BIND:
            system_id, password, system_type, rest = body.split(b"\0", 3)
            self.binds.append((system_id.decode(), password.decode(), system_type.decode(), rest[0]))
            if self.bind_status == DROPS:
                writer.close()
            elif self.bind_status != SILENT:
                answer(BIND_RESP, int(self.bind_status), b"SMSC\0")
        elif command == SUBMIT_SM:
            self.submitted.append(_submitted(body))
            self._holding += 1
            self.most_held = max(self.most_held, self._holding)
            behaviour = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            self._tasks.add(asyncio.create_task(self._answer(writer, behaviour, len(self.submitted), answer)))
        elif command == ENQUIRE:
            self.enquiries += 1
            if self._hears_enquiries:
                answer(ENQUIRE_RESP)
        elif command == UNBIND:
            answer(UNBIND_RESP)

    async def _answer(self, writer: asyncio.StreamWriter, behaviour: int | str, count: int, answer: Any) -> None:
        await self.held.wait()
        self._holding -= 1
        if behaviour == DROPS:
            writer.close()
        elif behaviour == RAVES:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif behaviour == NACKS:
            answer(NACK, 0x03)
        elif isinstance(behaviour, int):
            answer(SUBMIT_SM_RESP, behaviour, b"" if behaviour else self._id_of(count).encode() + b"\0")


def _address(address: tuple[int, int, str]) -> bytes:
    return bytes(address[:2]) + address[2].encode() + b"\0"


def _submitted(body: bytes) -> Submitted:
    def string() -> str:
        nonlocal body
        text, _, body = body.partition(b"\0")
        return text.decode()

    def byte() -> int:
        nonlocal body
        value, body = body[0], body[1:]
        return value

    string()
    source, destination = (byte(), byte(), string()), (byte(), byte(), string())
    esm_class, _, _ = byte(), byte(), byte()
    string(), string()
    registered, _, data_coding, _, length = (byte() for _ in range(5))
    text, body = body[:length], body[length:]
    tags = {}
    while body:
        tag, size = struct.unpack("!HH", body[:4])
        tags[tag], body = body[4 : 4 + size], body[4 + size :]
    return Submitted(source, destination, esm_class, registered, data_coding, text, tags)
