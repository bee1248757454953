"""`Seldom`: what may happen a thousand times a second is said once a minute, with how often it was left unsaid."""

from __future__ import annotations

SECONDS = 60.0


class Seldom:
    """Threads may share one: the worst that comes of a race is a line more."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._said: dict[tuple[str, ...], float] = {}
        self._unsaid: dict[tuple[str, ...], int] = {}

    def say(self, now: float, *what: str) -> int | None:
        """None to keep silent; else how often that was done since the last time. `now` in seconds of any clock.

        `what` has few values: each is remembered.
        """
        if now - self._said.get(what, float("-inf")) < self._seconds:
            self._unsaid[what] = self._unsaid.get(what, 0) + 1
            return None
        self._said[what] = now
        return self._unsaid.pop(what, 0)
