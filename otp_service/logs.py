"""Logs: JSON lines on stderr, and a last net below everything that should hold no number or key anyway.

What goes wrong is told by its type and its place. An exception's own words are never written: they may quote what a
person typed, what a gateway said, or a key of ours.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?[0-9]{6,}")
_API_KEY = re.compile(r"otp_[0-9a-z]{8,}")
_OURS = frozenset({"timestamp", "request_id", "id", "gateway_id"})
"""Fields whose digits are known to be none of a person's: a gateway's id that spells the number comes here starred."""
_UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What JSON leaves as it is and a terminal or a viewer obeys: a line's end, a control sequence, another direction."""
_MOST = 200
"""Characters of a line that a library wrote."""

MOST_LINES = 10_000
"""That wait while nobody takes them."""
TOGETHER_SECONDS = 0.005
LINES_AT_ONCE = 100
CLOSE_SECONDS = 1.0

_LOG = structlog.get_logger("otp_service.logs")
_REQUESTS = structlog.get_logger("otp_service.web")


def configure_logs(level: int = logging.INFO) -> None:
    """Send our log lines to stderr from `level` on."""
    _Stderr.level = level
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            by_place,
            redact,
            one_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_STDERR),
    )


def hear_everything() -> None:
    """Write what libraries log, and what nobody catches, as our own lines: for a process that is nothing but ours."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Others) for handler in root.handlers):
        root.addHandler(_Others())
    sys.excepthook = _uncaught
    threading.excepthook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)
    sys.unraisablehook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


def write_beside(tell_lost: Callable[[int], None]) -> None:
    """From now on a thread writes the lines, and nobody who logs waits for it: for a process that serves.

    Call it once in such a process, after its last fork, and `write_rest` where it ends without atexit. Lines that
    stderr does not take in time are lost, and counted by `tell_lost`.
    """
    _Stderr.writer = writer = Writer(tell_lost)
    threading.Thread(target=writer.run, name="log", daemon=True).start()
    atexit.register(write_rest)


def write_rest() -> None:
    """Write what waits, unless nobody takes it; later lines are written by whoever logs."""
    if writer := _Stderr.writer:
        _Stderr.writer = None
        writer.close()


# --- what becomes of a line -------------------------------------------------------------------------------------------


def by_place(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an exception's type and frames in the place of the exception."""
    raised = event.pop("exc_info", None)
    error = (
        raised if isinstance(raised, BaseException) else (raised if isinstance(raised, tuple) else sys.exc_info())[1]
    )
    if raised and error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__qualname__
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what looks like a phone number, a code or an API key."""
    for key, value in event.items():
        if isinstance(value, str) and value not in _CLEAN and key not in _OURS:
            masked = _API_KEY.sub("otp_…", _NUMBER.sub("…", value))
            event[key] = masked
            if masked == value and len(value) <= _SHORT and len(_CLEAN) < _MOST_CLEAN:
                _CLEAN.add(value)
    return event


_CLEAN: set[str] = set()
"""Words that stand in line after line (a route, a client), and hold nothing to mask."""
_MOST_CLEAN = 1000
_SHORT = 64


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=repr)


def one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """As JSON, whatever it holds."""
    line = _ENCODER.encode(event)
    return line if line.isprintable() else _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def request_line(request_id: str, method: str, route: str, status: int, ms: float, client: str, problem: str) -> None:
    """What structlog writes of a request as `info`, at a fifth of the cost: each request has this line.

    `request_id` and `ms` go out as they are, whoever gives them has looked at them.
    """
    if structlog.get_config()["processors"][-1:] != [one_line] or _Stderr.level > logging.INFO:
        _REQUESTS.info("request", **_said(request_id, method, route, status, ms, client, problem))
        return
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    before, after = _around(method, route, status, client, problem)
    _STDERR.write(f'{{"request_id": "{request_id}{before}{ms}{after}{_to_the_second(seconds)}.{micros:06d}Z"}}\n')


def quiet_request_line(
    request_id: str, method: str, route: str, status: int, ms: float, client: str, problem: str
) -> None:
    """The same as `debug`."""
    _REQUESTS.debug("request", **_said(request_id, method, route, status, ms, client, problem))


def _said(
    request_id: str, method: str, route: str, status: int, ms: float, client: str, problem: str
) -> dict[str, str | int | float]:
    return {
        "request_id": request_id,
        "method": method,
        "route": route,
        "status": status,
        "ms": ms,
        "client": client,
        "problem": problem,
    }


@lru_cache(maxsize=1000)
def _around(method: str, route: str, status: int, client: str, problem: str) -> tuple[str, str]:
    """What stands before and after `ms`."""
    before = f'", "method": {_word(method)}, "route": {_word(route)}, "status": {status}, "ms": '
    after = f', "client": {_word(client)}, "problem": {_word(problem)}, "event": "request", "level": "info"'
    return before, f'{after}, "timestamp": "'


def _word(value: str) -> str:
    """As a line holds it: routes, clients and problems are few."""
    return one_line(None, "", redact(None, "", {"": value}))[len('{"": ') : -1]


@lru_cache(maxsize=8)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class _Stderr:
    """A full disk or a collector that went away costs lines, and no request its answer."""

    writer: Writer | None = None
    level: int = logging.INFO

    def write(self, text: str) -> None:
        if self.writer:
            self.writer.put(text)
        else:
            _write(text)

    def flush(self) -> None:
        """Each line is flushed as it is written."""


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
        sys.stderr.write(text)
        sys.stderr.flush()


class Writer:
    """Lines in their order, a few milliseconds' worth in one write. A deque's ends need no lock."""

    def __init__(self, tell_lost: Callable[[int], None], write: Callable[[str], None] = _write) -> None:
        self._tell_lost = tell_lost
        self._write = write
        self._lines: deque[str] = deque()
        self._some = threading.Event()
        self._closing = False
        self._done = threading.Event()

    def put(self, line: str) -> None:
        if len(self._lines) >= MOST_LINES:
            self._tell_lost(1)
            return
        self._lines.append(line)
        if not self._some.is_set():
            self._some.set()

    def run(self) -> None:
        while not self._closing:
            self._some.wait()
            if not self._closing:
                time.sleep(TOGETHER_SECONDS)
            self._some.clear()
            while self._lines:
                self._write("".join([self._lines.popleft() for _ in range(min(len(self._lines), LINES_AT_ONCE))]))
        self._done.set()

    def close(self) -> None:
        """Write what is left, unless nobody takes it."""
        self._closing = True
        self._some.set()
        self._done.wait(CLOSE_SECONDS)


_STDERR = cast(TextIO, _Stderr())


# --- what is not ours -------------------------------------------------------------------------------------------------


class _Others(logging.Handler):
    """The first line only: asyncio, for one, adds what a task's exception says on those that follow."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # its words and its values don't fit each other; Python would write all of both
            text = "a line that can't be put together"
        first = text.strip().partition("\n")[0][:_MOST]
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        _LOG.log(level, first, logger=record.name, exc_info=record.exc_info or None)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    _LOG.critical("an error that nobody caught", exc_info=(kind, error, trace))
