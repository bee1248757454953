"""A gateway that costs next to nothing: `sms.aspx` answered with success, on one port for each latency asked for.

`python bench/_gateway.py 0 0.1 inf` prints three ports; behind the last one, requests are taken and never answered. It
writes down when each number's first request came (by CLOCK_MONOTONIC, which all processes share) and hands that out:
`GET /taken` gives lines of `mobile seconds`, and forgets them.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time

_XML = b"<returnsms><returnstatus>Success</returnstatus><message>ok</message><taskID>93390617</taskID></returnsms>"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
ANSWER = _HEAD % len(_XML) + _XML


class Line(asyncio.Protocol):
    """One connection. A request is whole when as many bytes have come as its head says."""

    def __init__(self, latency: float, taken: dict[bytes, float]) -> None:
        self._latency = latency
        self._taken = taken
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.startswith(b"GET /taken "):
            self._hand_out()
            return
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0]):
            return
        self._got = b""
        if mobile := body.partition(b"mobile=")[2][:11]:  # a worker also asks for the balance
            self._taken.setdefault(mobile, time.monotonic())
        if not self._latency:
            self._transport.write(ANSWER)
        elif self._latency < math.inf:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, ANSWER)

    def _hand_out(self) -> None:
        lines = b"".join(b"%b %.6f\n" % pair for pair in self._taken.items())
        self._taken.clear()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(lines))
        self._transport.write(b"Connection: close\r\n\r\n" + lines)
        self._transport.close()


async def serve(latencies: list[float]) -> None:
    for latency in latencies:
        taken: dict[bytes, float] = {}

        def line(latency: float = latency, taken: dict[bytes, float] = taken) -> Line:
            return Line(latency, taken)

        server = await asyncio.get_running_loop().create_server(line, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve([float(word) for word in sys.argv[1:]]))
