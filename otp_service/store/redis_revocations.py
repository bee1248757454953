"""`RedisRevocations`: the Revocations of `ports`, one hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import redis

from otp_service.ports import Revoked, TooManyRevoked
from otp_service.store.connection import asked
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.scripts import SCRIPTS as DEFAULT_SCRIPTS
from otp_service.store.scripts import Script

MOST_REVOKED = 1000
"""Every process reads them all once a second. Each is needed only until no configuration holds its hash any more."""


class RedisRevocations:
    def __init__(
        self, client: redis.Redis, prefix: str = "otp", scripts: Mapping[str, Script] = DEFAULT_SCRIPTS
    ) -> None:
        self._client = client
        self._key = Keys(prefix).revoked()
        self._scripts = scripts

    def ids(self) -> frozenset[str]:
        return frozenset(text(id) for id in asked(lambda: self._client.hkeys(self._key)))

    def look(self) -> Sequence[Revoked]:
        held = asked(lambda: self._client.hgetall(self._key))
        found = [_revoked(text(id), text(said)) for id, said in held.items()]
        return sorted(found, key=lambda one: (-one.at, one.id))

    def revoke(self, id: str, by: str) -> tuple[Revoked, bool]:
        script = self._scripts["revoke"].text
        is_new, said = asked(lambda: self._client.eval(script, 1, self._key, id, by, MOST_REVOKED))
        if not said:
            raise TooManyRevoked
        return _revoked(id, text(said)), bool(is_new)

    def restore(self, id: str) -> bool:
        return bool(asked(lambda: self._client.hdel(self._key, id)))


def _revoked(id: str, said: str) -> Revoked:
    at, _, by = said.partition(" ")
    return Revoked(id, int(at), by)
