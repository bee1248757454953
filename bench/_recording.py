"""What our service asks of Redis, written down: scripts with their real arguments, to be asked again without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from otp_service import store, wiring
from otp_service.config import Config
from otp_service.store.lane import Lane, Words, packed
from otp_service.store.scripts import retaining
from otp_service.verifier import Verifier


class Recorder(Lane):
    """A lane that keeps the packed commands by which one script is called, and may answer in Redis's place."""

    sha = ""
    """Of the script that is watched; "" for none."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.asked: list[bytes] = []
        self.reply: Any = None
        """What the latest call was answered. Once `alone`, all that follow get the same."""
        self.alone = False

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        if not self.sha or len(commands) != 1 or commands[0][1] != self.sha:
            return super().ask(commands)
        self.asked.append(packed(commands))
        if not self.alone:
            self.reply = super().ask(commands)
        return list(self.reply)

    @contextmanager
    def watching(self, sha: str) -> Iterator[list[bytes]]:
        """What is asked meanwhile."""
        self.sha, self.asked = sha, []
        try:
            yield self.asked
        finally:
            self.sha = ""


def recorded(config: Config) -> tuple[Verifier, Recorder]:
    """A verifier as the service has it, and the lane that it asks by."""
    made: list[Recorder] = []

    def lane(client: Any) -> Recorder:
        made.append(Recorder(client))
        return made[-1]

    with mock.patch.object(store, "lane_to", lane):
        verifier = wiring.build_verifier(config)
    return verifier, made[0]


def shas(config: Config, *names: str) -> Sequence[str]:
    scripts = retaining(config.retention.domain(), config.redis.fence)
    return [scripts[name].sha for name in names]
