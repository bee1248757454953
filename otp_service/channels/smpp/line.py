"""The line to the SMSC: bound while there is anything to do with it, and bound again when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl

from otp_service.channels.smpp.session import BindRefused, Broken, NotBound, Receive, Session
from otp_service.channels.smpp.settings import SmppSettings
from otp_service.channels.smpp.statuses import by_status
from otp_service.ports import Outcome, Reason, TryResult

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds between attempts to bind: doubled each time, and spread so that workers don't come all at once."""
_LOST = TryResult(Outcome.RETRYABLE, Reason.NETWORK, "not bound: the connection ended")


class Line:
    """One session at a time, for one event loop; the first use starts it."""

    def __init__(self, settings: SmppSettings, receive: Receive, tls: ssl.SSLContext | None, first_wait: float) -> None:
        self._settings = settings
        self._receive = receive
        self._tls = tls
        self._first_wait = first_wait
        self._session: Session | None = None
        self._failure: TryResult | None = None
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def session(self) -> Session:
        """Waits while the first attempt is under way. Raises `NotBound` at once while the latest has failed."""
        self.start()
        while True:
            if self._session is not None and not self._session.ended.is_set():
                return self._session
            if self._failure is not None:
                raise NotBound(self._failure)
            await self._changed.wait()

    async def aclose(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _keep(self) -> None:
        wait = self._first_wait
        while True:
            try:
                session = await Session.open(self._settings, self._receive, self._tls)
            except (BindRefused, Broken, NotBound, OSError) as error:
                self._set(None, _failure(error, self._settings))
            else:
                if await self._use(session) >= LONGEST_WAIT:
                    wait = self._first_wait
                    continue
                self._set(None, _LOST)
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
            wait = min(2 * wait, LONGEST_WAIT)

    async def _use(self, session: Session) -> float:
        """Until it ends; gives the seconds that it lasted: an SMSC that binds and drops us at once is to be spared."""
        began = asyncio.get_running_loop().time()
        self._set(session, None)
        await session.ended.wait()
        await session.close()
        self._set(None, None)
        return asyncio.get_running_loop().time() - began

    def _set(self, session: Session | None, failure: TryResult | None) -> None:
        self._session, self._failure = session, failure
        self._changed.set()
        self._changed = asyncio.Event()


def _failure(error: Exception, settings: SmppSettings) -> TryResult:
    """Nothing left, whatever it was."""
    if isinstance(error, BindRefused):
        result = by_status(error.status, settings.statuses)
        if result.outcome is Outcome.UNKNOWN:
            result = TryResult(Outcome.RETRYABLE, None, result.detail)
        return TryResult(result.outcome, result.reason, f"not bound: {result.detail}", unmapped=result.unmapped)
    reason = Reason.TIMEOUT if isinstance(error, TimeoutError) else Reason.NETWORK
    return TryResult(Outcome.RETRYABLE, reason, f"not bound ({type(error).__name__})")
