"""`Balancer`: what stands in front of two API processes, as far as a rolling deploy depends on it.

It does what real ones do and no more. It asks every `/readyz` twice a second and sends nobody to a process that says
no; it keeps connections to them open; it tries another process only where a connection was refused, because then
nothing was sent. All else that goes wrong behind it is a 502 to its caller.

`Service` is the other kind: it knows nothing of HTTP, and joins each new connection of a caller to one process for as
long as both keep it, as a Service of Kubernetes does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict, deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.cli.processes import free_port

LOOK_SECONDS = 0.5
_BROKEN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
_TO_NOBODY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Place:
    """One API process."""

    port: int
    admin_port: int


@dataclass(frozen=True, slots=True)
class Read:
    """A request or an answer, whole."""

    raw: bytes
    last: bool
    """Whether its sender is about to close the connection."""


async def read_message(reader: asyncio.StreamReader) -> Read | None:
    """None where the other side is done. Raises IncompleteReadError, OSError for half a message."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        if ended.partial:
            raise
        return None
    lines = head.lower().split(b"\r\n")
    sizes = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    body = await reader.readexactly(sizes[0] if sizes else 0)
    return Read(head + body, b"connection: close" in lines)


@dataclass
class _Front:
    """What both kinds have in common: a port, and places of which some are ready."""

    port: int = field(default_factory=free_port)
    ready: list[Place] = field(default_factory=list)
    _turn: Iterator[int] = field(default_factory=count)
    _opened: set[asyncio.StreamWriter] = field(default_factory=set)

    def next_places(self) -> list[Place]:
        """Those that are ready, beginning with the one whose turn it is."""
        places, turn = list(self.ready), next(self._turn)
        return [places[(turn + n) % len(places)] for n in range(len(places))]

    async def open(self, place: Place) -> Stream:
        """Raises OSError."""
        stream = await asyncio.open_connection("127.0.0.1", place.port)
        self._opened.add(stream[1])
        return stream

    def close(self, writer: asyncio.StreamWriter) -> None:
        self._opened.discard(writer)
        writer.close()

    async def serve(self, caller: Stream) -> None:
        raise NotImplementedError

    def watch(self) -> list[Coroutine[Any, Any, None]]:
        """What is done beside serving."""
        return []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """On a thread of its own."""
        loop, over = asyncio.new_event_loop(), asyncio.Event()
        callers: set[asyncio.Task[None]] = set()

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            callers.add(task)
            try:
                await self.serve((reader, writer))
            except (OSError, asyncio.IncompleteReadError):
                pass  # the caller is gone
            except asyncio.CancelledError:
                pass  # the test is over
            finally:
                callers.discard(task)
                writer.close()

        async def run() -> None:
            server = await asyncio.start_server(one, "127.0.0.1", self.port)
            others = [asyncio.create_task(watching) for watching in self.watch()]
            await over.wait()
            server.close()
            for task in [*others, *callers]:
                task.cancel()
            await asyncio.gather(*others, *callers, return_exceptions=True)
            for writer in self._opened:
                writer.transport.abort()
            await asyncio.sleep(0.1)  # transports close their sockets in a later turn of the loop

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="balancer")
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


@dataclass
class Balancer(_Front):
    places: list[Place] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """What its callers were told 502 for."""
    refused: int = 0
    """Connections that another process took instead."""
    _kept: dict[Place, deque[Stream]] = field(default_factory=lambda: defaultdict(deque))

    def watch(self) -> list[Coroutine[Any, Any, None]]:
        return [self._look()]

    async def _look(self) -> None:
        while True:
            ready = [place for place in list(self.places) if await _is_ready(place)]
            self.ready = ready
            for place in set(self._kept) - set(ready):
                for _, writer in self._kept.pop(place):
                    self.close(writer)
            await asyncio.sleep(LOOK_SECONDS)

    async def serve(self, caller: Stream) -> None:
        reader, writer = caller
        while (asked := await read_message(reader)) is not None:
            writer.write(await self._answer(asked.raw))
            await writer.drain()

    async def _answer(self, asked: bytes) -> bytes:
        for place in self.next_places():
            try:
                stream = await self._connection(place)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            try:
                return await self._exchange(place, stream, asked)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.close(stream[1])
                self.broken.append(f"{type(error).__name__} from {place.port}")
                return _BROKEN
        return _TO_NOBODY

    async def _connection(self, place: Place) -> Stream:
        kept = self._kept[place]
        while kept:
            reader, writer = kept.pop()
            if not reader.at_eof():
                return reader, writer
            self.close(writer)
        return await self.open(place)

    async def _exchange(self, place: Place, stream: Stream, asked: bytes) -> bytes:
        reader, writer = stream
        writer.write(asked)
        answer = await read_message(reader)
        if answer is None:
            raise ConnectionResetError("closed without an answer")
        if answer.last or place not in self.ready:
            self.close(writer)
        else:
            self._kept[place].append(stream)
        return answer.raw.replace(b"connection: close\r\n", b"").replace(b"Connection: close\r\n", b"")


async def _is_ready(place: Place) -> bool:
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", place.admin_port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: otp\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


@dataclass
class Service(_Front):
    """`ready` is set by the test, which stands for the control plane."""

    async def serve(self, caller: Stream) -> None:
        for place in self.next_places():
            try:
                process = await self.open(place)
            except ConnectionRefusedError:
                continue
            await asyncio.gather(_copy(caller[0], process[1]), _copy(process[0], caller[1]))
            self.close(process[1])
            return


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until either side is done; then the other is told."""
    with contextlib.suppress(OSError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    sink.close()
