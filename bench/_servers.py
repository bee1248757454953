"""Who is measured beside us, as processes: rungs on granian, fastify, a service in Go. Each has core 0 alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from _ground import core, free_port
from _peer import Call, Peer

HERE = Path(__file__).parent
THREADS = 4
"""Of granian, for ours and for the rungs below: few, for more only wait for the same interpreter."""
SECRET = "bench-secret"
FORM = "application/x-www-form-urlencoded"


class Missing(Exception):
    """Why somebody can't be measured here."""


@contextmanager
def started(
    command: Sequence[str], port: int, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[int]:
    """Its pid, when it answers. It has its core from its first moment on: Go counts cores as it begins.

    Raises Missing where it doesn't come up.
    """

    def take_core() -> None:
        if (chosen := core(0)) is not None:
            os.sched_setaffinity(0, {chosen})

    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": take_core, "cwd": folder}
    with subprocess.Popen(command, env={**os.environ, **(environ or {})}, **options) as process:  # type: ignore[call-overload]
        try:
            _wait_for(process, port)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(3000):
        with socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise Missing(f"{Path(str(process.args[0])).name} did not answer on its port")  # type: ignore[index]


@contextmanager
def ours(config: Path, port: int, threads: int = THREADS) -> Iterator[int]:
    words = [sys.executable, "-m", "otp_service.cli", "serve", "--config", str(config), "--threads", str(threads)]
    with started(words, port) as pid:
        yield pid


@contextmanager
def rung(name: str, redis_url: str) -> Iterator[tuple[int, int]]:
    """Pid and port of one of `_rungs.BELOW`."""
    port = free_port()
    words = [sys.executable, str(HERE / "_rungs.py"), name, str(port), redis_url, str(THREADS)]
    with started(words, port) as pid:
        yield pid, port


@contextmanager
def fastify(redis_url: str) -> Iterator[Peer]:
    """Raises Missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("node and npm are not installed")
    folder = cache() / "fastify"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(HERE / "fastify" / name, folder)
    _made([npm, "ci", "--no-audit", "--no-fund"], folder)
    port = free_port()
    environ = {"PORT": str(port), "REDIS_URL": redis_url, "NODE_ENV": "production"}
    with started([node, "server.js"], port, environ, folder) as pid:
        start = Call("/start", body='{"to": "{number}"}', expect='"pending"', id="id", code="code")
        check = Call("/check", body='{"id": "{id}", "code": "{code}"}', expect='"approved"')
        yield Peer("fastify + ioredis", port, start, check, pids=[pid])


@contextmanager
def go_service(redis_url: str, gateway: int) -> Iterator[Peer]:
    """Raises Missing."""
    go = shutil.which("go")
    if not go:
        raise Missing("go is not installed")
    cache().mkdir(parents=True, exist_ok=True)
    program = cache() / "go-service"
    _made([go, "build", "-o", str(program), "."], HERE / "go")
    port = free_port()
    environ = {
        "PORT": str(port),
        "REDIS_URL": redis_url,
        "GATEWAY_URL": f"http://127.0.0.1:{gateway}/sms",
        "SECRET": SECRET,
    }
    with started([str(program)], port, environ) as pid:
        send = Call("/api/otp/{id}", "PUT", FORM, "provider=bench&to={number}&otp={code}", '"success"')
        check = Call("/api/otp/{id}", "POST", FORM, "action=check&otp={code}", '"closed":true')
        yield Peer("Go stand-in", port, send, check, headers={"Authorization": basic("shop", SECRET)}, pids=[pid])


def basic(name: str, secret: str) -> str:
    from base64 import b64encode

    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


def cache() -> Path:
    """Where programs of others are built: outside of the tree."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otp-service-bench"


def _made(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise Missing(f"`{Path(command[0]).name} {command[1]}` failed: {last}")
