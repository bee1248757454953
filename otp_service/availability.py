"""Whether anything can be sent at all now: an operator's pause, or every channel's breaker open, refuses at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from otp_service.errors import Unavailable
from otp_service.ports import Sky, Store
from otp_service.recipient import Recipient
from otp_service.routes import ChannelRule

LOOK_SECONDS = 0.5
"""How old what is known of the channels may be: one look serves all requests of that time."""


@dataclass(slots=True)
class Availability:
    store: Store
    channels: Sequence[ChannelRule]
    _sky: Sky = field(default_factory=lambda: Sky(0, {}))
    _seen: float = float("-inf")
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def check(self, route: Sequence[ChannelRule], to: Recipient) -> None:
        """Raises Unavailable, with the time after which it is worth asking again; StoreDown."""
        sky, now = self._look()
        if until := sky.pauses.until(now, to.e164, to.region):
            raise Unavailable("Sends to this number are paused by the operator.", retry_after=_seconds(until - now))
        if until := blocked_until(route, sky, now):
            detail = "Every gateway that could carry this is out of order or paused; codes sent before stay good."
            raise Unavailable(detail, retry_after=_seconds(until - now))

    def _look(self) -> tuple[Sky, int]:
        """What is known, and Redis's clock now as far as it is known here."""
        stale = time.monotonic() - self._seen > LOOK_SECONDS
        # One request looks; those beside it go by what the one before it saw.
        if stale and self._looking.acquire(blocking=self._sky.now == 0):
            try:
                if time.monotonic() - self._seen > LOOK_SECONDS:
                    self._sky = self.store.sky([rule.name for rule in self.channels])
                    self._seen = time.monotonic()
            finally:
                self._looking.release()
        return self._sky, self._sky.now + round((time.monotonic() - self._seen) * 1000)


def blocked_until(route: Sequence[ChannelRule], sky: Sky, now: int) -> int:
    """When the first of these channels may be asked again; 0 where one may now."""
    waits = [standing.blocked_until(now) for rule in route if (standing := sky.standings.get(rule.name))]
    return min(waits) if waits and len(waits) == len(route) and all(waits) else 0


def _seconds(ms: int) -> int:
    return max(-(-ms // 1000), 1)
