"""`HeededKeys`: whose API key this is, as the configuration says, less the keys that were revoked since.

An operator's word stands in Redis. It is asked for by one request a second, not by each; what was heard is good for
`GOOD_SECONDS`, so that a revoked key opens nothing five seconds later, come what may. Where Redis gives no answer for
longer, as at a start without it, a genuine key gets 503, as whatever it asks for would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from otp_service.api_keys import ClientKeys
from otp_service.errors import Unavailable
from otp_service.policy import Client
from otp_service.ports import Revocations, StoreDown

LOOK_SECONDS = 1.0
"""How old what was heard may be before somebody asks again."""
GOOD_SECONDS = 4.0
"""How old it may be at all; a revocation is to be heeded within five seconds."""
RETRY_SECONDS = 0.25
"""After a question that Redis did not answer: those who come in between don't wait for a next one."""


class HeededKeys:
    """Threads share one, and so may processes that are forked later: nothing runs beside the requests."""

    def __init__(
        self, configured: ClientKeys, revocations: Revocations, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configured = configured
        self._revocations = revocations
        self._clock = clock
        self._revoked: frozenset[str] = frozenset()
        self._known = configured
        self._known_at = float("-inf")
        self._failed_at = float("-inf")
        self._asking = threading.Lock()

    def client_for(self, authorization: str | None) -> Client:
        """The client whose key the `Authorization` header holds. Raises Unauthorized, Unavailable.

        A revoked key is answered as an unknown one is, in the same time: it stands in no directory.
        """
        if self._is_heard():
            return self._known.client_for(authorization)
        self._configured.client_for(authorization)
        raise Unavailable("The store did not answer; whether this API key is revoked is not known.", retry_after=2)

    def active(self) -> Mapping[str, str]:
        """The client's name by each key's id, as far as is known."""
        self._is_heard()
        return self._known.owners()

    def _is_heard(self) -> bool:
        """Whether what is known may be gone by; asks where it is time to."""
        age = self._clock() - self._known_at
        if age <= LOOK_SECONDS:
            return True
        # One request asks; those beside it go by what is known, unless that is too old for anybody.
        if self._asking.acquire(blocking=age > GOOD_SECONDS):
            try:
                now = self._clock()
                if now - self._known_at > LOOK_SECONDS and now - self._failed_at > RETRY_SECONDS:
                    self._ask()
            finally:
                self._asking.release()
        return self._clock() - self._known_at <= GOOD_SECONDS

    def _ask(self) -> None:
        # The answer is as old as the question.
        asked_at = self._clock()
        try:
            revoked = self._revocations.ids()
        except StoreDown:
            self._failed_at = self._clock()
            return
        if revoked != self._revoked:
            self._known, self._revoked = self._configured.without(revoked), revoked
        self._known_at = asked_at
