"""The whole service, as `demo` runs it: API, worker, simulator and Valkey, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import PATIENCE, free_port

_WIDE = '[limits]\nrecipient = ["10000/1h"]\nfailures = ["10000/1h"]\nclient_ip = ["10000/1h"]\n'


@dataclass(frozen=True)
class Service:
    api: httpx.Client
    inbox: httpx.Client
    key: str

    def code_for(self, mobile: str) -> str:
        """What the newest message to this number says, once it is there."""
        answer = self.inbox.get("/api/messages", params={"mobile": mobile, "wait": 30}, timeout=PATIENCE)
        return str(answer.json()["messages"][0]["code"])


@contextmanager
def running_demo(config: Path, *options: str) -> Iterator[Service]:
    command = [sys.executable, "-m", "otp_service.cli", "demo", "--config", str(config)]
    ports = ["--port", str(free_port()), "--inbox-port", str(free_port())]
    # The note of a running demo is a person's: this one leaves it alone.
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(config.parent)}
    with subprocess.Popen([*command, *ports, *options], stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        said = dict(process.stdout.readline().split() for _ in range(4))
        headers = {"Authorization": f"Bearer {said['key']}"}
        with (
            httpx.Client(base_url=said["api"], headers=headers, trust_env=False, timeout=PATIENCE) as api,
            httpx.Client(base_url=said["inbox"], trust_env=False) as inbox,
        ):
            yield Service(api, inbox, said["key"])
        process.terminate()


@pytest.fixture(scope="session")
def service_by_flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same, without the fast path."""
    config = tmp_path_factory.mktemp("by-flask") / "otp.toml"
    config.write_text(f"[service]\nfast_path = false\n{_WIDE}")
    with running_demo(config) as service:
        yield service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Limits are wide, so that many tests can share it."""
    config = tmp_path_factory.mktemp("service") / "otp.toml"
    config.write_text(_WIDE)
    with running_demo(config) as service:
        yield service
