"""`recipients`: what is held on one number, and its erasure."""

from __future__ import annotations

import click


@click.group()
def recipients() -> None:
    """What is held on one number."""
