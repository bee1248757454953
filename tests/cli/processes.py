"""Commands as a person starts them, and the means to see what they leave behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from otp_service.cli import embedded_valkey
from otp_service.cli.addresses import is_free
from otp_service.config.fields import Address

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds until a test gives up; none waits for time to pass. A process may take so long to start on a busy machine."""
# A client that knows no TLS: to load the certificates of all authorities takes 20 ms of a core, each time.
http = httpx.Client(trust_env=False, verify=False, timeout=PATIENCE, limits=httpx.Limits(max_keepalive_connections=0))


def until(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port for a server of ours: as long as this process lives, nobody else is given it.

    It stays bound: the kernel then hands it to no other. It does not listen, and has SO_REUSEADDR: on Linux a server
    with the same option can still have it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        held.detach()
    return port


@dataclass
class Running:
    process: subprocess.Popen[str]
    mark: str
    lines: dict[str, str]
    """What it printed when it was ready: first word → rest."""

    def relatives(self) -> list[int]:
        """It and its descendants, however they were made; the dead that nobody has reaped don't count."""
        parents: dict[int, int] = {}
        found = {self.process.pid} if self.process.poll() is None else set()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                # A server that writes its title over its environment has its folder in the title.
                is_ours = self.mark.encode() in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(folder.name)] = int(parent)
                if is_ours:
                    found.add(int(folder.name))
        # One that has no folder in its title (granian, where setproctitle is installed) is known by its parent.
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Exit status and stderr."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "otp_service.cli", *arguments]


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTP_")}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def start(
    *arguments: str, folder: Path, ready_after: int = 0, environ: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start a command, read `ready_after` lines of it, and leave nothing of it behind. `folder` is this test's own."""
    mark = str(folder)
    process = subprocess.Popen(
        command(*arguments),
        env=environment(OTP_MARK=mark, TMPDIR=mark, XDG_RUNTIME_DIR=mark, **(environ or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Running(process, mark, {})
    try:
        assert process.stdout is not None
        for _ in range(ready_after):
            word, _, rest = process.stdout.readline().strip().partition(" ")
            running.lines[word] = rest
        yield running
    finally:
        for pid in running.relatives():
            with suppress(ProcessLookupError):  # it may have followed its parent in the meantime
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


def server_program() -> str:
    """The embedded Valkey's, or that of another server: OTP_TEST_SERVER=/usr/bin/redis-server, say."""
    return os.environ.get("OTP_TEST_SERVER") or str(embedded_valkey.binary())


@contextmanager
def valkey(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """A real server of our own; its URL."""
    address = Address("127.0.0.1", port or free_port())
    arguments = [server_program(), "--port", str(address.port), "--bind", address.host]
    with subprocess.Popen(
        [*arguments, "--dir", str(folder), "--save", "", *options], stdout=subprocess.DEVNULL
    ) as server:
        try:
            until(lambda: not is_free(address), "the server listens")
            yield f"redis://{address}/0"
        finally:
            server.kill()
