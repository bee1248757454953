"""Sends that nobody gets (`deliver: false`): played by what real ones were like, so that who looks on can't tell."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass

from otp_service.ports import Standing, Verdict

_MOST = 32
"""How many real sends are remembered."""
_FRESH_SECONDS = 60.0
"""What older ones were like says nothing while there are fresh ones: a gateway may have failed meanwhile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How one send went."""

    first: float | None
    """Seconds until its first try had an outcome; None where that one brought the end with it."""
    whole: float
    """Seconds until its end, or until it was put off."""
    ending: Verdict
    at: float = float("-inf")


_AT_FIRST = Seen(None, 0.05, Verdict.ACCEPTED)
"""Before a worker has sent anything: a gateway that is near and well."""


class Repertoire:
    """What this worker's latest sends were like. Which of them is played is chance, and no secret."""

    def __init__(self) -> None:
        self._seen = deque([_AT_FIRST], maxlen=_MOST)

    def remember(self, first: float | None, whole: float, ending: Verdict) -> None:
        self._seen.append(Seen(first, whole, ending, time.monotonic()))

    def draw(self) -> Seen:
        """One of the last minute, else the latest."""
        since = time.monotonic() - _FRESH_SECONDS
        return random.choice([one for one in self._seen if one.at > since] or [self._seen[-1]])  # noqa: S311


def draw_report(standing: Standing) -> tuple[int, bool] | None:
    """When the report of a send by this channel comes (milliseconds), and whether it says that it arrived.

    None where it gets none: its gateway reports none, or not each one.
    """
    share = min(standing.reported / max(standing.accepted, standing.reported, 1.0), 1.0)
    if not standing.heard or random.random() >= share:  # noqa: S311
        return None
    return random.choice(standing.heard)  # noqa: S311
