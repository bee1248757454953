"""What our service asks of Redis, written down: scripts with their real arguments, to be asked again without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from otp_service import store, wiring
from otp_service.config import Config
from otp_service.store import Lane
from otp_service.store.scripts import retaining
from otp_service.verifier import Verifier


class Recorder(Lane):
    """A lane that keeps the packed commands by which one script is called, and may answer in Redis's place."""

    sha = b""
    """Of the script that is watched; b"" for none."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.asked: list[bytes] = []
        self.reply: Any = None
        """What the latest call was answered. Once `alone`, all that follow get the same."""
        self.alone = False

    def ask(self, packed: bytes, replies: int = 1) -> list[Any]:
        if not self.sha or self.sha not in packed or replies != 1:
            return super().ask(packed, replies)
        self.asked.append(packed)
        if not self.alone:
            self.reply = super().ask(packed)
        return list(self.reply)

    @contextmanager
    def watching(self, sha: str) -> Iterator[list[bytes]]:
        """What is asked meanwhile."""
        self.sha, self.asked = sha.encode(), []
        try:
            yield self.asked
        finally:
            self.sha = b""


def recorded(config: Config) -> tuple[Verifier, Recorder]:
    """A verifier as the service has it, and the lane that it asks by."""
    made: list[Recorder] = []

    def lane(client: Any) -> Recorder:
        made.append(Recorder(client))
        return made[-1]

    with mock.patch.object(store, "Lane", lane):
        verifier = wiring.build_verifier(config)
    return verifier, made[0]


def shas(config: Config, *names: str) -> Sequence[str]:
    scripts = retaining(config.retention.domain(), config.redis.fence)
    return [scripts[name].sha for name in names]
