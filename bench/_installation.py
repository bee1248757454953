"""`Installation`: our service on one Valkey, and a caller with a key whose numbers meet no limit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from _ground import Ground, code_of

from otp_service.api_keys import new_key

NOWHERE = 9
"""A port of nobody: no worker runs where only requests are measured."""
Call = tuple[str, dict[str, str]]
"""Path and body."""


class Installation(Ground):
    """Limits stand as by default; numbers are of many prefixes, so that none is met."""

    def __init__(self, folder: Path, redis_url: str, service: str = "") -> None:
        """`service`: more keys of [service], as `fast_path = false`."""
        key = new_key()
        super().__init__(folder, redis_url, [NOWHERE], f'"{key.hash}"', service, limits="")
        self.key, self.port = key.text, self.config.service.bind.port
        self._numbers = (f"138{n % 10_000:04d}{n // 10_000:04d}" for n in itertools.count())

    def starts(self, count: int) -> list[Call]:
        return [("/v1/verifications", {"to": next(self._numbers), "purpose": "login"}) for _ in range(count)]

    def checks(self, answers: Sequence[bytes]) -> list[Call]:
        """The right code of each."""
        ids = [json.loads(answer)["id"] for answer in answers]
        return [(f"/v1/verifications/{id}/check", {"code": self.code(id)}) for id in ids]

    def code(self, id: str) -> str:
        return code_of(self.redis, self.keyring, id)
