"""Several processes that live and die together, and the one that looks after them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from otp_service.cli.processes import Child, stop

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_WATCHED = {*_ENDING, signal.SIGCHLD}
_LOOK_SECONDS = 0.02


class Asked(Exception):
    """A signal asks us to end."""


class ChildEnded(Exception):
    """One of the family ended by itself."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.name)
        self.child = child


class Family:
    """Signals are blocked inside, and looked at in `look` and `watch`: none is lost, and none comes in between.

    Leaving ends every child: first those that work, then the ones that they rest on.
    """

    def __init__(self, logs: Path, stop_seconds: float) -> None:
        self._logs = logs
        self._stop_seconds = stop_seconds
        self._layers: list[list[Child]] = []

    def __enter__(self) -> Self:
        # Some systems drop a blocked SIGCHLD that has no handler.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for layer in reversed(self._layers):
            stop(layer, self._stop_seconds)

    def start(self, **runs: Callable[[], object]) -> None:
        """Fork one child for each; a later call's children rest on an earlier one's."""
        self._layers.append([Child.fork(name, self._logs / f"{name}.log", run) for name, run in runs.items()])

    def look(self) -> None:
        """Raises Asked or ChildEnded when there is reason to."""
        if pending := signal.sigpending() & _WATCHED:
            self._judge(signal.sigwait(pending))

    def watch(self) -> None:
        """Return never; raise Asked or ChildEnded."""
        while True:
            self._judge(signal.sigwait(_WATCHED))

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> bool:
        """False when it was not ready in time. Raises as `look` does."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.look()
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _judge(self, number: int) -> None:
        if number in _ENDING:
            raise Asked
        for child in (child for layer in self._layers for child in layer):
            if child.ended():
                raise ChildEnded(child)
