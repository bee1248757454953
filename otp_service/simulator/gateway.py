"""The gateway of the family: reads a request, checks it, and answers in the caller's dialect."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from otp_service.simulator import checks, dialects, faults, forms, texts, words
from otp_service.simulator.centre import Centre, Order, Seen
from otp_service.simulator.checks import Submission
from otp_service.simulator.dialects import Answer, Profile, Shape, Style
from otp_service.simulator.endpoints import Endpoint, Task
from otp_service.simulator.faults import Fault
from otp_service.simulator.mailbags import Report
from otp_service.simulator.odd_answers import Case
from otp_service.simulator.protocol_words import Protocol
from otp_service.simulator.push import Push, standard_headers
from otp_service.simulator.wire import Reply, Request, Response
from otp_service.simulator.words import Refused

_HTTP_METHODS = frozenset({"GET", "POST"})
_DEFAULT_ROWS = 4000
"""`statusNum` when it is not given."""


@dataclass(frozen=True, slots=True)
class FamilyAnswers:
    """The answers to one request of the family."""

    centre: Centre
    sub: Submission
    style: Style

    def spoken(self, refused: Refused) -> Refused:
        return refused

    def refusal(self, refused: Refused) -> Response:
        answer = Answer(False, refused.message, refused.refusal.resp_code)
        return self.style.response(dialects.layout(answer, self.style))

    def success(self, order: Order) -> tuple[Case, tuple[str, ...]]:
        task = str(self.centre.next_task())
        if self.sub.profile is Profile.HUAXIN:
            task = dialects.clock(order.at)[:10].replace("-", "") + task[-8:]
        elif self.sub.profile is Profile.MIAODI:
            task = uuid4().hex
        answer = Answer(True, "ok", "00000", order.account.balance, task, len(order.mobiles))
        return Case(answer, self.style, order.mobiles[0]), (task,) * len(order.mobiles)

    def meets(self, fault: Fault) -> bool:
        return not fault.miaodi_only or self.style.shape is Shape.MIAODI

    def waits(self, *, pushed: bool) -> bool:
        return not pushed

    def push(self, order: Order, report: Report, url: str) -> Push:
        """The row as a query would have got it; miaodi, which has no query, as its JSON twin."""
        shape = Shape.LOWER if self.style.shape is Shape.MIAODI else self.style.shape
        style = Style(shape, self.style.charset)
        response = style.response(dialects.boxes(style, Task.REPORTS, [report.leaves()]))
        secret = order.account.settings.report_secret
        headers = standard_headers(secret, report.id, self.centre.now(), response.body) if secret else ()
        return Push(url, response.body, response.content_type, headers)


class Gateway:
    """The family's paths, before the centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    async def handle(self, endpoint: Endpoint, request: Request) -> Reply:
        """Answer one request of the family."""
        if request.method not in _HTTP_METHODS:
            return Response(405, b"GET or POST", headers=((b"allow", b"GET, POST"),))
        miaodi = endpoint.profile is Profile.MIAODI
        form = forms.read(request, endpoint.charsets, miaodi=miaodi)
        sub = checks.submission(endpoint, form, self._centre.accounts, self._centre.now())
        style = _style(sub)
        action = "send" if miaodi else form.get("action").lower()
        if endpoint.task is not Task.SMS:
            return self._query(sub, style, action)
        answers = FamilyAnswers(self._centre, sub, style)
        if action == "send":
            return await self._send(request, sub, answers)
        asked = {"overage": self._overage, "checkkeyword": self._keywords}.get(action)
        refused = Refused(words.ACTION) if asked is None else checks.first_refusal(checks.WHO, sub)
        if refused is not None or asked is None:
            assert refused is not None
            return self._centre.refuse(self._seen(request, sub, None), answers, refused)
        return style.response(asked(sub, style))

    def _seen(self, request: Request, sub: Submission, code: str | None) -> Seen:
        return self._centre.receive(request, sub.form, Protocol.SMS_ASPX, code)

    async def _send(self, request: Request, sub: Submission, answers: FamilyAnswers) -> Reply:
        code = texts.code_in(sub.content)
        seen = self._seen(request, sub, code)
        refused = checks.first_refusal(checks.WHO, sub) or checks.first_refusal(checks.WHAT, sub)
        if refused is not None:
            return self._centre.refuse(seen, answers, refused)
        order = Order(
            sub.known,
            sub.mobiles,
            sub.content,
            sub.parts,
            sub.profile,
            sub.now,
            send_at=sub.send_at,
            extno=sub.form.get("extno"),
            code=code,
        )
        return await self._centre.submit(seen, order, answers)

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
        return response if fault is None else fault.reply(Case.plain(response))

    def _rows(self, sub: Submission) -> list[dict[str, str]]:
        asked, centre = sub.form.get("statusnum"), self._centre
        most = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else _DEFAULT_ROWS
        if sub.endpoint.task is Task.REPLIES:
            return [reply.leaves() for reply in centre.replies.take(sub.known.name, most)]
        return [report.leaves() for report in centre.hand_out(sub.known, most, sub.form.get("taskid"))]


def _style(sub: Submission) -> Style:
    shape = sub.account.settings.answer if sub.account is not None else None
    if shape is None:
        shape = dialects.SHAPES.get(sub.profile, Shape.XML)
        if shape is Shape.XML and sub.form.get("rt").lower() == "json":
            shape = Shape.PASCAL
    return Style(shape, sub.endpoint.charset)
