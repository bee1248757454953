"""Logs: JSON lines on stderr, and a last net below everything that should hold no number or key anyway."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?[0-9]{6,}")
_API_KEY = re.compile(r"otp_[0-9a-z]{8,}")
_OURS = frozenset({"timestamp", "request_id", "id", "gateway_id"})
"""Fields whose digits are known to be none of a person's: a gateway's id that spells the number comes here starred."""


def configure_logs(level: int = logging.INFO) -> None:
    """Send our log lines to stderr from `level` on."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what looks like a phone number, a code or an API key."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _OURS:
            event[key] = _API_KEY.sub("otp_…", _NUMBER.sub("…", value))
    return event
