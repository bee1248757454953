"""What start and check cost in one process, beside what no Python service could go below: `comparison.py` serves them.

Calls the WSGI applications directly, in rounds that alternate, so that what is left is only ours; medians of the CPU
time a request. `--profile start` (or `check`) shows where it goes, `--bytes` what one start keeps in Redis. The rungs
below ours are those of `_rungs.py`. Lines are logged and limits stand as by default.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _ground import load, pin, valkey
from _installation import Call, Installation
from _rungs import BELOW, Application, application

from otp_service import wiring

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
        else:
            pin(0, 0)
            in_process(installation, redis_url, said.rounds, said.requests, said.profile)


if __name__ == "__main__":
    main()
