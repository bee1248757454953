"""What the desks of all protocols do alike: check a draft, refuse it in their words, or hand it to the centre."""

from __future__ import annotations

import binascii
import json
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from otp_service.simulator import faults, texts, words
from otp_service.simulator.accounts import Account
from otp_service.simulator.centre import Centre, Order, Seen
from otp_service.simulator.checks import blocked_word
from otp_service.simulator.faults import Fault, makes_sense
from otp_service.simulator.forms import Form
from otp_service.simulator.mailbags import Report
from otp_service.simulator.odd_answers import Case
from otp_service.simulator.protocol_words import WORDS, Protocol, Said
from otp_service.simulator.push import Push
from otp_service.simulator.wire import Reply, Request, Response
from otp_service.simulator.words import Refused

_HINTS = {
    "credentials_missing": ("Send the account's id and its secret or signature.", "请带上账户标识与密钥或签名。"),
    "credentials": ("No such account, or its secret is not the right one.", "账户不存在，或密钥不正确。"),
    "sign": (
        "The signature is not that of this request with the account's secret: compare host, headers and body.",
        "签名与请求不符：请核对密钥、host、参与签名的头部与请求体。",
    ),
    "timestamp": ("The caller's clock is too far off.", "调用方时钟误差过大。"),
    "mobile": ("No number was given.", "没有填写号码。"),
    "number": ("Write numbers as E.164: + country code and digits.", "号码请用 E.164 格式：+ 国家码和数字。"),
    "content": ("There is no text, or no template.", "没有短信内容或模板。"),
}
"""Where the family's hint speaks of its own fields."""
_REFUSALS = {
    refusal.name: refusal
    for refusal in (
        *(words.ACTION, words.CREDENTIALS_MISSING, words.SIGN, words.TIMESTAMP, words.CREDENTIALS, words.MOBILE),
        *(words.CONTENT, words.CONTENT_LENGTH, words.NUMBER, words.BLACKLIST, words.SIGNATURE, words.TEMPLATE),
        *(words.KEYWORD, words.EXTNO, words.BATCH, words.FREQUENCY, words.BALANCE, words.SENDER, words.PARAMETERS),
        words.NONCE,
    )
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as a protocol read it, before its content is checked. `mobiles` are in the inbox's spelling."""

    account: Account
    mobiles: tuple[str, ...]
    content: str
    code: str | None
    extras: Mapping[str, str] = field(default_factory=dict)
    """What reports and answers repeat of the request, by names of the protocol's own."""
    callback: str = ""

    @property
    def parts(self) -> int:
        return texts.size(self.content).parts


class Desk(ABC):
    """One protocol. A subclass reads requests and writes answers; the rest is here."""

    protocol: ClassVar[Protocol]

    def __init__(self, centre: Centre) -> None:
        self.centre = centre

    @abstractmethod
    def takes(self, request: Request) -> bool:
        """Whether that request is of this protocol."""

    @abstractmethod
    async def handle(self, request: Request) -> Reply: ...

    @abstractmethod
    def refusal(self, said: Said, seen: Seen) -> Response:
        """A refusal, laid out."""

    @abstractmethod
    def success(self, order: Order) -> tuple[Response, tuple[str, ...]]:
        """The answer to an accepted order, and the id of each of its messages."""

    def waits(self, *, pushed: bool) -> bool:
        """Whether reports wait to be fetched; most protocols know pushes only."""
        return False

    @abstractmethod
    def push(self, order: Order, report: Report, url: str) -> Push:
        """A report, as the protocol pushes it."""

    def account(self, account_id: str) -> Account | None:
        return self.centre.accounts.find(self.protocol, account_id)

    def seen(self, request: Request, fields: Mapping[str, str], code: str | None = None) -> Seen:
        """Note a request for a send. `fields` have the family's names: account, mobile, content."""
        return self.centre.receive(request, Form(dict(fields)), self.protocol, code)

    def refuse(self, seen: Seen, name: str) -> Reply:
        """Refuse for a reason that this protocol has words for."""
        known = _REFUSALS[name]
        hint, hint_zh = _HINTS.get(name, (known.hint, known.hint_zh))
        refused = Refused(replace(known, hint=hint, hint_zh=hint_zh))
        return self.centre.refuse(seen, _Answers(self, seen), refused)

    async def send(self, seen: Seen, draft: Draft) -> Reply:
        """Check the content of a draft whose sender is known, and hand it over."""
        name = self._objection(draft)
        if name is not None:
            return self.refuse(seen, name)
        order = Order(
            draft.account,
            draft.mobiles,
            draft.content,
            draft.parts,
            "",
            seen.at,
            code=draft.code,
            extras=draft.extras,
            callback=draft.callback,
        )
        return await self.centre.submit(seen, order, _Answers(self, seen))

    def _objection(self, draft: Draft) -> str | None:
        """The first check that a draft fails, among those that this protocol has words for."""
        account, rules, now = draft.account, draft.account.settings, self.centre.now()
        objections = (
            ("blacklist", bool(set(draft.mobiles) & set(rules.blacklist))),
            ("content_length", len(draft.content) > rules.max_length),
            ("keyword", bool(blocked_word(account, draft.content))),
            ("batch", len(draft.mobiles) > rules.max_numbers),
            ("frequency", any(account.too_often(mobile, now) for mobile in draft.mobiles)),
            ("balance", not rules.postpaid and account.balance < draft.parts * len(draft.mobiles)),
        )
        return next((name for name, holds in objections if holds and name in WORDS[self.protocol]), None)

    def answer(self, account: Account, response: Response) -> Reply:
        """An answer to a query, unless the account's `query_fault` spoils it."""
        name = account.query_fault.take()
        return response if name is None else faults.BY_NAME[name].reply(Case.plain(response))

    def pulled(self, account: Account, most: int) -> Sequence[Report]:
        """Reports that are due, handed out once."""
        return self.centre.hand_out(account, most)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the centre asks of a desk while it deals with one request."""

    desk: Desk
    seen: Seen

    def waits(self, *, pushed: bool) -> bool:
        return self.desk.waits(pushed=pushed)

    def spoken(self, refused: Refused) -> Refused:
        said = WORDS[self.desk.protocol][refused.refusal.name]
        return Refused(replace(refused.refusal, message=f"{said.code} {said.message}", resp_code=said.code))

    def refusal(self, refused: Refused) -> Response:
        return self.desk.refusal(WORDS[self.desk.protocol][refused.refusal.name], self.seen)

    def success(self, order: Order) -> tuple[Case, tuple[str, ...]]:
        response, tasks = self.desk.success(order)
        return Case.plain(response, order.mobiles[0]), tasks

    def meets(self, fault: Fault) -> bool:
        return makes_sense(fault, self.desk.protocol)

    def push(self, order: Order, report: Report, url: str) -> Push:
        return self.desk.push(order, report, url)


def basic(request: Request) -> tuple[str, str] | None:
    """User and password of Basic authentication, empty when they can't be read; None when there is none."""
    kind, _, given = request.header(b"authorization").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def json_response(found: Any, status: int = 200) -> Response:
    body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, "application/json; charset=utf-8")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, or None."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def code_among(values: Sequence[str]) -> str | None:
    """The code among the parameters of a template: the only value of 4–10 digits."""
    found = [value for value in values if value.isascii() and value.isdecimal() and 4 <= len(value) <= 10]
    return found[0] if len(found) == 1 else None
