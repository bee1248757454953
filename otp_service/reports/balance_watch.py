"""`BalanceWatch`: what each channel's account has left, asked by one worker, shown by all, told once when it is low."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from otp_service import metrics
from otp_service.ports import Account, Accounts, Channel, ChannelError, EventLog, Leases, NoBalance
from otp_service.reports.telling import Telling
from otp_service.seldom import Seldom

_LOG = structlog.get_logger("otp_service.reports")

ASK_SECONDS = 300.0
FIRST_SECONDS = 15.0
"""From the start: a worker that is started again and again asks no gateway each time."""
LOOK_SECONDS = 15.0
"""How old the gauge of a worker that does not ask itself may be."""
_LEASE = "balance"


@dataclass(frozen=True, slots=True)
class Watched:
    channel: Channel
    low: float | None = None
    """Below it an event is sent."""


class BalanceWatch:
    """The lease lasts as long as an answer is good, and is kept by who holds it."""

    def __init__(
        self,
        watched: Sequence[Watched],
        accounts: Accounts,
        leases: Leases,
        events: EventLog,
        holder: str,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        self._watched = watched
        self._accounts = accounts
        self._leases = leases
        self._events = events
        self._holder = holder
        self._asks_from = time.monotonic() + first_seconds
        self._mute: set[str] = set()
        self._seldom = Seldom(12 * ASK_SECONDS)
        self._telling = {one.channel.name: Telling(accounts, one.channel.name) for one in watched}

    async def step(self) -> float:
        """Look, and ask where it is time. Raises StoreDown."""
        is_ours = await self._leases.hold(_LEASE, self._holder, round(ASK_SECONDS * 1000))
        if not is_ours:
            for telling in self._telling.values():
                telling.forget()
        if is_ours and time.monotonic() >= self._asks_from:
            self._asks_from = time.monotonic() + ASK_SECONDS
            for one in self._watched:
                await self._ask(one)
        for name, account in zip(self._names, await self._accounts.look(self._names), strict=True):
            if (amount := _amount(account.balance)) is not None:
                metrics.CHANNEL_BALANCE.labels(name).set(amount)
        return LOOK_SECONDS

    async def leave(self) -> None:
        await self._leases.release(_LEASE, self._holder)

    @property
    def _names(self) -> list[str]:
        return [one.channel.name for one in self._watched]

    async def _ask(self, one: Watched) -> None:
        name = one.channel.name
        if name in self._mute:
            return
        try:
            told = await one.channel.balance()
        except NoBalance:
            self._mute.add(name)
            return
        except ChannelError as error:
            if (unsaid := self._seldom.say(time.monotonic(), name)) is not None:
                _LOG.warning("a channel tells no balance", channel=name, error=str(error), before=unsaid)
            await self._telling[name].note("balance", str(error) or type(error).__name__)
            return
        # Another worker's lease may have begun while the gateway thought: then it asks, and tells.
        if await self._leases.hold(_LEASE, self._holder, round(ASK_SECONDS * 1000)):
            await self._note(one, told.remaining)
            await self._telling[name].note("balance")

    async def _note(self, one: Watched, balance: str) -> None:
        name, amount = one.channel.name, _amount(balance)
        [before] = await self._accounts.look([name])
        is_low = _is_low(amount, one.low, before)
        if is_low and not before.is_low:
            _LOG.warning("a balance is low", channel=name, balance=balance, balance_low=one.low)
            # First: an event that is told twice after a crash is better than one that never is.
            await self._events.emit("balance.low", {"channel": name, "balance": balance, "balance_low": one.low})
        await self._accounts.note(name, balance, is_low)


def _is_low(amount: float | None, low: float | None, before: Account) -> bool:
    """What can't be read as a number leaves it as it was."""
    if low is None:
        return False
    return before.is_low if amount is None else amount < low


def _amount(balance: str) -> float | None:
    try:
        amount = float(balance)
    except ValueError:
        return None
    return amount if math.isfinite(amount) else None
