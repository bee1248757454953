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


def print_section(kind: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One of several tables, none for no rows. In a pipe each line begins with `kind`, so that grep finds it."""
    if not rows:
        return
    if sys.stdout.isatty():
        click.echo(click.style(kind, bold=True))
        print_rows(columns, rows)
        click.echo()
    else:
        print_rows(columns, [(kind, *row) for row in rows])
