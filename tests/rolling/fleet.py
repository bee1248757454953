"""A fleet of processes that is rolled, and callers who must not notice."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from otp_service.api_keys import new_key
from tests.cli.processes import PATIENCE, environment, free_port, http, until
from tests.faults.installation import Installation
from tests.rolling.balancer import Place

STEP = 10_001
"""Between two numbers: each has a prefix of its own, so that no limit of prefixes is met."""
_APPENDED = """
[[clients]]
name = "shop"
key_hashes = ["{key}"]
"""


@dataclass
class Process:
    popen: subprocess.Popen[bytes]
    place: Place

    def is_ready(self) -> bool:
        assert self.popen.poll() is None, "it has ended: its log says why"
        try:
            return http.get(f"http://127.0.0.1:{self.place.admin_port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def reloads(self) -> float:
        """How many configurations it has taken over."""
        said = http.get(f"http://127.0.0.1:{self.place.admin_port}/metrics").text
        return sum(map(float, re.findall(r'^otp_config_reloads_total\{result="applied"\} (.+)$', said, re.MULTILINE)))


@dataclass
class Fleet:
    """Two processes of each role, unless a test says otherwise."""

    there: Installation
    key: str
    apis: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    drains: dict[str, list[float]] = field(default_factory=lambda: {"serve": [], "worker": []})
    """Seconds from each SIGTERM to the end of the process."""

    def begin(self, role: str) -> Process:
        place = Place(free_port(), free_port())
        environ = environment(
            OTP_SERVICE__BIND=f"127.0.0.1:{place.port}",
            OTP_SERVICE__ADMIN_BIND=f"127.0.0.1:{place.admin_port}",
        )
        command = [sys.executable, "-m", "otp_service.cli", role, "--config", str(self.there.config)]
        with (self.there.folder / f"{role}-{place.port}.log").open("wb") as said:
            process = Process(subprocess.Popen(command, env=environ, stdout=said, stderr=said), place)
        self._of(role).append(process)
        return process

    def ready(self, role: str) -> Process:
        process = self.begin(role)
        until(process.is_ready, f"{role} is ready")
        return process

    def end(self, role: str, process: Process) -> None:
        """SIGTERM, and wait until it is gone."""
        began = time.monotonic()
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(PATIENCE) == 0
        self.drains[role].append(time.monotonic() - began)
        self._of(role).remove(process)

    def _of(self, role: str) -> list[Process]:
        return self.apis if role == "serve" else self.workers

    def reload(self, process: Process) -> None:
        """SIGHUP, and wait until what the file says is in use."""
        before = process.reloads()
        process.popen.send_signal(signal.SIGHUP)
        until(lambda: process.reloads() > before, "it is in use")

    def close(self) -> None:
        for process in [*self.apis, *self.workers]:
            process.popen.kill()
            process.popen.wait()


def with_client(config: Path) -> str:
    """Add one to what an installation has; its key."""
    key = new_key()
    with config.open("a", encoding="utf-8") as file:
        file.write(_APPENDED.format(key=key.hash))
    return key.text


@contextlib.contextmanager
def fleet(there: Installation) -> Iterator[Fleet]:
    """Two API processes and two workers, ready."""
    made = Fleet(there, with_client(there.config))
    try:
        started = [made.begin(role) for role in ("serve", "serve", "worker", "worker")]
        for process in started:
            until(process.is_ready, "all are ready")
        yield made
    finally:
        made.close()


@dataclass
class Callers:
    """Each starts a verification, waits for its SMS, types a wrong code and the right one, and asks how it stands.

    They repeat nothing: what goes wrong once has gone wrong. `pauses`: seconds that at the most lie between two
    calls of one, for the first, the second caller, and so on from the beginning.
    """

    there: Installation
    port: int
    key: str
    callers: int = 6
    pauses: tuple[float, ...] = (0.05,)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that no caller should ever see."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(step=STEP))
    _codes: dict[str, str] = field(default_factory=dict)
    _under_way: dict[int, int] = field(default_factory=dict)
    """What each caller's number was drawn as: they only grow."""
    lives: int = 0
    """Of verifications, from start to end."""
    _over: threading.Event = field(default_factory=threading.Event)
    _all_gone: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[Callers]:
        pauses = [self.pauses[n % len(self.pauses)] for n in range(self.callers)]
        threads = [threading.Thread(target=self._call, args=(pause,), name="caller") for pause in pauses]
        phones = threading.Thread(target=self._read_messages, name="phones")
        for thread in (phones, *threads):
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            self._all_gone.set()
            phones.join()

    @property
    def checks(self) -> int:
        return self.answers["check 200"] + self.answers["check 422"]

    def until_more(self, checks: int) -> None:
        before = self.checks
        until(lambda: self.checks >= before + checks, "they are checked")

    def until_all_began_anew(self) -> None:
        """Return once nothing is under way that had begun before."""
        before = next(self._numbers)
        until(lambda: self._under_way and min(self._under_way.values()) > before, "all that was under way has ended")

    def _read_messages(self) -> None:
        """As they come: the log is read on from where it ended."""
        begun = b""
        with (self.there.folder / "gateways.log").open("rb") as log:
            while not self._all_gone.wait(0.02):
                *whole, begun = (begun + log.read()).split(b"\n")
                lines = [json.loads(line) for line in whole]
                self._codes.update((line["mobile"], line["code"]) for line in lines if line["event"] == "accepted")

    def _call(self, pause: float) -> None:
        limits = httpx.Limits(keepalive_expiry=None)
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.port}"
        with httpx.Client(
            base_url=url, headers=headers, verify=False, trust_env=False, timeout=PATIENCE, limits=limits
        ) as client:
            while not self._over.is_set():
                self._under_way[threading.get_ident()] = number = next(self._numbers)
                self._live(client, number % 10_000_000, pause)
        del self._under_way[threading.get_ident()]

    def _live(self, client: httpx.Client, number: int, pause: float) -> None:
        mobile = f"1380{number:07d}"
        asked = time.monotonic()
        started = self._ask(client, "start", "/v1/verifications", {201}, {"to": mobile, "purpose": "login"})
        if not started:
            return
        id = started["id"]
        self.there.ids[id] = mobile
        self.there.note("start", id=id, send=1, mobile=mobile, dies=asked + 300)
        if not (code := self._code(mobile)):
            return
        token = ""
        for typed in (f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}", code):
            self._rest(pause)
            said = self._ask(client, "check", f"/v1/verifications/{id}/check", {200, 422}, {"code": typed})
            token = said.get("token", "")
            answer = "error" if not said else "approved" if token else "mismatch"
            self.there.note("check", id=id, key="", answer=answer, token=token, replayed=False)
        self._rest(pause)
        self._ask(client, "token", "/v1/tokens/verify", {200}, {"token": token, "purpose": "login", "to": mobile})
        if seen := self._ask(client, "get", f"/v1/verifications/{id}", {200}):
            facts = {name: seen[name] for name in ("sends", "delivery", "status")}
            self.there.note("state", id=id, **facts)
            if seen["status"] != "approved":
                self.wrong.append(f"{id} is {seen['status']}")
        self.lives += 1

    def _rest(self, pause: float) -> None:
        self._over.wait(random.uniform(0, pause))

    def _code(self, mobile: str) -> str:
        ends = time.monotonic() + PATIENCE
        while not (code := self._codes.get(mobile, "")) and time.monotonic() < ends:
            time.sleep(0.01)
        if not code:
            self.wrong.append(f"no message for {mobile}")
        return code

    def _ask(
        self, client: httpx.Client, what: str, path: str, good: set[int], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer, or nothing where it is none that should be."""
        try:
            answer = client.post(path, json=body) if body else client.get(path)
        except httpx.HTTPError as error:
            self.wrong.append(f"{what}: {error!r}")
            return {}
        self.answers[f"{what} {answer.status_code}"] += 1
        if answer.status_code not in good:
            self.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
            return {}
        said: dict[str, Any] = answer.json()
        return said
