"""From a breaker that opens or closes to the event that tells of it."""

from __future__ import annotations

import asyncio

import structlog

from otp_service.ports import Change, EventLog, StoreDown

_LOG = structlog.get_logger("otp_service.wiring")


class Announcer:
    """A send does not wait until its channel's change is written down."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._under_way: set[asyncio.Task[None]] = set()

    def __call__(self, channel: str, change: Change) -> None:
        task = asyncio.get_running_loop().create_task(self._emit(f"channel.{change}", channel))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def aclose(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(*self._under_way)

    async def _emit(self, type: str, channel: str) -> None:
        try:
            await self._events.emit(type, {"channel": channel})
        except StoreDown as error:
            _LOG.warning("an event is lost: Redis does not answer", type=type, channel=channel, error=str(error))
