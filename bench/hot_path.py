"""What start and check cost one API process, beside what no Python service could go below.

Two ways of asking, each in rounds that alternate, medians of the CPU time a request:

`python bench/hot_path.py` serves each application by granian, pinned to a core; Valkey and the callers have another.
`python bench/hot_path.py --in-process` calls the WSGI applications directly, so that what is left is only ours:
    `--profile start` (or `check`) shows then where the time goes.

The rungs below ours: a WSGI application that answers at once ("bare"), the same with one small script in Redis by a
plain socket ("bare + script"), and Flask that answers at once ("Flask hello"). Lines are logged and limits stand as by
default. `--bytes` says what one start keeps in Redis.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import io
import itertools
import json
import os
import pstats
import re
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from _ground import code_of, cpu_clock, free_port, load, pin, valkey
from _rungs import BELOW, Application, application

from otp_service import config as configuration
from otp_service import store, wiring
from otp_service.api_keys import new_key

CONNECTIONS = 16
_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
bind = "127.0.0.1:{api}"
admin_bind = "127.0.0.1:{admin}"
[redis]
url = "{redis}"
[delivery]
admin_bind = "127.0.0.1:{worker_admin}"
outbox_max = 1000000
[[clients]]
name = "shop"
key_hashes = ["{key_hash}"]
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = "http://127.0.0.1:9/sms.aspx"
account = "demo"
password = "demo"
signature = "今信科技"
"""
Call = tuple[str, dict[str, str]]
"""Path and body."""


class Installation:
    """One service on one Valkey, with numbers of many prefixes, so that no limit is met."""

    def __init__(self, folder: Path, redis_url: str, more: str = "") -> None:
        key = new_key()
        self.key, self.path = key.text, folder / f"otp-{secrets.token_hex(4)}.toml"
        self.port = free_port()
        secret, fingerprint = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
        words = _CONFIG.format(
            secret=secret,
            fingerprint=fingerprint,
            redis=redis_url,
            api=self.port,
            admin=free_port(),
            worker_admin=free_port(),
            key_hash=key.hash,
        )
        self.path.write_text(words.replace("[redis]", f"{more}\n[redis]"), "utf-8")
        self.path.chmod(0o600)
        self.config = configuration.load(self.path, {})
        self.redis = store.connect(redis_url)
        self._keyring = wiring.build_keyring(self.config)
        self._numbers = (f"138{n % 10_000:04d}{n // 10_000:04d}" for n in itertools.count())

    def starts(self, count: int) -> list[Call]:
        return [("/v1/verifications", {"to": next(self._numbers), "purpose": "login"}) for _ in range(count)]

    def checks(self, answers: Sequence[bytes]) -> list[Call]:
        """The right code of each."""
        ids = [json.loads(answer)["id"] for answer in answers]
        return [(f"/v1/verifications/{id}/check", {"code": self.code(id)}) for id in ids]

    def code(self, id: str) -> str:
        return code_of(self.redis, self._keyring, id)


# --- in this process --------------------------------------------------------------------------------------------------


def environ_of(call: Call, key: str) -> dict[str, Any]:
    body = json.dumps(call[1]).encode()
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": call[0],
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }


def log_to_nobody() -> None:
    """Lines are made and written as in earnest."""
    from otp_service.logs import configure_logs

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    configure_logs()


def ask_directly(app: Application, calls: Sequence[Call], key: str) -> tuple[float, list[bytes]]:
    """CPU seconds a call, and the answers."""
    environs = [environ_of(call, key) for call in calls]
    statuses: list[str] = []
    began = time.process_time()
    answers = [
        b"".join(app(environ, lambda status, headers, info=None: statuses.append(status))) for environ in environs
    ]
    took = time.process_time() - began
    assert all(status.startswith("2") for status in statuses), set(statuses)
    return took / len(calls), answers


def in_process(installation: Installation, redis_url: str, rounds: int, requests: int, profile: str) -> None:
    log_to_nobody()
    ours = wiring.build_app(installation.config, wiring.build_verifier(installation.config))
    below = {name: application(name, redis_url) for name in BELOW}

    def one_round(count: int) -> dict[str, float]:
        found = {name: ask_directly(app, [("/", {})] * count, "")[0] for name, app in below.items()}
        found["start"], answers = ask_directly(ours, installation.starts(count), installation.key)
        found["check"], _ = ask_directly(ours, installation.checks(answers), installation.key)
        return found

    one_round(200)
    if profile:
        calls = installation.starts(requests)
        if profile == "check":
            calls = installation.checks(ask_directly(ours, calls, installation.key)[1])
        profiler = cProfile.Profile(time.process_time)
        profiler.enable()
        ask_directly(ours, calls, installation.key)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        pstats.Stats(profiler).sort_stats("cumtime").print_stats(60)
        return
    show([one_round(requests) for _ in range(rounds)])


# --- as served --------------------------------------------------------------------------------------------------------


