"""How data is printed: tables for a person at a terminal, plain lines in a pipe, JSON on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table at a terminal; else one line a row, its fields parted by tabs and without a heading."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(field, overflow="fold") for field in row))
    Console().print(table)
