"""`Actor`: acts on what was heard, once it is written down. A row that is acted on twice is a duplicate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from otp_service import metrics
from otp_service.keyring import Keyring
from otp_service.ports import Heard, Kept, Outbox, ReportEnd, ReportLog, Standings, StoreDown, Wish
from otp_service.seldom import Seldom

_LOG = structlog.get_logger("otp_service.reports")

GAPS = (1, 2, 5, 15, 60, 180)
"""Seconds between the looks for the try of a report that came before its gateway's answer: four minutes in all."""
RECLAIM_IDLE_MS = 30_000
"""Acting takes milliseconds: whoever has not done it by then is dead."""
TICK_SECONDS = 0.5
_RECLAIM_SECONDS = 10.0
_BATCH = 100
_NEWS = frozenset({ReportEnd.DELIVERED, ReportEnd.UNDELIVERED, ReportEnd.AGAIN, ReportEnd.LATE})
"""The first word on a try: it speaks for or against its channel, whenever it comes."""
_ORDINARY = frozenset({ReportEnd.DELIVERED, ReportEnd.UNDELIVERED, ReportEnd.AGAIN})


class Actor:
    def __init__(self, log: ReportLog, outbox: Outbox, standings: Standings, keyring: Keyring) -> None:
        self._log = log
        self._outbox = outbox
        self._standings = standings
        self._keyring = keyring
        self._is_open = False
        self._reclaimed = 0.0
        self._seldom = Seldom()

    async def step(self) -> float:
        """Act on what waits; the seconds until it is worth looking again. Raises StoreDown."""
        try:
            if not self._is_open:
                await self._log.open()
                self._is_open = True
            await self._log.bring_back(_BATCH)
            kept = list(await self._log.read(_BATCH))
            if time.monotonic() - self._reclaimed > _RECLAIM_SECONDS:
                self._reclaimed = time.monotonic()
                kept += await self._log.reclaim(RECLAIM_IDLE_MS, _BATCH)
        except StoreDown:
            # A server that comes back empty has no consumer group.
            self._is_open = False
            raise
        await self.act(kept)
        return 0.0 if len(kept) >= _BATCH else TICK_SECONDS

    async def act(self, kept: Sequence[Kept]) -> None:
        """In their order, each forgotten when it is done. Raises StoreDown: the rest comes again."""
        for one in kept:
            if one.heard is None:
                _LOG.warning("a report of another version is passed over", entry=one.entry)
            elif one.heard.wish is not None:
                await self._obey(one.heard, one.heard.wish)
            else:
                await self._settle(one.heard)
            await self._log.forget([one])

    # --- reports --------------------------------------------------------------------------------------------------

    async def _settle(self, heard: Heard) -> None:
        end, id, after_ms = await self._outbox.report(heard.name, heard.recipient, heard.delivered, heard.words)
        if end is ReportEnd.ORPHAN and not id and await self._waits(heard):
            return
        metrics.REPORTS.labels(heard.channel, str(end)).inc()
        if end in _NEWS:
            await self._standings.credit(heard.channel, "r", 1, int(heard.delivered), after_ms)
        self._tell(heard, end, id)

    async def _waits(self, heard: Heard) -> bool:
        """A report may overtake the answer that gives it its name; after some minutes it is somebody else's."""
        if heard.tries >= len(GAPS):
            return False
        return await self._log.put_off(replace(heard, tries=heard.tries + 1), GAPS[heard.tries] * 1000)

    def _tell(self, heard: Heard, end: ReportEnd, id: str) -> None:
        log = _LOG.bind(channel=heard.channel, end=str(end), id=id, delivered=heard.delivered, words=heard.words)
        if end in _ORDINARY:
            log.info("report")
        elif (unsaid := self._seldom.say(time.monotonic(), heard.channel, end)) is not None:
            # A code that is typed in at once is over before its report comes: late is no reason to be woken.
            told = log.info if end is ReportEnd.LATE else log.warning
            told("a report changes nothing", before=unsaid)

    # --- replies --------------------------------------------------------------------------------------------------

    async def _obey(self, heard: Heard, wish: Wish) -> None:
        """For the client whose message was answered; else for those that the row itself names."""
        answered, client = await self._log.answered(heard.name, heard.recipient)
        id = self._keyring.parse_id(answered)
        whom = [self._keyring.owner(client, id.recipient)] if id else heard.owners
        for owner in whom:
            await self._log.suppress(id.partition if id else heard.partition, owner, lift=wish is Wish.START)
        metrics.REPLIES.labels(heard.channel, str(wish)).inc()
        _LOG.info("a reply", channel=heard.channel, wish=str(wish), clients=len(whom), id=id.text if id else "")
