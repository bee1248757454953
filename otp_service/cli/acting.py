"""What every command that changes something shares: it says who does it and why, and is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from otp_service import wiring
from otp_service.audit import Act
from otp_service.cli.operating import who
from otp_service.config import Config
from otp_service.logs import configure_logs
from otp_service.wiring import Doing

reason_option: Callable[[Any], Any] = click.option(
    "--reason", default="", metavar="TEXT", help="Why; kept in the audit trail. Write no number into it."
)


@contextmanager
def acting(config: Config, name: str, target: str, reason: str) -> Iterator[Doing]:
    """As `wiring.acting`, for whoever types this; its lines go to stderr. Raises StoreDown: nothing is done then."""
    configure_logs()
    with wiring.acting(config, Act(who(), name, target, reason=reason)) as doing:
        yield doing
