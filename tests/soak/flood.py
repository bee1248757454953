"""A flood: requests at a fixed rate by lasting connections, from a process of its own that costs little CPU.

`Flood` begins it and hears what came back. Requests leave when they are due, whether or not those before them have been
answered, as long as one of the connections is free: they are as many as a balancer would have, and what they leave no
room for is counted as `late`.
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
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ANSWER_WITHIN = 20.0
"""Seconds: what has not come by then is lost."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    port: int
    rate: float
    """Requests a second."""
    requests: Sequence[bytes]
    connections: int = 500


@dataclass(slots=True)
class Heard:
    """In the order of the requests. Times are seconds."""

    statuses: list[int]
    """0 where the connection was lost, or refused."""
    latencies: list[float]
    """From the request's last byte written to the answer's last byte read."""
    retry_after: list[int]
    bodies: list[bytes]
    late: int = 0
    """Requests that found no free connection when they were due."""
    seconds: float = 0.0
    own_cpu: float = 0.0

    def seconds_of(self, *statuses: int) -> list[float]:
        return [took for took, status in zip(self.latencies, self.statuses, strict=True) if status in statuses]


class Flood:
    """Begun at once."""

    def __init__(self, plan: Plan) -> None:
        words = [sys.executable, "-m", "tests.soak.flood"]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert self.process.stdin is not None
        pickle.dump(plan, self.process.stdin)
        self.process.stdin.close()

    def heard(self) -> Heard:
        """Waits for the last answer."""
        assert self.process.stdout is not None
        with self.process:
            heard = pickle.load(self.process.stdout)
        assert isinstance(heard, Heard)
        return heard


# --- the other process ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Line:
    """One connection, with what it waits for."""

    socket: socket.socket
    nth: int = -1
    sent: float = 0.0
    got: bytes = b""


@dataclass
class _Pouring:
    plan: Plan
    heard: Heard
    idle: list[_Line] = field(default_factory=list)
    lines: dict[int, _Line] = field(default_factory=dict)
    waiting: int = 0

    def __post_init__(self) -> None:
        self.poll = select.epoll()

    def run(self) -> None:
        clock, count, rate = time.perf_counter, len(self.plan.requests), self.plan.rate
        began, released, over = clock(), 0, 0.0
        due: deque[int] = deque()
        while True:
            now = clock()
            reached = min(count, int((now - began) * rate) + 1)
            due.extend(range(released, reached))
            fresh, released = reached - released, reached
            while due and self._send(due[0]):
                due.popleft()
            self.heard.late += min(fresh, len(due))
            if released == count and not due:
                over = over or now + ANSWER_WITHIN
                if not self.waiting or now > over:
                    break
            next_at = began + released / rate - now if released < count else 0.05
            for number, _ in self.poll.poll(max(next_at, 0.0)):
                self._read(self.lines[number])
        self.heard.seconds = clock() - began

    def _send(self, nth: int) -> bool:
        if not (line := self.idle.pop() if self.idle else self._opened()):
            return False
        line.nth, line.got = nth, b""
        try:
            line.socket.send(self.plan.requests[nth])
        except OSError:
            line.nth = -1
            self._drop(line)
            return False
        line.sent = time.perf_counter()
        self.waiting += 1
        return True

    def _opened(self) -> _Line | None:
        if len(self.lines) >= self.plan.connections:
            return None
        try:
            line = _Line(socket.create_connection(("127.0.0.1", self.plan.port), ANSWER_WITHIN))
        except OSError:
            return None
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines[line.socket.fileno()] = line
        self.poll.register(line.socket.fileno(), select.EPOLLIN)
        return line

    def _read(self, line: _Line) -> None:
        try:
            read = line.socket.recv(65536)
        except OSError:
            read = b""
        if not read:
            self._drop(line)
            return
        line.got += read
        end = line.got.find(b"\r\n\r\n")
        length = _LENGTH.search(line.got, 0, end) if end > 0 else None
        if length is None or len(line.got) < end + 4 + int(length[1]) or line.nth < 0:
            return
        wait = _RETRY_AFTER.search(line.got, 0, end)
        self._note(line, int(line.got[9:12]), line.got[end + 4 :], int(wait[1]) if wait else 0)
        self.idle.append(line)

    def _drop(self, line: _Line) -> None:
        del self.lines[line.socket.fileno()]
        line.socket.close()
        if line in self.idle:
            self.idle.remove(line)
        if line.nth >= 0:
            self._note(line, 0, b"", 0)

    def _note(self, line: _Line, status: int, body: bytes, wait: int) -> None:
        heard, nth, line.nth = self.heard, line.nth, -1
        heard.statuses[nth], heard.latencies[nth] = status, time.perf_counter() - line.sent
        heard.bodies[nth], heard.retry_after[nth] = body, wait
        self.waiting -= 1


def main() -> None:
    gc.disable()
    plan: Plan = pickle.load(sys.stdin.buffer)
    count = len(plan.requests)
    heard = Heard([0] * count, [ANSWER_WITHIN] * count, [0] * count, [b""] * count)
    _Pouring(plan, heard).run()
    heard.own_cpu = time.process_time()
    sys.stdout.buffer.write(pickle.dumps(heard))


if __name__ == "__main__":
    # What is handed back is to be known by its real name, not by that of a script.
    from tests.soak import flood

    flood.main()
