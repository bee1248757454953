"""A configuration that is read again while the process runs: at SIGHUP, and where wanted when its files change."""

from __future__ import annotations

import datetime
import gc
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from otp_service import config, wiring
from otp_service.cli.shared_flag import SharedFlag
from otp_service.config import Config
from otp_service.errors import ConfigError
from otp_service.metrics import CONFIG_RELOADS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOK_SECONDS = 0.5
"""How often a process looks whether it was asked, or whether a file has changed."""
FORGET_SECONDS = 15.0
"""After so long no request is left that met the old configuration: the longest waits five seconds for a try."""

_Stamp = tuple[int, int, int] | None
_LOG = structlog.get_logger("otp_service.cli")


class Source:
    """Where a process has its configuration from, and whether that has changed since it was read."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._read: dict[Path, _Stamp] = {}
        self._last: dict[Path, _Stamp] = {}

    def load(self) -> Config:
        """Raises ConfigError."""
        self._read = {}
        # What is changed while it is being read has another stamp afterwards.
        try:
            return config.load(self._path, self._environ, lambda file: self._read.setdefault(file, _stamp(file)))
        finally:
            config.forget_checks()

    def has_changed(self) -> bool:
        """True from the second look on that finds the same change: who writes in place may be half-way at the first."""
        before, self._last = self._last, {file: _stamp(file) for file in self._read}
        return self._last != self._read and self._last == before


def _stamp(file: Path) -> _Stamp:
    """Follows links: an orchestrator changes a mounted folder by pointing one elsewhere."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Asked:
    """A wish that a process and the one that it forked share: whoever hears of it takes it back."""

    def __init__(self) -> None:
        self._flag = SharedFlag()

    def ask(self) -> None:
        self._flag.hoist()

    def __call__(self) -> bool:
        if not self._flag:
            return False
        # A wish that comes before this line is granted with the one that was seen: what it means is read afterwards.
        self._flag.lower()
        return True


@dataclass(slots=True)
class Reloader:
    """`running` is what the process goes by; `asked` tells once that a signal wants it read anew."""

    source: Source
    running: Config
    asked: Callable[[], bool]

    def is_due(self) -> bool:
        has_changed = self.source.has_changed()
        return self.asked() or (has_changed and self.running.service.watch_files)

    def renew(self, put: Callable[[Config], None]) -> bool:
        """Read anew, and give it to `put`, which builds what goes by it and puts that in place.

        False where it is faulty, or can't be changed to while running: then everything stays as it is, and the log
        says why.
        """
        try:
            wanted = self.source.load()
            if kept := list(config.needs_restart(self.running, wanted)):
                raise ConfigError("\n".join(kept))
            wiring.check_start(wanted, os.environ)
            put(wanted)
        except ConfigError as error:
            return self._refuse(str(error).splitlines())
        except Exception as error:
            _LOG.exception("a new configuration could not be worked with")
            return self._refuse([f"{type(error).__name__} while it was put in place"])
        self.running = wanted
        for warning in wanted.warnings(datetime.datetime.now(datetime.UTC).date()):
            _LOG.warning("in the new configuration", warning=warning)
        _LOG.info("the new configuration is in use", mark=wanted.mark())
        CONFIG_RELOADS.labels("applied").inc()
        return True

    def _refuse(self, faults: Iterable[str]) -> bool:
        for fault in faults:
            _LOG.error("the new configuration is refused, the old one stays", fault=fault)
        CONFIG_RELOADS.labels("refused").inc()
        return False


class Site:
    """A WSGI application that can be replaced: a request ends with the one that it met."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def put(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)


class Remains:
    """What was replaced is tied up in circles, and until they are collected its connections to Redis stay open.

    Moments are monotonic seconds. One replacement after another must not put the collection off for ever.
    """

    def __init__(self) -> None:
        self._latest = -FORGET_SECONDS
        self._collect_at = float("inf")

    def grow(self, now: float) -> None:
        """Something was replaced."""
        self._latest = now
        self._collect_at = min(self._collect_at, now + FORGET_SECONDS)

    def are_due(self, now: float) -> bool:
        """Whether to collect now; says so once."""
        if now < self._collect_at:
            return False
        # What was replaced since may still have had requests that met it.
        again = self._latest + FORGET_SECONDS
        self._collect_at = again if again > now else float("inf")
        return True


def keep_up(reloader: Reloader, put: Callable[[Config], None], draining: Callable[[], bool]) -> None:
    """Look, and `renew`, until the process drains."""
    remains = Remains()
    while not draining():
        time.sleep(LOOK_SECONDS)
        if reloader.is_due():
            reloader.renew(put)
            remains.grow(time.monotonic())
        if remains.are_due(time.monotonic()):
            gc.collect()
