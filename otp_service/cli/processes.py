"""Processes that never outlive their parent, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
"""prctl(2); Linux only."""

_WATCH_SECONDS = 0.5


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which made it, ends; where it can't, watch and do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have ended before the kernel knew what to do then.
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def leave_no_core() -> None:
    """A crash writes no memory to the disk: keys, codes and numbers are in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


@dataclass(slots=True)
class Child:
    """A forked process that leads a process group of its own: a Ctrl-C at the terminal reaches the parent alone."""

    name: str
    log: Path
    pid: int
    is_running: bool = True

    @classmethod
    def fork(cls, name: str, log: Path, run: Callable[[], object]) -> Child:
        """Run `run` in a child; what it prints goes to `log`. Call it before any thread starts."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(parent, log, run)
        with contextlib.suppress(OSError):  # the child does the same; whoever comes second may fail
            os.setpgid(pid, pid)
        return cls(name, log, pid)

    def ended(self) -> bool:
        """Whether it has ended; reaps it."""
        if self.is_running:
            pid, _ = os.waitpid(self.pid, os.WNOHANG)
            self.is_running = pid == 0
        return not self.is_running

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and its group at once."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.is_running = False

    def last_lines(self, count: int = 5) -> list[str]:
        return self.log.read_text("utf-8", errors="replace").splitlines()[-count:]


def stop(children: list[Child], seconds: float) -> None:
    """Ask all of them to end, and end those that have not after `seconds`."""
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while not all(child.ended() for child in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    for child in children:
        child.kill()


def _become(parent: int, log: Path, run: Callable[[], object]) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)
        die_with_parent(parent)
        _redirect(log)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        result = run()
        status = result if isinstance(result, int) else 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _redirect(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
