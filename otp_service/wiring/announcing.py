"""From a breaker that opens or closes to the event that tells of it; from what looks pumped to a line and a figure."""

from __future__ import annotations

import asyncio
import time

import structlog

from otp_service import metrics
from otp_service.guard import Finding
from otp_service.ports import Change, EventLog, StoreDown
from otp_service.seldom import Seldom

_LOG = structlog.get_logger("otp_service.wiring")
_SELDOM = Seldom()


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


def announce_finding(finding: Finding) -> None:
    metrics.count_pumping(finding.level, finding.mode)
    if finding.began:
        _LOG.warning("the sends to a prefix look pumped", **_said(finding), approved=finding.began)
    elif (unsaid := _SELDOM.say(time.monotonic(), finding.level, finding.suspicion)) is not None:
        _LOG.warning("a send looks pumped", **_said(finding), reason=finding.suspicion, unsaid=unsaid)


def _said(finding: Finding) -> dict[str, str]:
    return {"level": finding.level, "mode": finding.mode, "where": finding.where}
