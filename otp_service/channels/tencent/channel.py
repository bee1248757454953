"""One application of Tencent Cloud: what the worker hands a message to, and asks for reports and replies."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from otp_service.channels.calls import OF_ANOTHER, Call, ask, deliver, hidden, is_another
from otp_service.channels.http import GatewayClient, HttpAnswer
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import UNKNOWN, by_code, by_status, refused, succeeded, waiting
from otp_service.channels.json_answers import Document, UnreadableAnswer, read_document, rows_of, text_of
from otp_service.channels.signing import host_header
from otp_service.channels.templates import fill, not_to_fill, template_of
from otp_service.channels.tencent.codes import REFUSALS
from otp_service.channels.tencent.tc3 import signed_headers
from otp_service.channels.words import gateway_words
from otp_service.ports import Balance, ChannelError, Message, NoBalance, Outcome, Reply, Report, TryResult

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_MOST_ROWS = 100
"""The most that a poll may ask for; at about 300 bytes a row well below what `GatewayClient` reads."""
_STATES = {"SUCCESS": True, "FAIL": False}


@dataclass(frozen=True, slots=True)
class TencentSettings:
    """One channel. `templates` by purpose or purpose/locale; `template_params`: the values, in the template's order."""

    name: str
    url: str
    region: str
    secret_id: str
    secret_key: str = field(repr=False)
    sdk_app_id: str
    signature: str
    templates: Mapping[str, str]
    template_params: Sequence[str]
    sender_id: str = ""
    extend_code: str = ""
    answer_within: float = 1.5
    deadline: float = 5.0
    proxy: str = field(default="", repr=False)


class TencentChannel(HttpChannel[TencentSettings]):
    """Implements `ports.Channel` and `ports.Polled`."""

    def __init__(
        self,
        settings: TencentSettings,
        *,
        clock: Callable[[], float] = time.time,
        client: GatewayClient | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, client=client)
        self._host = host_header(settings.url)

    async def deliver(self, message: Message) -> TryResult:
        template = template_of(self._settings.templates, message)
        if unfit := not_to_fill(template, message):
            return unfit
        call = self._call("SendSms", self._fields(message, template), hidden(message))
        return await deliver(self._client, call, self.deadline, partial(_judge, message.to))

    async def balance(self) -> Balance:
        raise NoBalance("Tencent counts packages of SMS, not a balance")

    async def reports(self) -> Sequence[Report]:
        return [_report(row) for row in await self._rows("PullSmsSendStatus")]

    async def replies(self) -> Sequence[Reply]:
        return [_reply(row) for row in await self._rows("PullSmsReplyStatus")]

    async def _rows(self, action: str) -> list[Document]:
        """Rows of the answer's list, which has its action's name. Raises `ChannelError`."""
        call = self._call(action, {"Limit": _MOST_ROWS, "SmsSdkAppId": self._settings.sdk_app_id})
        response = (await ask(self._client, call, self.deadline)).get("Response")
        if not isinstance(response, dict) or "Error" in response:
            words = _words(response.get("Error")) if isinstance(response, dict) else "its answer has no Response"
            raise ChannelError(f"the gateway refused {action}: {gateway_words(words, call.hide)}")
        try:
            return rows_of(response, f"{action}Set")
        except UnreadableAnswer as error:
            raise ChannelError(str(error)) from error

    def _fields(self, message: Message, template: str) -> Document:
        settings = self._settings
        fields = {
            "PhoneNumberSet": [message.to],
            "SmsSdkAppId": settings.sdk_app_id,
            "SignName": settings.signature,
            "TemplateId": template,
            "TemplateParamSet": [fill(pattern, message) for pattern in settings.template_params],
            "ExtendCode": message.extno or settings.extend_code,
            "SenderId": settings.sender_id,
            "SessionContext": message.reference,
        }
        return {name: value for name, value in fields.items() if value}

    def _call(self, action: str, fields: Document, hide: tuple[str, ...] = ()) -> Call:
        settings = self._settings
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        headers = signed_headers(
            settings.secret_id,
            settings.secret_key,
            self._host,
            action,
            settings.region,
            body,
            self._clock(),
        )
        secrets = (settings.secret_key, headers["Authorization"].rpartition("=")[2])
        return Call(settings.url, headers, body, hide=(*secrets, *hide))


def _judge(to: str, answer: HttpAnswer) -> TryResult:
    if not succeeded(answer.status):
        return refused(by_status(answer), f"HTTP {answer.status}")
    response = read_document(answer.body).get("Response")
    if isinstance(response, dict) and "Error" in response:
        return _refusal(answer, response["Error"])
    states = rows_of(response, "SendStatusSet")
    if len(states) != 1:
        return refused(UNKNOWN, f"{len(states)} results for one number")
    if is_another(text_of(states[0], "PhoneNumber"), to):
        return refused(UNKNOWN, OF_ANOTHER)
    if text_of(states[0], "Code") != "Ok":
        return _refusal(answer, states[0])
    if serial := text_of(states[0], "SerialNo"):
        return TryResult(Outcome.ACCEPTED, detail=text_of(states[0], "Message"), gateway_id=serial)
    return refused(UNKNOWN, "Ok without a SerialNo")


def _refusal(answer: HttpAnswer, said: Any) -> TryResult:
    """A code that no rule knows may be one of a message that has gone: `FailedOperation` names its causes late."""
    code = text_of(said, "Code")
    rule = by_code(REFUSALS, code)
    serial = text_of(said, "SerialNo")
    if rule is None or (serial and rule.outcome is not Outcome.UNKNOWN):
        return refused(UNKNOWN, _words(said), serial, unmapped=rule is None and bool(code))
    return refused(waiting(rule, answer), _words(said), serial)


def _words(said: Any) -> str:
    return f"{text_of(said, 'Code')}: {text_of(said, 'Message')}"


def _report(row: Document) -> Report:
    return Report(
        text_of(row, "SerialNo"),
        _number(row),
        _STATES.get(text_of(row, "ReportStatus").upper()),
        gateway_words(text_of(row, "Description")),
    )


def _reply(row: Document) -> Reply:
    return Reply(_number(row), text_of(row, "ReplyContent"), extno=text_of(row, "ExtendCode"))


def _number(row: Document) -> str:
    given = text_of(row, "PhoneNumber")
    return given if _NUMBER.fullmatch(given) else ""
