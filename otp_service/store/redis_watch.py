"""`RedisLeases` and `RedisAccounts`: the Leases and Accounts of `ports`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
