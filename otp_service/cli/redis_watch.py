"""`RedisWatch`: what Redis lacks while a process runs is said once in its log, and once that it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from otp_service import wiring
from otp_service.config import Config
from otp_service.store.facts import Lack, ServerFacts, Unreachable

LOOK_SECONDS = 3.0
"""Between two looks. A look asks each master a few questions; what is lost for less than this may never be told."""
SEE = "docs/runbook.md"

_LOG = structlog.get_logger("otp_service.cli")


class RedisWatch:
    """Looks when it is told to: on a thread, as a server that hangs holds each look up for seconds."""

    def __init__(
        self,
        config: Config,
        ask: Callable[[Config], ServerFacts] = wiring.ask_server,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ask = ask
        self._clock = clock
        self._since: dict[str, float] = {}
        """When each lack that lasts was first seen."""

    def look(self) -> ServerFacts | None:
        """What Redis says of itself; None where nobody answers."""
        redis = self._config.redis
        try:
            facts = self._ask(self._config)
        except Unreachable as error:
            # What was lacking before may lack still: nobody says.
            self._begin(wiring.all_lost(self._config, error))
            return None
        lacks = {lack.what: lack for lack in facts.troubles(redis.durability, redis.allow_eviction)}
        for what in [what for what in self._since if what not in lacks]:
            seconds = round(self._clock() - self._since.pop(what))
            _LOG.info("Redis is well again", what=what, seconds=seconds, left=sorted(self._since) or None)
        for lack in lacks.values():
            self._begin(lack)
        return facts

    def _begin(self, lack: Lack) -> None:
        if lack.what not in self._since:
            self._since[lack.what] = self._clock()
            _LOG.warning("Redis needs a hand", what=lack.what, trouble=lack.text, see=SEE)
