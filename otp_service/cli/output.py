"""How data is printed: tables for a person at a terminal, plain lines in a pipe, JSON on request.

And what becomes of a command that can't print.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, cast

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


# --- a stdout that takes nothing --------------------------------------------------------------------------------------


class StdoutLost(Exception):
    """What was to be printed can't be."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout: {error.strerror}")
        self.is_unread = error.errno == errno.EPIPE
        """Its reader has gone, as `head` does when it has enough."""


class _Stdout:
    """A stdout whose faults are StdoutLost: an OSError may come from anywhere, and click ends with 1 on some."""

    def __init__(self, stdout: TextIO | None) -> None:
        """None where it was closed before we began."""
        self._stdout = stdout
        self._lost: StdoutLost | None = None

    def write(self, text: str) -> int:
        with self._telling():
            return self._open().write(text)

    def flush(self) -> None:
        with self._telling():
            if self._stdout:
                self._stdout.flush()

    def isatty(self) -> bool:
        return self._stdout is not None and self._stdout.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)

    def _open(self) -> TextIO:
        if self._stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stdout

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Whoever passes over the first fault, as click does where it tries a stream, meets it again."""
        if self._lost:
            raise self._lost
        try:
            yield
        except OSError as error:
            if self._stdout:
                print_nowhere(self._stdout)
            self._lost = StdoutLost(error)
            raise self._lost from error


@contextmanager
def printing() -> Iterator[None]:
    """Everything that is printed inside has left at the end. Raises StdoutLost where it can't."""
    before = sys.stdout
    sys.stdout = cast("TextIO", _Stdout(before))
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = before


def print_nowhere(stream: TextIO) -> None:
    """What is left in its buffer goes nowhere: else the interpreter says at its end that it could not be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
