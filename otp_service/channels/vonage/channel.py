"""One account of Vonage: what the worker hands a message to, and what reads Vonage's delivery receipts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from otp_service.channels.calls import FORM, OF_ANOTHER, Call, ask, basic_auth, deliver, hidden, is_another
from otp_service.channels.http import GatewayClient, HttpAnswer
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import CONFIG, UNKNOWN, by_status, refused, succeeded, waiting
from otp_service.channels.json_answers import Document, read_document, rows_of, text_of
from otp_service.channels.pushes import body_json, body_text, form_fields, query_fields
from otp_service.channels.signing import same
from otp_service.channels.vonage.codes import FAILURES, REFUSALS
from otp_service.channels.vonage.signature import signature
from otp_service.channels.words import gateway_words
from otp_service.ports import Balance, ChannelError, Message, Outcome, Push, PushRefused, Report, TryResult
from otp_service.sms_parts import count_parts

_NUMBER = re.compile(r"[1-9][0-9]{4,14}")
_STALE = 86_400.0
"""Seconds: Vonage repeats a receipt that nobody took for a day."""
_STATES = {"delivered": True, "failed": False, "rejected": False, "expired": False}
Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class VonageSettings:
    """One channel."""

    name: str
    url: str
    api_key: str
    api_secret: str = field(repr=False)
    sender: str
    """A number without +, or a sender name."""
    signature_secret: str = field(default="", repr=False)
    """Signs requests in the place of `api_secret`, and receipts; empty: no receipt is taken."""
    signature_method: str = "md5hash"
    callback: str = ""
    answer_within: float = 1.5
    deadline: float = 5.0
    proxy: str = field(default="", repr=False)


class VonageChannel(HttpChannel[VonageSettings]):
    """Implements `ports.Channel` and `ports.Pushing`."""

    def __init__(
        self,
        settings: VonageSettings,
        *,
        clock: Callable[[], float] = time.time,
        client: GatewayClient | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, client=client)
        self._login = basic_auth(settings.api_key, settings.api_secret)
        self._secrets = (settings.api_secret, settings.signature_secret, self._login.removeprefix("Basic "))

    async def deliver(self, message: Message) -> TryResult:
        fields = self._signed(self._fields(message))
        secrets = (*self._secrets, *(value for name, value in fields if name == "sig"))
        call = Call(
            self._address("/sms/json"),
            {"Content-Type": FORM},
            urlencode(fields).encode(),
            hide=hidden(message, *secrets),
        )
        return await deliver(self._client, call, self.deadline, partial(_judge, message.to))

    async def balance(self) -> Balance:
        """The login goes into the header: Vonage takes it in the query as well, where it would end up in logs."""
        address = self._address("/account/get-balance")
        call = Call(address, {"Authorization": self._login}, method="GET", hide=self._secrets)
        amount = text_of(await ask(self._client, call, self.deadline), "value")
        if not amount:
            raise ChannelError("the gateway's answer holds no balance")
        return Balance(amount, "EUR")

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        """A receipt in the query, or in a form or JSON body, as the account's settings at Vonage say."""
        secret = self._settings.signature_secret
        if not secret:
            raise PushRefused("signature_secret is not set, so no receipt can be known as genuine")
        fields = _receipt_fields(push)
        given = dict(fields)
        expected = signature(self._settings.signature_method, secret, fields)
        if not same(given.get("sig", "").lower(), expected):
            raise PushRefused("sig is missing or not of these fields, signature_secret and signature_method")
        stamp = given.get("timestamp", "")
        if not re.fullmatch("[0-9]{1,12}", stamp) or abs(now - int(stamp)) > _STALE:
            raise PushRefused("timestamp is missing, or more than a day away")
        if not given.get("messageId") or not given.get("status"):
            raise PushRefused("the receipt names no messageId and status")
        return [_report(given)]

    def _address(self, path: str) -> str:
        return self._settings.url.rstrip("/") + path

    def _fields(self, message: Message) -> Fields:
        settings = self._settings
        fields = [
            ("api_key", settings.api_key),
            ("from", message.extno or settings.sender),
            ("to", message.to.removeprefix("+")),
            ("text", message.text),
            ("type", "unicode" if count_parts(message.text).encoding == "UCS-2" else "text"),
            ("client-ref", message.reference),
            ("callback", settings.callback),
        ]
        return [(name, value) for name, value in fields if value]

    def _signed(self, fields: Fields) -> Fields:
        settings = self._settings
        if not settings.signature_secret:
            return [*fields, ("api_secret", settings.api_secret)]
        stamped = [*fields, ("timestamp", str(int(self._clock())))]
        return [*stamped, ("sig", signature(settings.signature_method, settings.signature_secret, stamped))]


def _judge(to: str, answer: HttpAnswer) -> TryResult:
    """A long text is several messages: one that is not 0 among others that are leaves a part of it unsent."""
    if not succeeded(answer.status):
        return refused(by_status(answer), f"HTTP {answer.status}")
    parts = rows_of(read_document(answer.body), "messages")
    if not parts:
        return refused(UNKNOWN, "the answer has no messages")
    if any(is_another(text_of(part, "to"), to) for part in parts):
        return refused(UNKNOWN, OF_ANOTHER)
    states = {text_of(part, "status") for part in parts}
    first_id = text_of(parts[0], "message-id")
    if states == {"0"}:
        return TryResult(Outcome.ACCEPTED, gateway_id=first_id) if first_id else refused(UNKNOWN, "no message-id")
    if len(states) > 1:
        return refused(UNKNOWN, f"some parts refused: {_words(parts)}", first_id)
    return _refusal(answer, states.pop(), _words(parts), first_id)


def _refusal(answer: HttpAnswer, state: str, words: str, message_id: str) -> TryResult:
    rule = REFUSALS.get(state)
    if message_id or not state.isdecimal():
        return refused(UNKNOWN, words, message_id)
    return refused(waiting(rule or CONFIG, answer), words, unmapped=rule is None)


def _words(parts: Sequence[Document]) -> str:
    return "; ".join(f"status {text_of(part, 'status')} {text_of(part, 'error-text')}".strip() for part in parts)


def _receipt_fields(push: Push) -> Fields:
    """Of the body when there is one: then the query is ours, not Vonage's."""
    if not push.body.strip():
        return query_fields(push)
    if not push.headers.get("content-type", "").startswith("application/json"):
        return form_fields(body_text(push))
    document = body_json(push)
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise PushRefused("the body is no JSON object of texts")
    return list(document.items())


def _report(given: dict[str, str]) -> Report:
    status, code = given["status"].lower(), given.get("err-code", "")
    number = given.get("msisdn", "")
    reason = FAILURES.get(code) or (f"error {code}" if code not in ("", "0") else "")
    to = f"+{number}" if _NUMBER.fullmatch(number) else ""
    return Report(given["messageId"], to, _STATES.get(status), gateway_words(f"{status} {reason}".strip()))
