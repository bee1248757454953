"""When an event that a webhook did not take is sent again. Source: Standard Webhooks 1.0.0, "Deliverability"."""

from __future__ import annotations

_MINUTE, _HOUR = 60, 3600
DELAYS = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds after each attempt that failed; the first attempt is made at once."""
ATTEMPTS = len(DELAYS) + 1
JITTER = 0.2
"""To either side: events that failed together do not come back together."""


def delay_ms(attempt: int, retry_after: float | None, chance: float) -> int | None:
    """Milliseconds after attempt number `attempt` (1 for the first); None after the last one.

    `chance` in [0, 1) places it within the jitter. A receiver that asks for more time (`retry_after`, seconds) gets it.
    """
    if attempt >= ATTEMPTS:
        return None
    planned = DELAYS[attempt - 1] * (1 - JITTER + 2 * JITTER * chance)
    return round(1000 * max(planned, retry_after or 0.0))
