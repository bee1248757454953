"""One account of Aliyun: what the worker hands a message to, and what reads the reports that Aliyun pushes."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from otp_service.channels.aliyun.acs3 import signed_headers
from otp_service.channels.aliyun.codes import REFUSALS, REFUSED_BEFORE_SENDING
from otp_service.channels.calls import FORM, Call, deliver, hidden
from otp_service.channels.http import GatewayClient, HttpAnswer
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import CONFIG, UNKNOWN, by_code, by_status, refused, succeeded, waiting
from otp_service.channels.json_answers import UnreadableAnswer, read_document, text_of
from otp_service.channels.pushes import body_json, query_fields
from otp_service.channels.signing import host_header, same
from otp_service.channels.templates import fill, not_to_fill, template_of
from otp_service.channels.words import gateway_words
from otp_service.ports import Balance, Message, NoBalance, Outcome, Push, PushRefused, Reason, Report, TryResult

_MAINLAND = re.compile(r"1[3-9][0-9]{9}")
_ABROAD = re.compile(r"[1-9][0-9]{4,14}")


@dataclass(frozen=True, slots=True)
class AliyunSettings:
    """One channel. `templates` by purpose or purpose/locale; `template_params`: a template's variable to its value."""

    name: str
    url: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    signature: str
    templates: Mapping[str, str]
    template_params: Mapping[str, str]
    extend_code: str = ""
    push_secret: str = field(default="", repr=False)
    """The `key` in the query of the address that Aliyun pushes to; empty: no push is taken."""
    answer_within: float = 1.5
    deadline: float = 5.0
    proxy: str = field(default="", repr=False)


class AliyunChannel(HttpChannel[AliyunSettings]):
    """Implements `ports.Channel` and `ports.Pushing`. `nonce` gives a word that no other request has."""

    def __init__(
        self,
        settings: AliyunSettings,
        *,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
        client: GatewayClient | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, client=client)
        self._host = host_header(settings.url)
        self._nonce = nonce

    async def deliver(self, message: Message) -> TryResult:
        """A number that Aliyun would take for another one is refused, and nothing leaves."""
        number = gateway_number(message.to)
        if number is None:
            words = "this gateway can't tell this number from one of mainland China"
            return TryResult(Outcome.REJECTED, Reason.CONFIG, words)
        template = template_of(self._settings.templates, message)
        if unfit := not_to_fill(template, message):
            return unfit
        return await deliver(self._client, self._call(message, number, template), self.deadline, _judge)

    async def balance(self) -> Balance:
        raise NoBalance("Aliyun's SMS interface has no balance query")

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        """Aliyun signs nothing and sends no header of ours: its console takes an address alone, so the key is there."""
        key = next((value for name, value in query_fields(push) if name == "key"), "")
        if not self._settings.push_secret or not same(key, self._settings.push_secret):
            raise PushRefused("the address's key is missing or not push_secret")
        rows = body_json(push)
        if not isinstance(rows, list):
            raise PushRefused("the body is no list of reports")
        return [_report(row) for row in rows]

    def _call(self, message: Message, number: str, template: str) -> Call:
        """The fields go into the body, not into the query as Aliyun's own tools have it: addresses end up in logs."""
        settings = self._settings
        values = {name: fill(pattern, message) for name, pattern in settings.template_params.items()}
        fields = {
            "PhoneNumbers": number,
            "SignName": settings.signature,
            "TemplateCode": template,
            "TemplateParam": json.dumps(values, ensure_ascii=False) if values else "",
            "OutId": message.reference,
            "SmsUpExtendCode": message.extno or settings.extend_code,
        }
        body = urlencode({name: value for name, value in fields.items() if value}).encode()
        headers = signed_headers(
            settings.access_key_id,
            settings.access_key_secret,
            self._host,
            "SendSms",
            body,
            FORM,
            self._clock(),
            self._nonce(),
        )
        signature = headers["Authorization"].rpartition("=")[2]
        hide = hidden(message, number, settings.access_key_secret, settings.push_secret, signature)
        return Call(settings.url, headers, body, hide=hide)


def gateway_number(recipient: str) -> str | None:
    """Eleven digits of mainland China, else country code and number; None where the one would look like the other,
    as +1 415 555 0123 does: a code must not reach another person."""
    digits = recipient.removeprefix("+")
    if digits.startswith("86") and _MAINLAND.fullmatch(digits[2:]):
        return digits[2:]
    return digits if _ABROAD.fullmatch(digits) and not _MAINLAND.fullmatch(digits) else None


def _judge(answer: HttpAnswer) -> TryResult:
    try:
        document = read_document(answer.body)
    except UnreadableAnswer:
        if succeeded(answer.status):
            raise
        return refused(by_status(answer), f"HTTP {answer.status}")
    code, words = text_of(document, "Code"), text_of(document, "Message")
    if succeeded(answer.status) and code == "OK":
        if biz_id := text_of(document, "BizId"):
            return TryResult(Outcome.ACCEPTED, detail=words, gateway_id=biz_id)
        return refused(UNKNOWN, "OK without a BizId")
    return _refusal(answer, code, f"{code or f'HTTP {answer.status}'}: {words}")


def _refusal(answer: HttpAnswer, code: str, words: str) -> TryResult:
    known = by_code(REFUSALS, code)
    if answer.status >= 500 and answer.status != 503:
        return refused(UNKNOWN, words)
    if known is not None:
        return refused(waiting(known, answer), words)
    if not succeeded(answer.status):
        return refused(by_status(answer), words, unmapped=bool(code))
    return refused(CONFIG if code.startswith(REFUSED_BEFORE_SENDING) else UNKNOWN, words, unmapped=bool(code))


def _report(row: object) -> Report:
    biz_id = text_of(row, "biz_id")
    success = row.get("success") if isinstance(row, dict) else None
    if not biz_id or not isinstance(success, bool):
        raise PushRefused("a report without biz_id or success")
    digits = text_of(row, "phone_number").removeprefix("+")
    to = f"+86{digits}" if _MAINLAND.fullmatch(digits) else f"+{digits}" if _ABROAD.fullmatch(digits) else ""
    words = f"{text_of(row, 'err_code')} {text_of(row, 'err_msg')}".strip()
    return Report(biz_id, to, success, gateway_words(words))
