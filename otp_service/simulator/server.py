"""HTTP/1.1 over asyncio and h11. Written here, because a simulator of faults needs the bare connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import h11

from otp_service.simulator.wire import Line, Reply, Request, Response

Handler = Callable[[Request], Awaitable[Reply]]

MAX_BODY = 1 << 20
"""Bytes. A request that announces or sends more is refused with 413."""
MAX_HEAD = 64 << 10
"""Bytes of request line and headers together."""
_READ = 64 << 10
_BACKLOG = 1024
_GRACE = 0.3
"""Seconds that answers under way have when the server stops."""


class _TooLargeError(Exception):
    """The body is over `MAX_BODY`."""


class Server:
    """Listens, reads requests, hands them to `handler` and lets each reply write itself."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._open: dict[asyncio.Task[None], Line] = {}
        self._listener: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Start listening and return the port. Raises `OSError` when the address is taken or not ours."""
        self._listener = await asyncio.start_server(self._connection, host, port, backlog=_BACKLOG, limit=MAX_HEAD)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Take no more connections, end the idle ones, give the busy ones a moment, then end those too."""
        if self._listener is not None:
            self._listener.close()
        for task, line in list(self._open.items()):
            if not line.busy:
                task.cancel()
        if self._open:
            _, late = await asyncio.wait(list(self._open), timeout=_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        line = Line(h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD), reader, writer)
        self._open[task] = line
        try:
            # A cancelled task is how a stop, or a caller that left, ends a connection: nothing to report.
            with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                await self._converse(line)
        finally:
            del self._open[task]
            writer.close()

    async def _converse(self, line: Line) -> None:
        while True:
            try:
                request = await _read(line)
            except _TooLargeError:
                return await Response(413, b"The body is over 1 MiB.", headers=_CLOSE).send(line)
            except h11.RemoteProtocolError as error:
                if line.http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await Response(error.error_status_hint, str(error).encode(), headers=_CLOSE).send(line)
                return None
            if request is None:
                return None
            line.busy = True
            reply = await self._handler(request)
            await reply.send(line)
            line.busy = False
            if not (line.http.our_state is h11.DONE and line.http.their_state is h11.DONE):
                return None
            line.http.start_next_cycle()


_CLOSE = ((b"connection", b"close"),)


async def _read(line: Line) -> Request | None:
    """The next whole request, or None when the caller has gone."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = line.http.next_event()
        if event is h11.NEED_DATA:
            if line.http.they_are_waiting_for_100_continue:
                await line.send(h11.InformationalResponse(status_code=100, headers=[]))
            line.http.receive_data(await line.reader.read(_READ))
        elif isinstance(event, h11.Request):
            head = event
            line.head_only = event.method == b"HEAD"
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise _TooLargeError
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Request(head.method.decode(), bytes(head.target), tuple(head.headers), bytes(body))
        else:
            return None
