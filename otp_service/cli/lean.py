"""What a process that serves need not hold in memory, nor look through.

structlog draws tracebacks for a terminal with rich, and knows greenlets, if it finds either; httpx has a command of its
own if it finds rich. Our lines are JSON, and our commands import rich themselves. redis-py's `redis` gathers what its
modules offer, and so imports them all; we name those that we need.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

SERVING = {
    "demo": ("structlog", "httpx"),
    "serve": ("structlog",),
    "simulator": ("structlog",),
    "worker": ("structlog", "httpx"),
}
"""The commands that run until they are stopped, and the libraries that they use."""
_YOUNG = 2_000
"""New objects after which the collector looks: 10,000 save little more time, and cost 5 MB."""
_UNUSED = ("rich", "pygments", "greenlet")
_GATHERING = ("redis", "redis.asyncio")
"""Packages in whose own code is nothing that we need."""
_RUNNING = RLock()


def import_lean(libraries: Sequence[str]) -> None:
    """Without what they would import on the way, and Redis's as far as it is used: 6 to 7 MB less of each process.

    Call it before anything else imports them.
    """
    if libraries:
        for name in _GATHERING:
            put_off(name)
    with _hidden([name for name in _UNUSED if name not in sys.modules]):
        for library in libraries:
            importlib.import_module(library)


def collect_seldom() -> None:
    """Have the garbage collector pass over what is there now, which stays, and look through the rest a third as often.

    Hundreds of sends under way are as many young objects, all in use, and modules are 90,000 old ones: to look through
    them took a quarter of a delivery's time. Call it when everything is imported, and before what a new configuration
    replaces is built: what is there now is never collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


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


class _PutOff(ModuleType):
    """A package whose code has not run: it does when somebody asks for a name that is none of its modules."""

    _has_begun = False

    def __getattr__(self, name: str) -> Any:
        own = self.__name__
        if isinstance(self, _PutOff) and find_spec(f"{own}.{name}"):
            return importlib.import_module(f"{own}.{name}")
        with _RUNNING:  # who comes meanwhile on another thread waits until all names are there
            if isinstance(self, _PutOff) and not self._has_begun:
                self._has_begun = True
                _run(self)
        return ModuleType.__getattribute__(self, name)


def _run(package: ModuleType) -> None:
    if (spec := package.__spec__) and spec.loader:
        spec.loader.exec_module(package)
    package.__class__ = ModuleType


def put_off(name: str) -> None:
    """Have a package imported without running its code, so that only those of its modules are there that are needed."""
    if name in sys.modules or (spec := find_spec(name)) is None:
        return
    package = sys.modules[name] = module_from_spec(spec)
    package.__class__ = _PutOff
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, package)
