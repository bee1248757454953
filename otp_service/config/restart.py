"""What of a configuration a running process can't change over to."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.config.model import Config
from otp_service.config.sections import Redis

_KEPT = (
    "service.bind",
    "service.admin_bind",
    "service.fingerprint_key",
    "delivery.admin_bind",
    *(f"redis.{key}" for key in Redis.model_fields),
)
"""Sockets that are bound already, and what decides under which names everything lies in which Redis: processes that
differ in these count apart, and that must not come about by the way."""


def needs_restart(running: Config, wanted: Config) -> Iterator[str]:
    """A line for each key that differs and can't change while a process runs."""
    for name in _KEPT:
        section, _, key = name.partition(".")
        if getattr(getattr(running, section), key) != getattr(getattr(wanted, section), key):
            yield f"{name}: needs a restart; put the old value back, or restart every process"
