"""What a process that serves need not hold in memory.

structlog draws tracebacks for a terminal with rich, and knows greenlets, if it finds either; our lines are JSON. Both
stay where they are for whoever imports them himself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_UNUSED = ("rich", "greenlet")


def import_structlog() -> None:
    """Without what it would import on the way. 4 MB less for each process; call it before anybody else imports it."""
    with _hidden([name for name in _UNUSED if name not in sys.modules]):
        import structlog  # noqa: F401


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
