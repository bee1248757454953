"""`Pulse`: whether Redis answers, said within a moment even where it hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

SAY_WITHIN = 0.3
"""Seconds. Probes wait for one by default (Kubernetes: timeoutSeconds), and one that is late counts as failed: then a
Redis that hangs would take the whole fleet out of the balancer."""


class Pulse:
    """Called, it says. Threads share it and what it asks: a Redis that hangs holds one thread up, not one a probe."""

    def __init__(self, ask: Callable[[], bool], within: float = SAY_WITHIN) -> None:
        self._ask = ask
        self._within = within
        self._begin = threading.Lock()
        self._asked: Future[bool] | None = None

    def __call__(self) -> bool:
        """False where `ask` says so, and where it has said nothing `within` that time."""
        try:
            return self._asking().result(self._within)
        except TimeoutError:
            return False

    def _asking(self) -> Future[bool]:
        """The one that is under way, or a new one."""
        with self._begin:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._hear, args=(self._asked,), name="pulse", daemon=True).start()
            return self._asked

    def _hear(self, asked: Future[bool]) -> None:
        try:
            asked.set_result(self._ask())
        except BaseException as error:
            asked.set_exception(error)
