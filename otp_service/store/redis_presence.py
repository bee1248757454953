"""`RedisPresence`: the Presence of `ports`."""

from __future__ import annotations

import asyncio
import json

from otp_service.ports import WorkerSign
from otp_service.store.keys import Keys
from otp_service.store.trips import Trips

SILENT_MS = 10_000
"""A worker that has said nothing for so long is not there."""


class RedisPresence:
    def __init__(self, trips: Trips, prefix: str = "otp") -> None:
        self._trips = trips
        self._keys = Keys(prefix)

    async def beat(self, sign: WorkerSign) -> None:
        said = {"version": sign.version, "up": sign.up_ms, "in_flight": sign.in_flight, "done": sign.done}
        await asyncio.gather(
            self._trips.command("SET", self._keys.worker(sign.name), json.dumps(said), "PX", SILENT_MS),
            self._trips.script("beat", [self._keys.workers()], [sign.name, SILENT_MS]),
        )

    async def leave(self, name: str) -> None:
        await asyncio.gather(
            self._trips.command("DEL", self._keys.worker(name)),
            self._trips.command("ZREM", self._keys.workers(), name),
        )
