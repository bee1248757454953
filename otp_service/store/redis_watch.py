"""`RedisLeases` and `RedisAccounts`: the Leases and Accounts of `ports`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from otp_service.masking import fit_to_keep
from otp_service.ports import Account
from otp_service.store.keys import Keys
from otp_service.store.rows import text
from otp_service.store.trips import Trips


class RedisLeases:
    def __init__(self, trips: Trips, prefix: str = "otp") -> None:
        self._trips = trips
        self._keys = Keys(prefix)

    async def hold(self, name: str, holder: str, lease_ms: int) -> bool:
        return bool(await self._trips.script("lease", [self._keys.lease(name)], [holder, lease_ms]))

    async def release(self, name: str, holder: str) -> None:
        await self._trips.script("lease", [self._keys.lease(name)], [holder, 0])


UNTOLD = "untold:"
"""Fields of a channel's hash, by what is asked for: since when it is not told, and why."""


class RedisAccounts:
    """In each channel's hash, beside its standing."""

    def __init__(self, trips: Trips, prefix: str = "otp") -> None:
        self._trips = trips
        self._keys = Keys(prefix)

    async def look(self, channels: Sequence[str]) -> Sequence[Account]:
        fields = ("balance", "balance_at", "balance_low")
        replies = await asyncio.gather(
            *(self._trips.command("HMGET", self._keys.channel(name), *fields) for name in channels)
        )
        return [Account(text(amount or b""), int(at or 0), low == b"1") for amount, at, low in replies]

    async def note(self, channel: str, balance: str, is_low: bool) -> None:
        await self._trips.script("balance", [self._keys.channel(channel)], [balance, int(is_low)])

    async def untold(self, channel: str, what: str, words: str) -> None:
        key, field = self._keys.channel(channel), f"{UNTOLD}{what}"
        # By the worker's clock: it decides nothing.
        since = f"{round(time.time() * 1000)} {fit_to_keep(words)}"
        await self._trips.command(*(("HSET", key, field, since) if words else ("HDEL", key, field)))
