"""What each lever of the hot path gives: the same service without it, in rounds that alternate, as medians of ratios.

`python bench/levers.py` calls the WSGI applications directly, each without one lever: how many times as much CPU time a
start and a check then take. `--served` asks granian with 1 to 64 threads: CPU time a request, and requests a second.

A lever is taken away here, from outside: the product has no switch for what nobody should switch.
"""

from __future__ import annotations

import argparse
import hmac
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import structlog
from _ground import load, pin, valkey
from _installation import Installation
from _load import caller
from _rungs import Application
from _servers import ours
from _subjects import Ours, pid_of
from hot_path import ask_directly, log_to_nobody

from otp_service import wiring

THREADS = (1, 2, 4, 8, 16, 64)
CONNECTIONS = 4
"""Few, so that a server of few threads refuses none."""
Patches = Sequence[tuple[str, Any]]
"""What stands in whose place while an application is built and asked."""


def _structlog_line(*said: Any) -> None:
    names = ("request_id", "method", "route", "status", "ms", "client", "problem")
    structlog.get_logger("otp_service.web").info("request", **dict(zip(names, said, strict=True)))


def _mac(key: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(key, message, "sha256")


def _to_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _patches() -> dict[str, Patches]:
    from otp_service import metrics

    return {
        "as it is": (),
        "dispatch by Flask": (),
        "redis-py instead of Lane": (("otp_service.store.redis_store.Line", _without_lane),),
        "numbers the long way": (("otp_service.recipient.plain_mobile", lambda *_: None),),
        "request line by structlog": (("otp_service.web.trace.request_line", _structlog_line),),
        "counters found by labels": (
            ("otp_service.metrics._requests", metrics.REQUESTS.labels),
            ("otp_service.metrics._checks", metrics.CHECKS.labels),
        ),
        "each MAC sets up its key": (("otp_service.keyring.mac", _mac), ("otp_service.tokens.mac", _mac)),
        "answers by json": (
            ("otp_service.web.exchange.to_json", _to_json),
            ("otp_service.web.problems.to_json", _to_json),
        ),
    }


def _without_lane(client: Any, scripts: Any, lane: Any, replica_within: int) -> Any:
    from otp_service.store.line import Line

    return Line(client, scripts, None, replica_within)


@contextmanager
def without(patches: Patches) -> Iterator[None]:
    with ExitStack() as stack:
        for target, instead in patches:
            stack.enter_context(mock.patch(target, instead))
        yield


def in_process(folder: Path, redis_url: str, rounds: int, requests: int) -> None:
    log_to_nobody()
    installations = {True: Installation(folder, redis_url), False: Installation(folder, redis_url, "fast_path = false")}
    found: dict[str, list[tuple[float, float]]] = {}
    applications: dict[str, tuple[Application, Installation]] = {}
    for name, patches in _patches().items():
        installation = installations[name != "dispatch by Flask"]
        with without(patches):
            built = wiring.build_app(installation.config, wiring.build_verifier(installation.config))
        applications[name] = built, installation
    for nth in range(rounds + 1):
        for name, patches in _patches().items():
            application, installation = applications[name]
            with without(patches):
                start, answers = ask_directly(application, installation.starts(requests), installation.key)
                check, _ = ask_directly(application, installation.checks(answers), installation.key)
            if nth:  # the first warms up
                found.setdefault(name, []).append((start, check))
    print(f"{'':28} {'start':>7} {'check':>7}   times the CPU of what is; {'start':>7} {'check':>7} of the lowest")
    base = found["as it is"]
    for name, times in found.items():
        ratios = [statistics.median(one[k] / at[k] for one, at in zip(times, base, strict=True)) for k in (0, 1)]
        ratios += [min(one[k] for one in times) / min(at[k] for at in base) for k in (0, 1)]
        print(f"{name:28} {ratios[0]:7.2f} {ratios[1]:7.2f} {'':26} {ratios[2]:7.2f} {ratios[3]:7.2f}")


def as_served(folder: Path, redis_url: str, rounds: int, requests: int) -> None:
    with ExitStack() as stack:
        asking = stack.enter_context(caller(lambda pid: pin(pid, 1)))
        asked = {threads: _served(stack, Installation(folder, redis_url), threads, redis_url) for threads in THREADS}
        found: dict[int, list[tuple[float, ...]]] = {threads: [] for threads in THREADS}
        for nth in range(rounds + 1):
            for threads, one in asked.items():
                figures = one.ask(asking, requests, CONNECTIONS).values()
                if nth:
                    found[threads].append(tuple(part for row in figures for part in (row.cpu * 1e6, row.rate)))
    print(f"{'threads':>8} {'start µs':>9} {'start/s':>8} {'check µs':>9} {'check/s':>8}")
    for threads, rows in found.items():
        columns = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{threads:8} {columns[0]:9.0f} {columns[1]:8.0f} {columns[2]:9.0f} {columns[3]:8.0f}")


def _served(stack: ExitStack, installation: Installation, threads: int, redis_url: str) -> Ours:
    pid = stack.enter_context(ours(installation.path, installation.port, threads))
    return Ours(installation, pid, pid_of(redis_url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=500, help="a round and row")
    parser.add_argument("--served", action="store_true", help="by granian, with 1 to 64 threads")
    said = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-")))
        pin(0, 1)
        redis_url = stack.enter_context(valkey())
        print(f"{said.rounds} rounds of {said.requests} requests, {load()}")
        if said.served:
            as_served(folder, redis_url, said.rounds, said.requests)
        else:
            pin(0, 0)
            in_process(folder, redis_url, said.rounds, said.requests)


if __name__ == "__main__":
    main()
