"""The centre behind every protocol: it takes what was checked, charges, shows, and lets faults happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol as Interface
from uuid import uuid4

from otp_service.simulator import faults, words
from otp_service.simulator.accounts import Account, Accounts
from otp_service.simulator.deliveries import Deliveries
from otp_service.simulator.exchange import Exchange
from otp_service.simulator.faults import Fault, Row
from otp_service.simulator.forms import Form
from otp_service.simulator.inbox import Inbox, Message
from otp_service.simulator.journal import Journal, text_hash
from otp_service.simulator.mailbags import HandsetReplies, Report, Reports
from otp_service.simulator.odd_answers import Case
from otp_service.simulator.protocol_words import Protocol
from otp_service.simulator.push import Push
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
    protocol: Protocol
    number: int
    """Of the request: they only grow."""


@dataclass(frozen=True, slots=True)
class Order:
    """A message that has passed every check of its protocol: to whom, what, and on whose account."""

    account: Account
    mobiles: tuple[str, ...]
    content: str
    parts: int
    profile: str
    """Of the family's manners; empty for other protocols."""
    at: float
    send_at: float | None = None
    """When it was asked to be sent; None is now."""
    extno: str = ""
    code: str | None = None
    """The code in it, as the handset's owner would type it."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """What answers and reports repeat of the request, by names of the protocol's own."""
    callback: str = ""
    """Where the request wants its reports; empty: where the account does, if anywhere."""


class Answers(Interface):
    """How the answers to one request are written: the protocol's own words, in its own layout."""

    def refusal(self, refused: Refused) -> Response: ...

    def spoken(self, refused: Refused) -> Refused:
        """The same refusal in the protocol's own words."""
        ...

    def success(self, order: Order) -> tuple[Case, tuple[str, ...]]:
        """The occasion of an acceptance, and the taskID of each number."""
        ...

    def meets(self, fault: Fault) -> bool:
        """Whether that fault makes sense here."""
        ...

    def waits(self, *, pushed: bool) -> bool:
        """Whether a report waits to be fetched, given that it is pushed or not."""
        ...

    def push(self, order: Order, report: Report, url: str) -> Push:
        """A report, as it is pushed."""
        ...


class Centre:
    """All state of the sending side. One event loop uses it, so nothing here is locked."""

    def __init__(
        self,
        accounts: Accounts,
        inbox: Inbox,
        journal: Journal,
        deliveries: Deliveries,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = accounts
        self.inbox = inbox
        self.reports = Reports()
        self.replies = HandsetReplies()
        self.conditions = Conditions()
        self.now = now
        self.journal = journal
        self._deliveries = deliveries
        self._requests = count(1)
        # Seconds since 1970 to begin with, so that ids of an earlier run don't come back.
        self._tasks = count(int(now()))
        self._scheduled = 0

    def next_task(self) -> int:
        return next(self._tasks)

    def receive(self, request: Request, form: Form, protocol: Protocol, code: str | None) -> Seen:
        """Note that a request for a send is here."""
        seen = Seen(request, form, self.now(), protocol, next(self._requests))
        if not self.journal.on:
            return seen
        account = self.accounts.find(protocol, form.get("account"))
        self.journal.write(
            "received",
            request=seen.number,
            account=account.name if account is not None else form.get("account"),
            protocol=protocol,
            mobile=form.get("mobile"),
            code=code,
            text_sha256=text_hash(form.get("content")),
        )
        return seen

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
        spoken = answers.spoken(refused)
        self._turned_down(seen, spoken, reply)
        return self._noted(seen, reply, refused.refusal.name, spoken.message)

    def _turned_down(self, seen: Seen, refused: Refused, reply: Reply) -> None:
        exchange = Exchange.of(seen.request, seen.form, reply)
        self.inbox.refuse(seen.request.path, seen.at, seen.protocol, refused, exchange)

    def _noted(self, seen: Seen, reply: Reply, outcome: str, words: str, fault: str | None = None) -> Reply:
        return self.journal.follow(reply, request=seen.number, outcome=outcome, words=words, fault=fault)

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
        self._turned_down(seen, _by_fault(fault), reply)
        return self._noted(seen, reply, fault.name, fault.about)

    def _accept(self, seen: Seen, order: Order, answers: Answers, fault: Fault | None) -> Reply:
        account = order.account
        account.charge(order.mobiles, order.parts, order.at)
        case, tasks = answers.success(order)
        reply = case.honest() if fault is None else fault.reply(case)
        exchange = Exchange.of(seen.request, seen.form, reply)
        at = order.at if order.send_at is None else order.send_at
        rows = _REPORT_ROWS[account.settings.report] if fault is None or fault.reports is None else fault.reports
        name = fault.name if fault is not None else None
        for mobile, task in zip(order.mobiles, tasks, strict=True):
            self._note_accepted(seen, order, mobile, task)
            for row in rows:
                report = Report(mobile, task, row.status, row.errorcode, at, order.extno, extras=order.extras)
                self._plan(order, answers, report, row.delay)
            self._show_at(at, order, mobile, task, exchange, name)
        return self._noted(seen, reply, "accepted", "", name)

    def _note_accepted(self, seen: Seen, order: Order, mobile: str, task: str) -> None:
        account, protocol = order.account.name, order.account.protocol
        facts = {"account": account, "protocol": protocol, "mobile": mobile, "code": order.code, "taskid": task}
        self.journal.write("accepted", request=seen.number, **facts)

    def _plan(self, order: Order, answers: Answers, report: Report, delay: float) -> None:
        account = order.account
        due = report.at + account.settings.report_delay + delay
        url = order.callback or account.settings.report_url
        if url:
            named = replace(report, id=f"rep_{uuid4().hex}")
            facts = self._facts(account, named)
            self._deliveries.plan(due - self.now(), lambda: answers.push(order, named, url), facts)
        if answers.waits(pushed=bool(url)):
            self.reports.plan(account.name, due, report)

    def hand_out(self, account: Account, most: int, taskid: str = "") -> Sequence[Report]:
        """Reports that are due and wait to be fetched, once each."""
        found = self.reports.take(account.name, self.now(), most, taskid)
        for report in found:
            self.journal.write("report", how="polled", **self._facts(account, report))
        return found

    def _facts(self, account: Account, report: Report) -> dict[str, str]:
        return {
            "account": account.name,
            "protocol": account.protocol,
            "mobile": report.mobile,
            "taskid": report.taskid,
            "state": report.state,
            "errorcode": report.errorcode,
        }

    def _show_at(self, at: float, order: Order, mobile: str, task: str, exchange: Exchange, fault: str | None) -> None:
        def show() -> None:
            found = Message(
                self.inbox.next_id(),
                mobile,
                order.content,
                order.code,
                order.account.name,
                order.account.protocol,
                order.account.id,
                task,
                at,
                order.profile,
                exchange,
                fault,
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
        self._deliveries.clear()
        self.replies.clear()
        self.conditions = Conditions()
        self.inbox.clear()
        self.inbox.forget_refusals()


def _by_fault(fault: Fault) -> Refused:
    by_number = words.Refusal("fault", "{}", "", words.PROVOKED, words.PROVOKED_ZH)
    return Refused(replace(by_number, name=fault.name), fault.about)
