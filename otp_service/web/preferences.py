"""`Prefer: wait=N` (RFC 7240 §4.3): how long an answer may wait for the first try's outcome, and how many may wait."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

MAX_WAIT_SECONDS = 5
MOST_WAITING = 16
"""Half of the sends that a process works on at once (`web/headroom.py`): those that wait leave room for others."""

_WAIT = re.compile(r'(?:^|,)[ \t]*wait[ \t]*=[ \t]*"?([0-9]{1,9})"?[ \t]*(?=$|,|;)', re.IGNORECASE)
_waiting = threading.BoundedSemaphore(MOST_WAITING)


def wait_of(prefer: str) -> int:
    """Whole seconds, at most `MAX_WAIT_SECONDS`; 0 where nothing readable is preferred: a preference is no demand."""
    found = _WAIT.search(prefer)
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0


def waiting(prefer: str) -> AbstractContextManager[int]:
    """The seconds that this request may wait; 0 when it does not want to, or when enough others wait."""
    seconds = wait_of(prefer) if prefer else 0
    if not seconds or not _waiting.acquire(blocking=False):
        return _NO_WAIT
    return _one_of_the_waiting(seconds)


@contextmanager
def _one_of_the_waiting(seconds: int) -> Iterator[int]:
    try:
        yield seconds
    finally:
        _waiting.release()


_NO_WAIT = nullcontext(0)
