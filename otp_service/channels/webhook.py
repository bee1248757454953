"""`protocol = "webhook"`: the caller's own sender, asked by a signed POST.

It is asked     POST, signed as Standard Webhooks, with a body
                {"type": "message.send", "to", "text", "code", "minutes", "purpose", "locale", "reference", "extno"}
It answers      2xx, {"id": "…"}: accepted. Without an id that can be read the webhook-id is the id
                400 or 422, {"reason": "number" | "content" | "account" | "balance" | "config" | "rate", "detail"?: "…"}
                429 or 503, maybe with Retry-After: retryable
                anything else as from every gateway: 4xx of the configuration's fault, else unknown
It reports      as `signed_reports` says, with the same secrets
The webhook-id is the try's reference: a request that comes twice with one id is to send one message.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otp_service.channels.general import by_http_status, kept_id, secrets_of
from otp_service.channels.http import HttpAnswer, HttpError
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import no_answer
from otp_service.channels.signed_reports import read_signed_reports
from otp_service.channels.words import gateway_words
from otp_service.ports import Balance, Message, NoBalance, Outcome, Push, Reason, Report, TryResult
from otp_service.webhook_signature import is_id, sign

_REASONS = ("number", "content", "account", "balance", "config", "rate")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    name: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """`whsec_…`: two while they are changed; then each request has two signatures."""
    extno: str
    answer_within: float
    deadline: float
    """Seconds, total, for one try."""
    proxy: str = field(default="", repr=False)


class WebhookChannel(HttpChannel[WebhookSettings]):
    """Implements `ports.Channel` and `ports.Pushing`."""

    async def deliver(self, message: Message) -> TryResult:
        id = _webhook_id(message.reference)
        body = self._body(message)
        headers = sign(self._settings.secrets, id, int(self._clock()), body) | {"Content-Type": "application/json"}
        hide = secrets_of(message, *self._settings.secrets)
        try:
            answer = await self._client.request("POST", self._settings.url, body, headers, deadline=self.deadline)
        except HttpError as error:
            return no_answer(error, hide)
        return _judge(answer, message, id, hide)

    async def balance(self) -> Balance:
        raise NoBalance("protocol webhook asks for no balance")

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        return read_signed_reports(push, self._settings.secrets, now)

    def _body(self, message: Message) -> bytes:
        words = {
            "type": "message.send",
            "to": message.to,
            "text": message.text,
            "code": message.code,
            "minutes": message.minutes,
            "purpose": message.purpose,
            "locale": message.locale,
            "reference": message.reference,
            "extno": message.extno or self._settings.extno,
        }
        return json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()


def _webhook_id(reference: str) -> str:
    """The reference itself where it can be an id; a try without one gets an id of its own."""
    if is_id(reference):
        return reference
    return f"msg_{hashlib.sha256(reference.encode()).hexdigest()[:32] if reference else secrets.token_hex(16)}"


def _judge(answer: HttpAnswer, message: Message, id: str, hide: Sequence[str]) -> TryResult:
    said = _object(answer.body)
    detail = gateway_words(_text(said, "detail"), hide)
    if 200 <= answer.status < 300:
        return TryResult(Outcome.ACCEPTED, detail=detail, gateway_id=kept_id(_text(said, "id"), message) or id)
    reason = _text(said, "reason")
    if answer.status in (400, 422) and reason in _REASONS:
        retry_after = answer.retry_after if reason == Reason.RATE else None
        return TryResult(Outcome.REJECTED, Reason(reason), detail, retry_after=retry_after)
    return by_http_status(answer, detail, hide)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
