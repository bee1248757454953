"""`Poller`: asks one channel's gateway for reports and replies, from one worker of the installation at a time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog

from otp_service import metrics
from otp_service.ports import Accounts, ChannelError, Heard, Leases, Polled, ReportLog, Standings
from otp_service.reports.ear import Ear
from otp_service.reports.telling import Telling
from otp_service.seldom import Seldom

_LOG = structlog.get_logger("otp_service.reports")

QUICK_MS = 900_000
"""After the channel's latest call: nearly every report that ever comes has come by then."""
SLOW_SECONDS = 60.0
"""Later on replies and late reports are worth one question a minute."""
_LONGEST_POLL_SECONDS = 70.0
"""Two questions of at most 30 s each, and the writing down."""


class Poller:
    """`interval` in seconds. `alone` is False where each worker has a session of its own, whose rows only it is given.

    A lease that is lost in the middle of a poll costs nothing: rows are handed out once, and kept by whoever has them.
    """

    def __init__(
        self,
        channel: Polled,
        ear: Ear,
        log: ReportLog,
        standings: Standings,
        leases: Leases,
        accounts: Accounts,
        holder: str,
        interval: float = 5.0,
        alone: bool = True,
    ) -> None:
        self._channel = channel
        self._ear = ear
        self._log = log
        self._standings = standings
        self._leases = leases
        self._holder = holder
        self._interval = interval
        self._alone = alone
        self._lease = f"poll:{ear.channel}"
        self._asked = float("-inf")
        self._unkept: list[Heard] = []
        self._seldom = Seldom()
        self._telling = Telling(accounts, ear.channel)

    async def step(self) -> float:
        """Ask, if it is time; the seconds until the next look. Raises StoreDown."""
        await self._write_down()
        lease_ms = round((_LONGEST_POLL_SECONDS + 2 * self._interval) * 1000)
        if self._alone and not await self._leases.hold(self._lease, self._holder, lease_ms):
            self._telling.forget()
            return self._interval
        if not await self._is_time():
            return self._interval
        self._asked = time.monotonic()
        await self._ask("reports", self._reports)
        await self._ask("replies", self._replies)
        return self._interval

    async def leave(self) -> None:
        """Write down what is left, and let another worker ask. Raises StoreDown."""
        await self._write_down()
        if self._alone:
            await self._leases.release(self._lease, self._holder)

    async def _ask(self, what: str, ask: Callable[[], Awaitable[list[Heard]]]) -> None:
        why = ""
        try:
            # Hold here until Redis has them: they are not handed out again.
            self._unkept += await ask()
        except ChannelError as error:
            why = str(error) or type(error).__name__
            if (unsaid := self._seldom.say(time.monotonic(), what)) is not None:
                _LOG.warning(f"no {what} from a gateway", channel=self._ear.channel, error=str(error), before=unsaid)
        await self._write_down()
        await self._telling.note(what, why)

    async def _reports(self) -> list[Heard]:
        return self._ear.reports(await self._channel.reports())

    async def _replies(self) -> list[Heard]:
        said = await self._channel.replies()
        heard = self._ear.replies(said)
        metrics.REPLIES.labels(self._ear.channel, "other").inc(len(said) - len(heard))
        return heard

    async def _write_down(self) -> None:
        await self._log.keep(self._unkept)
        self._unkept = []

    async def _is_time(self) -> bool:
        """A worker's own rows cost no gateway a question; others are asked often only while much may come."""
        if not self._alone or time.monotonic() - self._asked >= SLOW_SECONDS:
            return True
        sky = await self._standings.look([self._ear.channel])
        return sky.now - sky.standings[self._ear.channel].last_call < QUICK_MS