class Callers:
    """Lasting connections to one server: each asks its next question when the one before is answered."""

    def __init__(self, port: int, key: str = "") -> None:
        self._head = f"Host: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        self._address = ("127.0.0.1", port)

    def ask(self, calls: Sequence[Call]) -> list[bytes]:
        waiting = [self._request(*call) for call in reversed(calls)]
        answers: list[bytes] = []
        partial: dict[socket.socket, bytes] = {}
        with selectors.DefaultSelector() as ready, ExitStack() as stack:
            for _ in range(CONNECTIONS):
                line = stack.enter_context(socket.create_connection(self._address))
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(line, selectors.EVENT_READ)
                line.sendall(waiting.pop())
            while len(answers) < len(calls):
                for event, _ in ready.select():
                    line = event.fileobj  # type: ignore[assignment]
                    head, end, body = (partial.pop(line, b"") + line.recv(65536)).partition(b"\r\n\r\n")
                    length = re.search(rb"(?i)content-length: *(\d+)", head)
                    if not end or length is None or len(body) < int(length[1]):
                        partial[line] = head + end + body
                        continue
                    if head[9:10] != b"2":
                        sys.exit(f"{head.decode()}\n{body.decode()}")
                    answers.append(body)
                    if waiting:
                        line.sendall(waiting.pop())
        return answers

    def _request(self, path: str, body: dict[str, str]) -> bytes:
        said = json.dumps(body).encode()
        return f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(said)}\r\n\r\n".encode() + said


@contextmanager
def served(command: Sequence[str], port: int) -> Iterator[int]:
    """The pid of the process that answers."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        pin(process.pid, 0)
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(children[-1])
        finally:
            process.terminate()
            process.wait(30)


def memory(pid: int) -> float:
    """Resident megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def as_served(installation: Installation, redis_url: str, rounds: int, requests: int, threads: int) -> None:
    with ExitStack() as stack:
        pids, callers = {}, {}
        for name in BELOW:
            port = free_port()
            words = [str(Path(__file__).with_name("_rungs.py")), name, str(port), redis_url, str(threads)]
            pids[name], callers[name] = stack.enter_context(served(words, port)), Callers(port)
        words = ["-m", "otp_service.cli", "serve", "--config", str(installation.path), "--threads", str(threads)]
        ours = stack.enter_context(served(words, installation.port))
        api = Callers(installation.port, installation.key)
        wall: dict[str, list[float]] = {}

        def measured(name: str, pid: int, asked: Callers, calls: Sequence[Call]) -> tuple[float, list[bytes]]:
            before, began = cpu_clock(pid), time.perf_counter()
            answers = asked.ask(calls)
            wall.setdefault(name, []).append(len(calls) / (time.perf_counter() - began))
            return (cpu_clock(pid) - before) / len(calls), answers

        def one_round(count: int) -> dict[str, float]:
            found = {name: measured(name, pids[name], callers[name], [("/", {})] * count)[0] for name in BELOW}
            found["start"], answers = measured("start", ours, api, installation.starts(count))
            found["check"], _ = measured("check", ours, api, installation.checks(answers))
            return found

        one_round(300)
        show([one_round(requests) for _ in range(rounds)])
        print("requests/s: " + ", ".join(f"{name} {statistics.median(rates):.0f}" for name, rates in wall.items()))
        print(f"API process: {memory(ours):.1f} MB resident after {requests * rounds * 2} requests")


# --- what is kept -----------------------------------------------------------------------------------------------------


def kept_bytes(installation: Installation, starts: int) -> None:
    """By kind of key, and all in all: what Redis uses more after this many starts."""
    app = wiring.build_app(installation.config, wiring.build_verifier(installation.config))
    log_to_nobody()
    connection = installation.redis
    before = connection.info("memory")["used_memory"]
    ask_directly(app, installation.starts(starts), installation.key)
    after = connection.info("memory")["used_memory"]
    kinds: dict[str, list[int]] = {}
    for key in connection.scan_iter(count=1000):
        kind = ":".join(key.decode().split(":")[1:3]) if b"{" not in key else key.decode().split(":")[2]
        kinds.setdefault(kind, []).append(connection.memory_usage(key, samples=0))
    for kind, sizes in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        print(f"{kind:16} {len(sizes):7} keys {sum(sizes) / starts:8.1f} bytes a start")
    print(f"used_memory grew by {(after - before) / starts:.0f} bytes a start, over {starts} starts")


def show(rounds: Sequence[dict[str, float]]) -> None:
    print(f"{'':14} {'CPU µs':>7} {'lowest':>7} {'of bare':>8} {'of script':>9} {'of Flask':>9}")
    for name in rounds[0]:
        ratios = [statistics.median(one[name] / one[base] for one in rounds) for base in BELOW]
        values = [one[name] * 1e6 for one in rounds]
        columns = " ".join(f"{ratio:8.2f}" for ratio in ratios)
        print(f"{name:14} {statistics.median(values):7.1f} {min(values):7.1f} {columns}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000, help="a round and row")
    parser.add_argument("--threads", type=int, default=4, help="of granian")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--profile", choices=("start", "check"), default="")
    parser.add_argument("--bytes", action="store_true")
    parser.add_argument("--set", default="", help="more keys of [service], as `fast_path = false`")
    said = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-")))
        pin(0, 1)
        redis_url = stack.enter_context(valkey())
        installation = Installation(folder, redis_url, said.set)
        print(f"{said.rounds} rounds of {said.requests} requests, {load()}")
        if said.bytes:
            kept_bytes(installation, 10_000)
        elif said.in_process or said.profile:
            pin(0, 0)
            in_process(installation, redis_url, said.rounds, said.requests, said.profile)
        else:
            as_served(installation, redis_url, said.rounds, said.requests, said.threads)


if __name__ == "__main__":
    main()
