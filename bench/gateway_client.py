"""What one POST to a gateway costs: our client beside httpx's transports, one a connection, as it was before.

The gateway is a process of its own that answers at once, or after 100 ms; where there are two cores, it has one and the
client the other. Rounds alternate (A B A B …) and the figures are medians: a shared machine drifts by a factor of two.
CPU is the client's process alone. At 100 ms, n in flight can't make more than 10 n a second.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import httpx

from otp_service.channels.http import GatewayClient

ROUNDS = 5
IN_FLIGHT = (1, 64, 256)
LATENCIES = (0.0, 0.1)
"""Seconds."""
SECONDS = 0.5
"""A measurement: rounds × in flight × latencies × clients of them must stay well under a minute."""
BODY = b"userid=12&account=demo&password=secret&mobile=13800138000&content=" + b"x" * 200
ANSWER = b"<returnsms><returnstatus>Success</returnstatus><message>ok</message><taskID>93390617</taskID></returnsms>"
FORM = "application/x-www-form-urlencoded"


def run_on(choose: Callable[[set[int]], int]) -> None:
    """One core, where the system lets us choose."""
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {choose(os.sched_getaffinity(0))})


# The gateway


async def serve() -> None:
    """Two ports, printed: one for each latency. An answer a request, when its body, as long as `BODY`, is whole."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nServer: bench\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
    answer = head.encode() + ANSWER
    loop = asyncio.get_running_loop()

    class Line(asyncio.Protocol):
        def __init__(self, latency: float) -> None:
            self._latency = latency
            self._got = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            self._got += data
            if len(self._got.partition(b"\r\n\r\n")[2]) < len(BODY):
                return
            self._got = b""
            if self._latency:
                loop.call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)

    for latency in LATENCIES:
        server = await loop.create_server(lambda latency=latency: Line(latency), "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


@contextmanager
def gateway() -> Iterator[list[str]]:
    """Its addresses, one for each latency."""
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield [f"http://127.0.0.1:{int(process.stdout.readline())}/sms.aspx?action=send" for _ in LATENCIES]
        finally:
            process.terminate()


# The two ways


class Client(Protocol):
    async def post(self, url: str, body: bytes, *, content_type: str, deadline: float) -> object: ...
    async def aclose(self) -> None: ...


class HttpxTransports:
    """How it was done before: one httpx transport a connection, the last one used first."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context(trust_env=False)
        self._idle: deque[httpx.AsyncHTTPTransport] = deque()
        self._slots = asyncio.Semaphore(256)

    async def post(self, url: str, body: bytes, *, content_type: str, deadline: float) -> object:
        headers = {"Content-Type": content_type, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "bench"}
        extensions = {"trace": _heard, "timeout": {"connect": deadline * 0.9}}
        async with asyncio.timeout(deadline), self._slots:
            request = httpx.Request("POST", url, headers=headers, content=body, extensions=extensions)
            transport = self._idle.pop() if self._idle else self._open()
            response = await transport.handle_async_request(request)
            await response.aread()
            self._idle.append(transport)
            return response.status_code

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()

    def _open(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=3.0)
        return httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=limits)


async def _heard(event: str, info: object) -> None:
    """Whether the request has begun: the old way could only learn it so."""


CLIENTS = {"httpx transports": HttpxTransports, "GatewayClient": GatewayClient}


# Measuring


async def measure(make: Callable[[], Client], url: str, in_flight: int) -> tuple[float, float]:
    """POSTs a second, and seconds of CPU a POST, over connections that stand already."""
    client, done, ends = make(), 0, 0.0

    async def post_on() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await client.post(url, BODY, content_type=FORM, deadline=30)
            done += 1

    await asyncio.gather(*(client.post(url, BODY, content_type=FORM, deadline=30) for _ in range(in_flight)))
    started, used = time.perf_counter(), time.process_time()
    ends = started + SECONDS
    await asyncio.gather(*(post_on() for _ in range(in_flight)))
    took, used = time.perf_counter() - started, time.process_time() - used
    await client.aclose()
    return done / took, used / done


def main() -> None:
    cases = list(itertools.product(LATENCIES, IN_FLIGHT))
    found: dict[tuple[str, float, int], list[tuple[float, float]]] = {}
    with gateway() as urls:
        run_on(max)
        for _ in range(ROUNDS):
            for latency, in_flight in cases:
                url = urls[LATENCIES.index(latency)]
                for name, make in CLIENTS.items():
                    figures = asyncio.run(measure(make, url, in_flight))
                    found.setdefault((name, latency, in_flight), []).append(figures)
    print(f"{ROUNDS} rounds of {SECONDS:g} s, medians\n")
    print(f"{'latency':>8} {'in flight':>10}" + "".join(f" | {name:>17} POSTs/s  CPU µs" for name in CLIENTS))
    for latency, in_flight in cases:
        row = f"{latency * 1000:5.0f} ms {in_flight:10}"
        for name in CLIENTS:
            figures = found[name, latency, in_flight]
            rate, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
            row += f" | {rate:25.0f} {cpu * 1e6:7.0f}"
        print(row)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        run_on(min)
        asyncio.run(serve())
    else:
        main()
