"""What libraries under us may log."""

from __future__ import annotations

import logging


def silence_http_loggers() -> None:
    """httpx logs URLs at INFO, httpcore a gateway's headers at DEBUG: neither may write below WARNING.

    A filter, not a level: it stays when someone turns every logger to DEBUG.
    """
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks"):
        logging.getLogger(name).addFilter(_warnings_only)


def _warnings_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
