"""What a process that serves need not hold in memory.

structlog draws tracebacks for a terminal with rich, and knows greenlets, if it finds either; httpx has a command of its
own if it finds rich. Our lines are JSON, and our commands import rich themselves.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SERVING = {
    "demo": ("structlog", "httpx"),
    "serve": ("structlog",),
    "simulator": ("structlog",),
    "worker": ("structlog", "httpx"),
}
"""The commands that run until they are stopped, and the libraries that they use."""
_UNUSED = ("rich", "greenlet")


def import_lean(libraries: Sequence[str]) -> None:
    """Without what they would import on the way: 4 to 5 MB less of each process.

    Call it before anything else imports them.
    """
    with _hidden([name for name in _UNUSED if name not in sys.modules]):
        for library in libraries:
            importlib.import_module(library)


@contextmanager
def _hidden(names: list[str]) -> Iterator[None]:
    """To import them raises ModuleNotFoundError meanwhile."""
    modules: dict[str, Any] = sys.modules  # None in the place of a module is what the import system takes for a no
    modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
