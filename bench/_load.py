"""Who asks: a process of its own, with lasting connections that each ask again as soon as they are answered.

`Caller` starts it and hands it jobs. It is written for little CPU a request (about 10 µs, told with each job), because
it shares a core with the Redis servers: what is measured must be the server on the other core.
"""

from __future__ import annotations

import gc
import pickle
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hiredis import Reader

CONNECTIONS = 32


@dataclass(frozen=True)
class Job:
    port: int
    requests: Sequence[bytes]
    expect: bytes = b""
    """What each answer must hold; one that doesn't, or that is not a 2xx, ends everything."""
    protocol: str = "http"
    """Or "redis"."""
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Heard:
    seconds: float
    latencies: Sequence[float]
    """Seconds, in no order."""
    answers: Sequence[bytes]
    """In the order of the requests; bodies only."""
    own_cpu: float
    """Seconds that this program itself was at work."""


class Refused(Exception):
    """An answer that was not the right one. Carries it."""


@contextmanager
def caller(pin: Callable[[int], None]) -> Iterator[Caller]:
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pin(process.pid)
        try:
            yield Caller(process)
        finally:
            process.terminate()


class Caller:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, job: Job) -> Heard:
        """Raises Refused."""
        assert self._process.stdin
        assert self._process.stdout
        pickle.dump(job, self._process.stdin)
        self._process.stdin.flush()
        heard = pickle.load(self._process.stdout)
        if isinstance(heard, Exception):
            raise heard
        assert isinstance(heard, Heard)
        return heard


def post(path: str, body: bytes, headers: Sequence[str] = (), method: str = "POST") -> bytes:
    """A request as it stands on the wire; `headers` as "Name: value"."""
    head = [f"{method} {path} HTTP/1.1", "Host: bench", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


# --- the other process ------------------------------------------------------------------------------------------------

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def http_body(data: bytes) -> bytes | None:
    """None while there is more to come. Raises Refused for another status than 2xx."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end)
    if not length:
        raise Refused(f"an answer without Content-Length: {data[:200]!r}")
    if len(data) < end + 4 + int(length[1]):
        return None
    if data[9:10] != b"2":
        raise Refused(data[:600].decode(errors="replace"))
    return data[end + 4 :]


def redis_reply(data: bytes) -> bytes | None:
    """None while there is more to come. Raises Refused for an error."""
    reader = Reader()
    reader.feed(data)
    reply = reader.gets()
    if isinstance(reply, Exception):
        raise Refused(str(reply))
    return None if reply is False else data


def drive(job: Job) -> Heard:
    """Raises Refused, OSError."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        run = _Run(job, poll, _lines(stack, job))
        busy, began = time.process_time(), time.perf_counter()
        run.ask_all()
        return Heard(time.perf_counter() - began, run.latencies, run.answers, time.process_time() - busy)


def _lines(stack: ExitStack, job: Job) -> dict[int, socket.socket]:
    """Connections by their file numbers."""
    lines: dict[int, socket.socket] = {}
    for _ in range(min(job.connections, len(job.requests))):
        line = stack.enter_context(socket.create_connection(("127.0.0.1", job.port), 30))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
    return lines


class _Run:
    """One job under way: each line asks its next request when its last is answered."""

    def __init__(self, job: Job, poll: select.epoll, lines: dict[int, socket.socket]) -> None:
        self._job, self._poll, self._lines = job, poll, lines
        self._whole = http_body if job.protocol == "http" else redis_reply
        self._asked = self._got = 0
        self._pending: dict[int, tuple[int, float]] = {}
        """By line: which request, and when it was sent."""
        self._partial: dict[int, bytes] = {}
        self.answers, self.latencies = [b""] * len(job.requests), [0.0] * len(job.requests)
        for name in lines:
            poll.register(name, select.EPOLLIN)

    def ask_all(self) -> None:
        count = len(self._job.requests)
        for name in self._lines:
            self._ask(name, time.perf_counter())
        while self._got < count:
            ready = self._poll.poll(60)
            if not ready:
                raise Refused(f"no answer within 60 s; {self._got} of {count} came")
            for name, _ in ready:
                self._hear(name)

    def _ask(self, name: int, now: float) -> None:
        if self._asked < len(self._job.requests):
            self._pending[name] = (self._asked, now)
            self._lines[name].sendall(self._job.requests[self._asked])
            self._asked += 1

    def _hear(self, name: int) -> None:
        if not (read := self._lines[name].recv(65536)):
            raise Refused(f"the connection was closed after {self._got} of {len(self._job.requests)} answers")
        data = self._partial.pop(name, b"") + read
        if (body := self._whole(data)) is None:
            self._partial[name] = data
            return
        if self._job.expect not in body:
            raise Refused(f"not {self._job.expect.decode()!r}: {body[:600].decode(errors='replace')}")
        nth, sent = self._pending[name]
        now = time.perf_counter()
        self.latencies[nth], self.answers[nth] = now - sent, body
        self._got += 1
        self._ask(name, now)


def main() -> None:
    gc.disable()
    jobs, heard = sys.stdin.buffer, sys.stdout.buffer
    sys.modules["_load"] = sys.modules["__main__"]
    while True:
        try:
            job = pickle.load(jobs)
        except EOFError:
            return
        try:
            answer: Heard | Exception = drive(job)
        except (Refused, OSError) as error:
            answer = error
        pickle.dump(answer, heard)
        heard.flush()


if __name__ == "__main__":
    Refused.__module__ = Heard.__module__ = Job.__module__ = "_load"
    sys.path.insert(0, str(Path(__file__).parent))
    main()
