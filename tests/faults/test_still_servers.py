"""A Redis that stands still for seconds under an API that is called all the while: a process, as in production."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.cli.processes import PATIENCE, Running, environment, free_port, http, start, until, valkey
from tests.cli.processes import command as typed
from tests.faults.load import calling

pytestmark = pytest.mark.slow
STILL_SECONDS = 5.0
CALLERS = 16
UNLIMITED = {"OTP_LIMITS__CLIENT": "", "OTP_LIMITS__COUNTRY": "", "OTP_LIMITS__INSTALLATION": ""}


def sleeping(server: redis.Redis) -> None:
    """As a script or a command of somebody else that takes so long: it answers nobody, and accepts connections."""
    server.execute_command("DEBUG", "SLEEP", STILL_SECONDS)


def stopped(server: redis.Redis) -> None:
    pid = int(server.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STILL_SECONDS)
    os.kill(pid, signal.SIGCONT)


@dataclass
class Answer:
    status: int
    begun: float
    ended: float


@dataclass
class Api:
    url: str
    key: str
    running: Running
    answers: list[Answer] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def called(self) -> Iterator[None]:
        with calling(CALLERS, self._call, self._over):
            yield

    def _call(self) -> None:
        while not self._over.is_set():
            n, begun = next(self._numbers), time.monotonic()
            asked = {"to": f"138{n % 10000:04d}{n // 10000:04d}", "purpose": "login"}
            answer = http.post(
                f"{self.url}/v1/verifications", json=asked, headers={"Authorization": f"Bearer {self.key}"}
            )
            self.answers.append(Answer(answer.status_code, begun, time.monotonic()))
            if answer.status_code == 503:
                time.sleep(0.05)

    def until_more(self, starts: int) -> None:
        before = self.count(201)
        until(lambda: self.count(201) >= before + starts, "they are started")

    def count(self, status: int) -> int:
        return sum(one.status == status for one in list(self.answers))

    def threads(self) -> tuple[int, int]:
        """Our own and the server's; and those that its runtime begins and ends as they are needed."""
        tasks = [task for pid in self.running.relatives() for task in Path(f"/proc/{pid}/task").iterdir()]
        pooled = sum((task / "comm").read_text("utf-8").startswith("tokio") for task in tasks)
        return len(tasks) - pooled, pooled


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Api, redis.Redis]]:
    made = subprocess.run(
        typed("init", "--yes", "--json"), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    bind, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with valkey(tmp_path, "--enable-debug-command", "local") as url:
        environ = {"OTP_REDIS__URL": url, "OTP_SERVICE__BIND": bind, "OTP_SERVICE__ADMIN_BIND": admin, **UNLIMITED}
        arguments = ("serve", "--config", str(tmp_path / "otp.toml"))
        with start(*arguments, folder=tmp_path, environ=environ) as running:
            # What it logs is read all the while: a full pipe would cost lines.
            reader = threading.Thread(target=lambda: list(running.process.stderr or ()), daemon=True)
            reader.start()
            until(lambda: _is_ready(bind), "ready")
            yield (
                Api(f"http://{bind}", json.loads(made.stdout)["key"], running),
                redis.Redis.from_url(url, socket_timeout=PATIENCE),
            )
            running.process.send_signal(signal.SIGTERM)
            running.process.wait()
            reader.join()


def _is_ready(bind: str) -> bool:
    try:
        return http.get(f"http://{bind}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("stand", [sleeping, stopped])
def test_f12_a_redis_that_stands_still_for_seconds_costs_503_and_nothing_that_lasts(
    served: tuple[Api, redis.Redis], stand: Callable[[Any], None]
) -> None:
    """Nobody waits until it goes on; then all is served at once, and no thread and no connection is left behind."""
    api, server = served
    with api.called():
        api.until_more(200)
        (before, _), lines = api.threads(), server.info("clients")["connected_clients"]
        began = time.monotonic()
        stand(server)
        went_on = time.monotonic()
        api.until_more(200)
        after, pooled = api.threads()
    meanwhile = [one for one in api.answers if began <= one.begun < went_on]
    slowest = max(one.ended - one.begun for one in meanwhile)
    served_again = min(one.ended for one in api.answers if one.status == 201 and one.ended > went_on) - went_on
    left = server.info("clients")["connected_clients"]
    print(
        f"F12 {stand.__name__}: {len(api.answers)} answers, {api.count(503)} refused, slowest {slowest:.1f} s, "
        f"served again after {served_again:.2f} s, threads {before} and {after} beside {pooled} pooled, "
        f"connections {lines} and {left}"
    )
    assert {one.status for one in api.answers} == {201, 503}
    assert slowest < STILL_SECONDS
    assert after <= before
    # One for each caller and the runtime's own; where one request ends as the next begins, a few more.
    assert pooled <= 2 * CALLERS
    assert left <= lines + CALLERS
