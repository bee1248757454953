"""What our service asks of Redis, written down: scripts with their real arguments, to be asked again without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from otp_service import store, wiring
from otp_service.config import Config
from otp_service.store.lane import Asks
from otp_service.store.scripts import retaining
from otp_service.store.wire import Words
from otp_service.verifier import Verifier


class Recorder:
    """A lane that keeps the commands by which one script is called."""

    def __init__(self, lane: Asks) -> None:
        self._lane = lane
        self._sha, self._asked = "", list[Words]()

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        self._asked += [words for words in commands if words[:2] == ("EVALSHA", self._sha)]
        return self._lane.ask(commands)

    @contextmanager
    def watching(self, sha: str) -> Iterator[list[Words]]:
        """What is asked meanwhile."""
        self._sha, self._asked = sha, []
        try:
            yield self._asked
        finally:
            self._sha = ""


def recorded(config: Config) -> tuple[Verifier, Recorder]:
    """A verifier as the service has it, and the lane that it asks by."""
    made: list[Recorder] = []
    lane_to = store.lane_to

    def lane(client: Any) -> Recorder:
        made.append(Recorder(lane_to(client)))
        return made[-1]

    with mock.patch.object(store, "lane_to", lane):
        verifier = wiring.build_verifier(config)
    return verifier, made[0]


def shas(config: Config, *names: str) -> Sequence[str]:
    scripts = retaining(config.retention.domain(), config.redis.fence)
    return [scripts[name].sha for name in names]
