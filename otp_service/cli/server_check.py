"""What a process asks of its Redis: at the start, whether it keeps what it is given; then, how it stands."""

from __future__ import annotations

import os
import threading
import time

import structlog

from otp_service import wiring
from otp_service.cli.options import warn
from otp_service.cli.redis_watch import LOOK_SECONDS, RedisWatch
from otp_service.config import Config
from otp_service.errors import ConfigError
from otp_service.logs import write_rest
from otp_service.store.facts import ServerFacts, Unreachable

_AGAIN_SECONDS = 1.0

_log = structlog.get_logger("otp_service.cli")


def server_is_fit(loaded: Config) -> bool:
    """Refuse what must not start: raises ConfigError. False for a server that is out of reach: `watch_server` asks it.

    A start during an outage of Redis must not fail: it would take the whole fleet down with it.
    """
    wiring.check_start(loaded, os.environ)
    try:
        if warning := wiring.check_server(loaded):
            warn(warning)
    except Unreachable as error:
        warn(f"redis: {error}; the start goes on without it")
        return False
    return True


def watch_server(loaded: Config, is_fit: bool) -> None:
    """Say in the log, from now on, what Redis lacks; on a thread.

    Of a server that did not answer at the start, the first answer is awaited: an evicting one then ends the process.
    """
    threading.Thread(target=_watch, args=(loaded, is_fit), name="redis watch", daemon=True).start()


def _watch(loaded: Config, is_fit: bool) -> None:
    watch = RedisWatch(loaded)
    while True:
        try:
            facts = watch.look()
            if facts and not is_fit:
                _end_unless_fit(loaded, facts)
                is_fit = True
        except Exception:
            # One fault of ours must not end the watch without a word.
            _log.exception("a look at Redis failed")
        time.sleep(LOOK_SECONDS if is_fit else _AGAIN_SECONDS)


def _end_unless_fit(loaded: Config, facts: ServerFacts) -> None:
    try:
        wiring.refuse_unfit(loaded, facts)
    except ConfigError as error:
        _log.critical("stopped", reason=str(error))
        write_rest()
        os._exit(1)
