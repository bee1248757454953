"""One account of Twilio: what the worker hands a message to, and what reads Twilio's callbacks."""

from __future__ import annotations

import base64
import hmac
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
from otp_service.channels.json_answers import UnreadableAnswer, read_document, text_of
from otp_service.channels.pushes import body_text, form_fields
from otp_service.channels.signing import same
from otp_service.channels.twilio.codes import FAILURES, REFUSALS, named
from otp_service.channels.words import gateway_words
from otp_service.ports import Balance, ChannelError, Message, Outcome, Push, PushRefused, Report, TryResult

_SERVICE = re.compile(r"MG[0-9a-f]{32}")
_MESSAGE = re.compile(r"(SM|MM)[0-9a-f]{32}")
_FAILED = frozenset({"failed", "undelivered", "canceled"})
_DELIVERED = frozenset({"delivered", "read"})


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """One channel."""

    name: str
    url: str
    account_sid: str
    auth_token: str = field(repr=False)
    """Signs what Twilio sends to us, so it is needed beside an API key as well."""
    sender: str
    """A number, a sender name, or the SID of a Messaging Service (`MG…`)."""
    api_key: str = ""
    api_key_secret: str = field(default="", repr=False)
    status_callback: str = ""
    answer_within: float = 1.5
    deadline: float = 5.0
    proxy: str = field(default="", repr=False)


class TwilioChannel(HttpChannel[TwilioSettings]):
    """Implements `ports.Channel` and `ports.Pushing`."""

    def __init__(
        self,
        settings: TwilioSettings,
        *,
        clock: Callable[[], float] = time.time,
        client: GatewayClient | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, client=client)
        user, password = settings.account_sid, settings.auth_token
        if settings.api_key:
            user, password = settings.api_key, settings.api_key_secret
        self._login = basic_auth(user, password)
        self._secrets = (password, settings.auth_token, self._login.removeprefix("Basic "))

    async def deliver(self, message: Message) -> TryResult:
        body = urlencode(self._fields(message)).encode()
        headers = {"Authorization": self._login, "Content-Type": FORM}
        call = Call(self._address("Messages"), headers, body, hide=hidden(message, *self._secrets))
        return await deliver(self._client, call, self.deadline, partial(_judge, message.to))

    async def balance(self) -> Balance:
        call = Call(self._address("Balance"), {"Authorization": self._login}, method="GET", hide=self._secrets)
        answer = await ask(self._client, call, self.deadline)
        amount = text_of(answer, "balance")
        if not amount:
            raise ChannelError("the gateway's answer holds no balance")
        return Balance(amount, gateway_words(text_of(answer, "currency"), self._secrets))

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        """Twilio's signature covers the address and every field; it holds no time, so `now` counts for nothing."""
        fields = form_fields(body_text(push))
        expected = callback_signature(self._settings.auth_token, push.url, fields)
        if not same(push.headers.get("x-twilio-signature", ""), expected):
            raise PushRefused("X-Twilio-Signature is missing or not of this address, body and auth_token")
        given = dict(fields)
        if not _MESSAGE.fullmatch(given.get("MessageSid", "")) or not given.get("MessageStatus"):
            raise PushRefused("the callback names no message and status")
        return [_report(given)]

    def _address(self, resource: str) -> str:
        return f"{self._settings.url.rstrip('/')}/2010-04-01/Accounts/{self._settings.account_sid}/{resource}.json"

    def _fields(self, message: Message) -> list[tuple[str, str]]:
        sender = message.extno or self._settings.sender
        fields = [
            ("To", message.to),
            ("MessagingServiceSid" if _SERVICE.fullmatch(sender) else "From", sender),
            ("Body", message.text),
            ("StatusCallback", self._settings.status_callback),
        ]
        return [(name, value) for name, value in fields if value]


def callback_signature(auth_token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """Base64 of HMAC-SHA1 over the address and the sorted fields, names and values run together."""
    text = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(errors="surrogatepass"), "sha1")).decode()


def _judge(to: str, answer: HttpAnswer) -> TryResult:
    if not succeeded(answer.status):
        return _refusal(answer)
    document = read_document(answer.body)
    sid, status = text_of(document, "sid"), text_of(document, "status")
    if not _MESSAGE.fullmatch(sid):
        return refused(UNKNOWN, f"HTTP {answer.status} without the sid of a message")
    if is_another(text_of(document, "to"), to):
        return refused(UNKNOWN, OF_ANOTHER)
    if status in _FAILED:
        return refused(UNKNOWN, f"a message that is {status}: {text_of(document, 'error_message')}", sid)
    return TryResult(Outcome.ACCEPTED, detail=status, gateway_id=sid)


def _refusal(answer: HttpAnswer) -> TryResult:
    """Twilio's own code says more than the status, but a 5xx stays what it is: the message may have gone."""
    rule = by_status(answer)
    try:
        document = read_document(answer.body)
    except UnreadableAnswer:
        return refused(rule, f"HTTP {answer.status}")
    code = text_of(document, "code")
    words = f"HTTP {answer.status}, error {named(code)}: {text_of(document, 'message')}"
    if not code or not 400 <= answer.status < 500:
        return refused(rule, words)
    known = REFUSALS.get(code)
    if known is None and rule.outcome is Outcome.UNKNOWN:
        rule = CONFIG
    return refused(waiting(known or rule, answer), words, unmapped=known is None)


def _report(given: dict[str, str]) -> Report:
    status = given["MessageStatus"].lower()
    delivered = True if status in _DELIVERED else False if status in _FAILED else None
    code = given.get("ErrorCode", "")
    reason = FAILURES.get(code) or (f"error {named(code)}" if code else "")
    return Report(given["MessageSid"], given.get("To", ""), delivered, gateway_words(f"{status} {reason}".strip()))
