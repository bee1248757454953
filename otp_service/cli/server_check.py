"""The start's question to Redis: does it keep what it is given?"""

from __future__ import annotations

import os
import threading
import time

import structlog

from otp_service import wiring
from otp_service.cli.options import warn
from otp_service.config import Config
from otp_service.errors import ConfigError
from otp_service.logs import write_rest
from otp_service.store.facts import Unreachable

_AGAIN_SECONDS = 1.0

_log = structlog.get_logger("otp_service.cli")


def server_is_fit(loaded: Config) -> bool:
    """Refuse what must not start: raises ConfigError. False for a server that is out of reach: then `watch_server`.

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


def watch_server(loaded: Config) -> None:
    """Ask on a thread until there is an answer; an evicting server then ends the process."""
    threading.Thread(target=_ask_until_answered, args=(loaded,), name="redis check", daemon=True).start()


def _ask_until_answered(loaded: Config) -> None:
    while True:
        try:
            wiring.check_server(loaded)
        except Unreachable:
            time.sleep(_AGAIN_SECONDS)
        except ConfigError as error:
            _log.critical("stopped", reason=str(error))
            write_rest()
            os._exit(1)
        else:
            return
