"""Requests a second of start and check, beside a bare Flask hello on the same server.

The demo runs as it is: embedded Valkey, worker and gateway simulator share the machine's cores with the API and with
this program, and messages are delivered while starts are measured. So only the last column says something about another
machine: the ratio to hello, from rounds that alternate (A B C A B C …), as medians.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

ROUNDS = 5
REQUESTS = 400
"""A round, and as many messages to read back from the inbox."""
CONNECTIONS = 4
WARM_UP = 100


def hello() -> Any:
    """The bare application."""
    from flask import Flask

    app = Flask("hello")
    app.add_url_rule("/", view_func=lambda: {"hello": "world"}, methods=["POST"])
    return app


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-m", *command], text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def demo(folder: str) -> Iterator[dict[str, str]]:
    """The demo's lines: api, inbox, admin, key."""
    command = ["otp_service.cli", "demo", "--json", "--data-dir", folder]
    command += ["--port", str(free_port()), "--inbox-port", str(free_port())]
    environ = {**os.environ, "XDG_RUNTIME_DIR": folder}
    with running(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())


@contextmanager
def flask_hello() -> Iterator[str]:
    """The bare application on granian, with the API's own settings."""
    port = free_port()
    command = ["granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--blocking-threads", "4", "--factory"]
    command += ["--log-level", "warning", "--port", str(port), "--working-dir", str(Path(__file__).parent)]
    url = f"http://127.0.0.1:{port}"
    with running([*command, f"{Path(__file__).stem}:hello"]):
        wait_for(url)
        yield url


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            httpx.post(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"{url} does not answer")


class Target:
    """One address, asked over a few lasting connections; plain sockets, so that the asking costs little."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"

    def post_all(self, calls: list[tuple[str, dict[str, str]]]) -> tuple[float, list[dict[str, Any]]]:
        """Requests a second, and the answers in the order of the calls. Ends the program at the first refusal."""
        requests = [self._request(path, json.dumps(body).encode()) for path, body in calls]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            started = time.perf_counter()
            shares = list(pool.map(self._converse, [requests[lane::CONNECTIONS] for lane in range(CONNECTIONS)]))
            took = time.perf_counter() - started
        answers = [answer for row in itertools.zip_longest(*shares) for answer in row if answer is not None]
        return len(calls) / took, [json.loads(answer) for answer in answers]

    def _request(self, path: str, body: bytes) -> bytes:
        return f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _converse(self, requests: list[bytes]) -> list[bytes]:
        with socket.create_connection(self._address) as connection, connection.makefile("rb") as answers:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = []
            for request in requests:
                connection.sendall(request)
                status, length = answers.readline(), 0
                while (line := answers.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                found.append(answers.read(length))
                if status[9:10] != b"2":
                    sys.exit(f"{status.decode().strip()}: {found[-1].decode()}")
            return found


class Bench:
    def __init__(self, hello_url: str, facts: dict[str, str]) -> None:
        self._hello = Target(hello_url)
        self._api = Target(facts["api"], facts["key"])
        self._inbox = facts["inbox"]
        # Every number has a prefix of its own: no limit is met.
        self._numbers = (f"138{index:04d}0000" for index in range(10_000))

    def round(self, requests: int) -> dict[str, float]:
        """One measurement of each."""
        hello_rate, _ = self._hello.post_all([("/", {})] * requests)
        numbers = list(itertools.islice(self._numbers, requests))
        starts = [("/v1/verifications", {"to": number, "purpose": "login"}) for number in numbers]
        start_rate, started = self._api.post_all(starts)
        codes = self._codes(requests)
        checks = [
            (f"/v1/verifications/{answer['id']}/check", {"code": codes[number]})
            for number, answer in zip(numbers, started, strict=True)
        ]
        check_rate, _ = self._api.post_all(checks)
        return {"Flask hello": hello_rate, "start": start_rate, "check": check_rate}

    def _codes(self, count: int) -> dict[str, str]:
        """The codes by number, when all messages have arrived."""
        for _ in range(600):
            answer = httpx.get(f"{self._inbox}/api/messages?limit={count}", trust_env=False, timeout=30)
            messages = answer.json()["messages"]
            if len(messages) == count:
                httpx.delete(f"{self._inbox}/api/messages", trust_env=False)
                return {message["mobile"]: message["code"] for message in messages}
            time.sleep(0.05)
        sys.exit(f"only {len(messages)} of {count} messages arrived")


def main() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-"))
        bench = Bench(stack.enter_context(flask_hello()), stack.enter_context(demo(folder)))
        bench.round(WARM_UP)
        rounds = [bench.round(REQUESTS) for _ in range(ROUNDS)]
    print(f"{ROUNDS} rounds of {REQUESTS} requests, {CONNECTIONS} connections, {os.cpu_count()} cores for everything\n")
    print(f"{'':12} {'requests/s':>10} {'lowest':>8} {'highest':>8} {'of hello':>9}")
    for name in rounds[0]:
        rates = [rates[name] for rates in rounds]
        ratio = statistics.median(rates[name] / rates["Flask hello"] for rates in rounds)
        print(f"{name:12} {statistics.median(rates):10.0f} {min(rates):8.0f} {max(rates):8.0f} {ratio:9.2f}")


if __name__ == "__main__":
    main()
