"""The gateway: reads a request of the family, checks it, accepts or refuses it, and answers in the caller's dialect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from uuid import uuid4

from otp_service.simulator import checks, dialects, faults, forms, words
from otp_service.simulator.accounts import Account, Accounts
from otp_service.simulator.checks import Submission
from otp_service.simulator.dialects import Answer, Profile, Shape, Style
from otp_service.simulator.endpoints import Endpoint, Task
from otp_service.simulator.exchange import Exchange
from otp_service.simulator.faults import Fault, Row
from otp_service.simulator.inbox import Inbox, Message
from otp_service.simulator.mailbags import HandsetReplies, Report, Reports
from otp_service.simulator.odd_answers import Case
from otp_service.simulator.wire import Reply, Request, Response
from otp_service.simulator.words import Refused

_HTTP_METHODS = frozenset({"GET", "POST"})
_MAX_SCHEDULED = 10_000
_DEFAULT_ROWS = 4000
"""`statusNum` when it is not given."""
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


class Gateway:
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

    async def handle(self, endpoint: Endpoint, request: Request) -> Reply:
        """Answer one request of the family."""
        if request.method not in _HTTP_METHODS:
            return Response(405, b"GET or POST", headers=((b"allow", b"GET, POST"),))
        miaodi = endpoint.profile is Profile.MIAODI
        form = forms.read(request, endpoint.charsets, miaodi=miaodi)
        sub = checks.submission(endpoint, form, self.accounts, self.now())
        style = _style(sub)
        action = "send" if miaodi else form.get("action").lower()
        if endpoint.task is not Task.SMS:
            return self._query(sub, style, action)
        if action == "send":
            return await self._send(sub, style, request)
        asked = {"overage": self._overage, "checkkeyword": self._keywords}.get(action)
        refused = Refused(words.ACTION) if asked is None else checks.first_refusal(checks.WHO, sub)
        if refused is not None or asked is None:
            assert refused is not None
            return self._refuse(sub, style, request, refused)
        return style.response(asked(sub, style))

    def _overage(self, sub: Submission, style: Style) -> str:
        account = sub.known
        return dialects.overage(style, account.balance, account.sent, postpaid=account.settings.postpaid)

    def _keywords(self, sub: Submission, style: Style) -> str:
        return dialects.keywords(style, checks.blocked_word(sub.known, sub.content))

    def _query(self, sub: Submission, style: Style, action: str) -> Reply:
        kind = sub.endpoint.task.value
        refused = Refused(words.ACTION) if action != "query" else checks.first_refusal(checks.WHO, sub)
        if refused is not None:
            return style.response(dialects.query_error(style, kind, refused.refusal.name, refused.message))
        name = sub.known.query_fault.take()
        fault = None if name is None else faults.BY_NAME[name]
        # A fault that accepts nothing hands nothing out; behind the others the rows are gone, as in the field.
        rows = self._rows(sub) if fault is None or fault.accepts else []
        response = style.response(dialects.boxes(style, kind, rows))
        if fault is None:
            return response
        return fault.reply(Case(Answer(False, "", ""), style, "", response))

    def _rows(self, sub: Submission) -> list[dict[str, str]]:
        asked = sub.form.get("statusnum")
        most = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else _DEFAULT_ROWS
        if sub.endpoint.task is Task.REPLIES:
            return [reply.leaves() for reply in self.replies.take(sub.known.name, most)]
        return [report.leaves() for report in self.reports.take(sub.known.name, sub.now, most, sub.form.get("taskid"))]

    async def _send(self, sub: Submission, style: Style, request: Request) -> Reply:
        refused = checks.first_refusal(checks.WHO, sub) or checks.first_refusal(checks.WHAT, sub)
        if refused is not None:
            return self._refuse(sub, style, request, refused)
        fault = self._fault(sub, style)
        if fault is not None and fault.refused is not None:
            reply: Reply = self._refuse(sub, style, request, fault.refused)
        elif fault is not None and not fault.accepts:
            reply = self._turn_away(sub, style, request, fault)
        else:
            reply = self._accept(sub, style, request, fault)
        latency = max(sub.known.settings.latency_ms, self.conditions.latency_ms)
        if latency:
            # The message was accepted on arrival: a caller that gives up now can't know.
            await asyncio.sleep(latency / 1000)
        return reply

    def _fault(self, sub: Submission, style: Style) -> Fault | None:
        account = sub.known
        name = account.fault.take()
        if name is not None:
            return faults.BY_NAME[name]
        if account.take_error() or self.conditions.take_error():
            return faults.BY_NAME["http_503"]
        if not account.settings.number_faults:
            return None
        found = (faults.of_number(mobile, style.shape) for mobile in sub.mobiles)
        return next((fault for fault in found if fault is not None), None)

    def _refuse(self, sub: Submission, style: Style, request: Request, refused: Refused) -> Response:
        answer = Answer(False, refused.message, refused.refusal.resp_code)
        reply = style.response(dialects.layout(answer, style))
        self.inbox.refuse(request.path, sub.now, refused, Exchange.of(request, sub.form, reply))
        return reply

    def _turn_away(self, sub: Submission, style: Style, request: Request, fault: Fault) -> Reply:
        """A fault after which the message is nowhere."""
        reply = fault.reply(Case(self._success(sub), style, sub.mobiles[0]))
        self.inbox.refuse(request.path, sub.now, _by_fault(fault), Exchange.of(request, sub.form, reply))
        return reply

    def _accept(self, sub: Submission, style: Style, request: Request, fault: Fault | None) -> Reply:
        account = sub.known
        account.charge(sub.mobiles, sub.parts, sub.now)
        answer = self._success(sub)
        case = Case(answer, style, sub.mobiles[0])
        reply = case.honest() if fault is None else fault.reply(case)
        exchange = Exchange.of(request, sub.form, reply)
        at = sub.now if sub.send_at is None else sub.send_at
        rows = _REPORT_ROWS[account.settings.report] if fault is None or fault.reports is None else fault.reports
        for row in rows:
            for mobile in sub.mobiles:
                report = Report(mobile, answer.task, row.status, row.errorcode, at, sub.form.get("extno"))
                self.reports.plan(account.name, at + account.settings.report_delay + row.delay, report)
        for mobile in sub.mobiles:
            self._show_at(at, sub, mobile, answer.task, exchange, fault)
        return reply

    def _show_at(
        self, at: float, sub: Submission, mobile: str, task: str, exchange: Exchange, fault: Fault | None
    ) -> None:
        def show() -> None:
            name = fault.name if fault is not None else None
            account = sub.known.name
            found = Message(self.inbox.next_id(), mobile, sub.content, account, task, at, sub.profile, exchange, name)
            self.inbox.add(found)

        def show_later() -> None:
            self._scheduled -= 1
            show()

        if at <= sub.now or self._scheduled >= _MAX_SCHEDULED:
            show()
        else:
            self._scheduled += 1
            asyncio.get_running_loop().call_later(at - sub.now, show_later)

    def _success(self, sub: Submission) -> Answer:
        task = str(next(self._tasks))
        if sub.profile is Profile.HUAXIN:
            task = dialects.clock(sub.now)[:10].replace("-", "") + task[-8:]
        elif sub.profile is Profile.MIAODI:
            task = uuid4().hex
        return Answer(True, "ok", "00000", sub.known.balance, task, len(sub.mobiles))

    def reset(self) -> None:
        """Everything as at the start."""
        self.accounts.reset()
        self.reports.clear()
        self.replies.clear()
        self.conditions = Conditions()
        self.inbox.clear()
        self.inbox.forget_refusals()


def _style(sub: Submission) -> Style:
    chosen: Account | None = sub.account
    shape = chosen.settings.answer if chosen is not None else None
    if shape is None:
        shape = dialects.SHAPES.get(sub.profile, Shape.XML)
        if shape is Shape.XML and sub.form.get("rt").lower() == "json":
            shape = Shape.PASCAL
    return Style(shape, sub.endpoint.charset)


def _by_fault(fault: Fault) -> Refused:
    by_number = words.Refusal("fault", "{}", "", words.PROVOKED, words.PROVOKED_ZH)
    return Refused(replace(by_number, name=fault.name), fault.about)
