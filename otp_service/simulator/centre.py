"""The centre behind every protocol: it takes what was checked, charges, shows, reports, and lets faults happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from otp_service.simulator import faults, words
from otp_service.simulator.accounts import Account, Accounts
from otp_service.simulator.exchange import Exchange
from otp_service.simulator.faults import Fault, Row
from otp_service.simulator.forms import Form
from otp_service.simulator.inbox import Inbox, Message
from otp_service.simulator.mailbags import HandsetReplies, Report, Reports
from otp_service.simulator.odd_answers import Case
from otp_service.simulator.wire import Reply, Request, Response
from otp_service.simulator.words import Refused

_MAX_SCHEDULED = 10_000
_REPORT_ROWS = {
    "delivered": (Row(),),
    "failed": (Row(0.0, "20", "UNDELIV"),),
    "none": (),
}


@dataclass(slots=True)
class Conditions:
    """How the whole gateway fares, whatever the account: `PUT /api/gateway`."""

    latency_ms: int = 0
    error_rate: float = 0.0
    error_debt: float = 0.0

    def take_error(self) -> bool:
        self.error_debt += self.error_rate
        if self.error_debt < 1:
            return False
        self.error_debt -= 1
        return True


@dataclass(frozen=True, slots=True)
class Seen:
    """A request for a send as it arrived. `form` has the family's names for account, mobile and content."""

    request: Request
    form: Form
    at: float


@dataclass(frozen=True, slots=True)
class Order:
    """A message that has passed every check of its protocol: to whom, what, and on whose account."""

    account: Account
    mobiles: tuple[str, ...]
    content: str
    parts: int
    profile: str
    at: float
    send_at: float | None = None
    """When it was asked to be sent; None is now."""
    extno: str = ""


class Answers(Protocol):
    """How the answers to one request are written: the protocol's own words, in its own layout."""

    def refusal(self, refused: Refused) -> Response: ...

    def success(self, order: Order) -> tuple[Case, tuple[str, ...]]:
        """The occasion of an acceptance, and the taskID of each number."""
        ...

    def meets(self, fault: Fault) -> bool:
        """Whether that fault makes sense here."""
        ...


class Centre:
    """All state of the sending side. One event loop uses it, so nothing here is locked."""

    def __init__(self, accounts: Accounts, inbox: Inbox, now: Callable[[], float] = time.time) -> None:
        self.accounts = accounts
        self.inbox = inbox
        self.reports = Reports()
        self.replies = HandsetReplies()
        self.conditions = Conditions()
        self.now = now
        # Seconds since 1970 to begin with, so that ids of an earlier run don't come back.
        self._tasks = count(int(now()))
        self._scheduled = 0

    def next_task(self) -> int:
        return next(self._tasks)

    async def submit(self, seen: Seen, order: Order, answers: Answers) -> Reply:
        """Take one message, or let it meet its fault."""
        fault = self._fault(order, answers)
        if fault is not None and fault.refused is not None:
            reply: Reply = self.refuse(seen, answers, fault.refused)
        elif fault is not None and not fault.accepts:
            reply = self._turn_away(seen, order, answers, fault)
        else:
            reply = self._accept(seen, order, answers, fault)
        latency = max(order.account.settings.latency_ms, self.conditions.latency_ms)
        if latency:
            # The message was accepted on arrival: a caller that gives up now can't know.
            await asyncio.sleep(latency / 1000)
        return reply

    def refuse(self, seen: Seen, answers: Answers, refused: Refused) -> Reply:
        reply = answers.refusal(refused)
        self.inbox.refuse(seen.request.path, seen.at, refused, Exchange.of(seen.request, seen.form, reply))
        return reply

    def _fault(self, order: Order, answers: Answers) -> Fault | None:
        account = order.account
        name = account.fault.take()
        if name is not None:
            return faults.BY_NAME[name]
        if account.take_error() or self.conditions.take_error():
            return faults.BY_NAME["http_503"]
        if not account.settings.number_faults:
            return None
        found = (faults.of_number(mobile) for mobile in order.mobiles)
        return next((fault for fault in found if fault is not None and answers.meets(fault)), None)

    def _turn_away(self, seen: Seen, order: Order, answers: Answers, fault: Fault) -> Reply:
        """A fault after which the message is nowhere."""
        case, _ = answers.success(order)
        reply = fault.reply(case)
        self.inbox.refuse(seen.request.path, seen.at, _by_fault(fault), Exchange.of(seen.request, seen.form, reply))
        return reply

    def _accept(self, seen: Seen, order: Order, answers: Answers, fault: Fault | None) -> Reply:
        account = order.account
        account.charge(order.mobiles, order.parts, order.at)
        case, tasks = answers.success(order)
        reply = case.honest() if fault is None else fault.reply(case)
        exchange = Exchange.of(seen.request, seen.form, reply)
        at = order.at if order.send_at is None else order.send_at
        rows = _REPORT_ROWS[account.settings.report] if fault is None or fault.reports is None else fault.reports
        for row in rows:
            for mobile, task in zip(order.mobiles, tasks, strict=True):
                report = Report(mobile, task, row.status, row.errorcode, at, order.extno)
                self.reports.plan(account.name, at + account.settings.report_delay + row.delay, report)
        for mobile, task in zip(order.mobiles, tasks, strict=True):
            self._show_at(at, order, mobile, task, exchange, fault)
        return reply

    def _show_at(
        self, at: float, order: Order, mobile: str, task: str, exchange: Exchange, fault: Fault | None
    ) -> None:
        def show() -> None:
            name = fault.name if fault is not None else None
            account = order.account.name
            found = Message(
                self.inbox.next_id(), mobile, order.content, account, task, at, order.profile, exchange, name
            )
            self.inbox.add(found)

        def show_later() -> None:
            self._scheduled -= 1
            show()

        if at <= order.at or self._scheduled >= _MAX_SCHEDULED:
            show()
        else:
            self._scheduled += 1
            asyncio.get_running_loop().call_later(at - order.at, show_later)

    def reset(self) -> None:
        """Everything as at the start."""
        self.accounts.reset()
        self.reports.clear()
        self.replies.clear()
        self.conditions = Conditions()
        self.inbox.clear()
        self.inbox.forget_refusals()


def _by_fault(fault: Fault) -> Refused:
    by_number = words.Refusal("fault", "{}", "", words.PROVOKED, words.PROVOKED_ZH)
    return Refused(replace(by_number, name=fault.name), fault.about)
