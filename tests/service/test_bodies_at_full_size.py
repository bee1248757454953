"""Bodies that would cost a careless reader its memory or its time, sent whole to a service of their own."""

from __future__ import annotations

import gzip
import re
import socket
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Running, free_port, start

pytestmark = pytest.mark.slow

MIB = 1 << 20
PIECE = b" " * 65536
START = b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
MOST_GROWTH = 20 * MIB
MOST_SECONDS = 0.05
"""Over the plain request's."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("bodies")
    ports = ["--port", str(free_port()), "--inbox-port", str(free_port())]
    with start("demo", *ports, "--data-dir", str(folder / "data"), folder=folder, ready_after=4) as running:
        yield running


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    yield b"0\r\n\r\n"


def sized(body: bytes) -> tuple[bytes, list[bytes]]:
    return b"Content-Length: %d\r\n" % len(body), [body]


HUNDRED_MB = 100_000_000
BODIES = {
    "100 MB that are declared": (b"Content-Length: %d\r\n" % HUNDRED_MB, [PIECE] * (HUNDRED_MB // len(PIECE)), {413}),
    "100 MB in chunks": (b"Transfer-Encoding: chunked\r\n", chunked([PIECE] * (HUNDRED_MB // len(PIECE))), {413}),
    "arrays 100,000 deep": (*sized(b"[" * 100_000), {413}),
    "arrays 32,000 deep": (*sized(b"[" * 32_000 + b"]" * 32_000), {400}),
    "an integer of 100,000 digits": (*sized(b'{"to":' + b"1" * 100_000 + b"}"), {413}),
    "an integer of 60,000 digits": (*sized(b'{"to":' + b"1" * 60_000 + b"}"), {400}),
    "a field 5,000 times": (*sized(b"{" + b",".join([b'"to":"1"'] * 5000) + b"}"), {400}),
    "NaN": (*sized(b'{"to":NaN}'), {400}),
    "a bomb": (b"Content-Encoding: gzip\r\n" + sized(bomb := gzip.compress(bytes(50 * MIB)))[0], [bomb], {415}),
}


def answered(running: Running, framing: bytes, pieces: Iterable[bytes]) -> tuple[int, float]:
    """The status, and the seconds from the head of the request to that of the answer."""
    host, _, port = running.lines["api"].removeprefix("URL ").removeprefix("http://").strip("/").partition(":")
    kind = b"Content-Type: application/json\r\nAuthorization: Bearer %b\r\n" % running.lines["key"].encode()
    with socket.create_connection((host, int(port)), timeout=30) as line:
        began = time.perf_counter()
        line.sendall(START + kind + framing + b"\r\n")
        try:
            for piece in pieces:
                line.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered, and reads no further
        said = line.recv(65536)
        took = time.perf_counter() - began
    found = re.match(rb"HTTP/1\.1 ([0-9]{3})", said)
    assert found, said
    return int(found[1]), took


def memory(running: Running, name: str) -> int:
    """Bytes, of all of its processes: `VmRSS` now, or `VmHWM` the most since `forget`."""
    found = 0
    for pid in running.relatives():
        said = re.search(rf"{name}:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
        found += int(said[1]) * 1024 if said else 0
    return found


def forget(running: Running) -> None:
    for pid in running.relatives():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_costs_neither_memory_nor_time(demo: Running, name: str) -> None:
    """T53: refused within 50 ms of what a plain refusal takes, in less than 20 MB."""
    framing, pieces, statuses = BODIES[name]
    pieces = list(pieces)
    plain = statistics.median(answered(demo, *sized(b"{}"))[1] for _ in range(20))
    answered(demo, framing, pieces)
    forget(demo)
    before, times = memory(demo, "VmRSS"), []
    for _ in range(5):
        status, took = answered(demo, framing, pieces)
        assert status in statuses
        times.append(took)
    grown = memory(demo, "VmHWM") - before
    assert grown < MOST_GROWTH
    assert min(times) < plain + MOST_SECONDS
