"""The API as a process: granian in front, one worker process with a few threads, a stop that drains."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from otp_service.cli.processes import die_with_parent
from otp_service.cli.shared_flag import SharedFlag
from otp_service.config.fields import Address
from otp_service.config.sections import DRAIN_SECONDS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

GRACE_SECONDS = 3.0
"""How long a stopping process still serves while `/readyz` says draining, so that a balancer can look away first."""

IDLE_SECONDS = 75
"""How long a connection may stay idle, or its next request be on its way. Balancers keep theirs for 60 s (nginx, AWS):
whoever closes before they do closes some just as a request comes, and nobody repeats a POST.
"""


class Draining:
    """Begun by the main process at its signal, seen by the one that serves."""

    def __init__(self) -> None:
        self._flag = SharedFlag()

    def begin(self) -> None:
        self._flag.hoist()

    def __call__(self) -> bool:
        return bool(self._flag)


@dataclass(frozen=True, slots=True)
class ApiServer:
    """`load` is called once, in the process that serves, and gives the application."""

    address: Address
    load: Callable[[], WSGIApplication]
    draining: Draining
    threads: int
    grace: float = GRACE_SECONDS
    reload: Callable[[], None] | None = None
    """What SIGHUP does; None to leave it to granian, which loads anew in a process of its own."""

    def run(self) -> int:
        """Serve until SIGTERM (which drains first) or SIGINT; returns the exit status. Ends within DRAIN_SECONDS."""
        server = Granian(
            "otp_service",
            address=self.address.host,
            port=self.address.port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000),
            websockets=False,
            blocking_threads=self.threads,
            # What it says goes to the root, where `hear_everything` writes it in our way.
            log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
            log_level=LogLevels.error,  # it warns of more threads than cores; most of ours only wait
            workers_kill_timeout=int(DRAIN_SECONDS - GRACE_SECONDS - 1),
        )
        server.on_startup(self._hear_signals)
        parent = os.getpid()

        def load(*_: Any) -> WSGIApplication:
            # A group of its own: Ctrl-C at a terminal then reaches the main process alone, which stops this one.
            os.setpgid(0, 0)
            die_with_parent(parent)
            return self.load()

        try:
            server.serve(target_loader=load, wrap_loader=False)
        except SystemExit as ended:
            # Where a supervisor signals both processes, granian takes the other's orderly end for a crash.
            return 0 if self.draining() else int(ended.code or 0)
        return 0

    def _hear_signals(self) -> None:
        """After granian has put its own handlers in place, and before it makes the process that serves."""
        self._drain_before(signal.SIGTERM)
        if reload := self.reload:
            signal.signal(signal.SIGHUP, lambda *_: reload())

    def _drain_before(self, number: signal.Signals) -> None:
        """Put the draining in front of what granian does at the signal."""
        stop: Any = signal.getsignal(number)

        def drain(signum: int, frame: FrameType | None) -> None:
            if self.draining() or not self.grace:
                self.draining.begin()
                stop(signum, frame)
                return
            self.draining.begin()
            timer = threading.Timer(self.grace, stop, (signum, frame))
            timer.daemon = True
            timer.start()

        signal.signal(number, drain)
