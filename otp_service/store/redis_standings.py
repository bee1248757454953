"""`RedisStandings`: the Standings of `ports`, one hash a channel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from otp_service.masking import fit_to_keep
from otp_service.ports import Call, Change, Outcome, Sky, Standing, TryResult
from otp_service.store.figures import span_of
from otp_service.store.keys import Keys
from otp_service.store.sky import noted, read_sky
from otp_service.store.trips import Arguments, Trips


class RedisStandings:
    def __init__(self, trips: Trips, prefix: str = "otp") -> None:
        self._trips = trips
        self._keys = Keys(prefix)

    async def look(self, channels: Sequence[str]) -> Sky:
        *replies, pauses = await asyncio.gather(
            *(self._trips.script("standing", [self._keys.channel(name)], []) for name in channels),
            self._trips.command("HGETALL", self._keys.pauses()),
        )
        return read_sky(channels, replies, pauses)

    async def note(self, call: Call) -> tuple[Change, Standing]:
        keys = [
            self._keys.channel(call.channel),
            self._keys.figures(call.channel, span_of(time.time())),
        ]
        arguments: Arguments = [call.judgement.value, call.took_ms, call.holder, *_said(call.result)]
        return noted(await self._trips.script("note", keys, arguments))

    async def probe(self, channel: str, holder: str, lease_ms: int) -> bool:
        return bool(await self._trips.script("probe", [self._keys.channel(channel)], [holder, lease_ms]))

    async def credit(self, channel: str, kind: str, count: int, good: int, after_ms: int | None = None) -> None:
        after = "" if after_ms is None else after_ms
        await self._trips.script("credit", [self._keys.channel(channel)], [kind, count, good, after])


def _said(result: TryResult | None) -> tuple[int, str, str]:
    """How long the gateway wants to be left alone, the figure that it counts for, and its words where it complains."""
    if result is None:
        return 0, "", ""
    reason = result.reason.value if result.reason else ""
    label = f"{result.outcome.value}:{reason}" + (":unmapped" if result.unmapped else "")
    rest = round((result.retry_after or 0) * 1000) if result.overloaded else 0
    return rest, label, "" if result.outcome is Outcome.ACCEPTED else fit_to_keep(result.detail)
