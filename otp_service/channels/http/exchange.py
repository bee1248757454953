"""One request and its answer over one connection, by h11: the end of an answer is never guessed."""

from __future__ import annotations

import asyncio
import functools

import h11

from otp_service.channels.http.answer import HttpAnswer, read_answer
from otp_service.channels.http.line import Line
from otp_service.channels.http.request import Request
from otp_service.channels.http.sending import Sending

MAX_HEAD = 64 * 1024
"""Bytes of a status line and headers, of a chunk's size, or of trailers. The largest that servers take is 80 KiB."""
WIRE_SHARE = 8
"""Times its cap: bytes of one answer with all its heads, interim answers and sizes of chunks. A body sent byte by byte
takes six."""
_BREATHER = 64
"""Events of h11, about 10 µs each, after which other requests get their turn."""


async def exchange(line: Line, request: Request, sending: Sending, now: float) -> tuple[HttpAnswer, bool]:
    """The answer, and whether `line` may carry another request. `now` in seconds since the epoch.

    Raises `OSError` or `h11.ProtocolError`, the first without anything sent when the peer has spoken or closed already.
    """
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    http.send(_request(request.method))
    http.send(h11.EndOfMessage())
    if not line.clean:
        raise ConnectionResetError("the gateway spoke or closed before it was asked")
    sending.begun = True
    line.write(request.wire())
    head, body = await _read(http, line, request.most)
    ended = http.our_state is h11.DONE and http.their_state is h11.DONE and not http.trailing_data[0]
    names = {name for name, _ in head.headers}
    # Who says two lengths is understood by us in one way, and by whatever stands between in another.
    sound = not {b"content-length", b"transfer-encoding"} <= names
    return read_answer(head.status_code, head.headers, body, now, request.most), ended and sound and line.clean


@functools.lru_cache(maxsize=16)
def _request(method: str) -> h11.Request:
    """All that h11 must know of a request to read its answer; writing it, h11 would take as long as for the answer."""
    return h11.Request(method=method, target="/", headers=[("Host", "-")])


async def _read(http: h11.Connection, line: Line, most: int) -> tuple[h11.Response, bytes]:
    head: h11.Response | None = None
    body, wire, events = bytearray(), await _receive(http, line), 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            wire += await _receive(http, line)
            if wire > WIRE_SHARE * most:
                raise h11.RemoteProtocolError("an answer without end")
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.Response):
            head = event
        elif not isinstance(event, (h11.InformationalResponse, h11.EndOfMessage)):
            raise h11.RemoteProtocolError("no answer")
        if head and (isinstance(event, h11.EndOfMessage) or len(body) > most):
            return head, bytes(body[: most + 1])
        events += 1
        if events % _BREATHER == 0:
            await asyncio.sleep(0)


async def _receive(http: h11.Connection, line: Line) -> int:
    got = await line.read()
    http.receive_data(got)
    return len(got)
