"""One configured channel: what the worker hands a message to."""

from __future__ import annotations

from collections.abc import Sequence

from otp_service.channels.general import by_http_status, kept_id
from otp_service.channels.http import GatewayClient, HttpAnswer, HttpError
from otp_service.channels.http_channel import HttpChannel
from otp_service.channels.http_outcomes import no_answer
from otp_service.channels.http_template.request import Request, RequestTemplate
from otp_service.channels.http_template.rules import Document, readable
from otp_service.channels.http_template.settings import HttpTemplateSettings
from otp_service.channels.signed_reports import read_signed_reports
from otp_service.channels.words import gateway_words
from otp_service.errors import InvalidRecipient
from otp_service.ports import Balance, Message, NoBalance, Outcome, Push, Reason, Report, TryResult


class HttpTemplateChannel(HttpChannel[HttpTemplateSettings]):
    """Implements `ports.Channel`. Raises ConfigError for templates and rules that can't work."""

    def __init__(self, settings: HttpTemplateSettings, *, client: GatewayClient | None = None) -> None:
        super().__init__(settings, client=client)
        self._method = settings.method
        self._report_secrets = settings.report_secrets
        self._template = RequestTemplate(settings)
        self._accept, self._reject, self._retry = (settings.rules(key) for key in ("accept", "reject", "retry"))
        self._id, self._words = settings.place("id"), settings.place("words")

    async def deliver(self, message: Message) -> TryResult:
        try:
            request = self._template.fill(message)
        except InvalidRecipient:
            return TryResult(Outcome.REJECTED, Reason.NUMBER, "the number is in no numbering plan")
        except UnicodeEncodeError as error:
            detail = f"a value holds a character that {error.encoding} lacks"
            return TryResult(Outcome.REJECTED, Reason.CONTENT, detail)
        try:
            answer = await self._client.request(
                self._method, request.url, request.body, request.headers, deadline=self.deadline
            )
        except HttpError as error:
            return no_answer(error, request.secrets)
        return self._judge(answer, message, request)

    async def balance(self) -> Balance:
        raise NoBalance("protocol http_template asks for no balance")

    def read_push(self, push: Push, now: float) -> Sequence[Report]:
        """Reports that something of the operator's own, which knows this gateway's, signs and sends on."""
        return read_signed_reports(push, self._report_secrets, now)

    def _judge(self, answer: HttpAnswer, message: Message, request: Request) -> TryResult:
        if not readable(answer):
            return TryResult(Outcome.UNKNOWN, Reason.ANSWER, "the answer is too long")
        document = Document(answer.body)
        words = (self._words.find(document) if self._words else None) or document.text
        detail = gateway_words(words, request.secrets)
        accepted = any(rule.holds(answer, document, accepts=True) for rule in self._accept)
        rejected = next((rule for rule in self._reject if rule.holds(answer, document)), None)
        retryable = any(rule.holds(answer, document) for rule in self._retry)
        if accepted and (rejected or retryable):
            return TryResult(Outcome.UNKNOWN, Reason.ANSWER, f"the rules contradict each other: {detail}"[:200])
        if accepted:
            found = self._id.find(document) if self._id else None
            return TryResult(Outcome.ACCEPTED, detail=detail, gateway_id=kept_id(found or "", message))
        if rejected:
            retry_after = answer.retry_after if rejected.reason is Reason.RATE else None
            return TryResult(Outcome.REJECTED, rejected.reason, detail, retry_after=retry_after)
        if retryable:
            return TryResult(Outcome.RETRYABLE, None, detail, retry_after=answer.retry_after)
        return by_http_status(answer, words, request.secrets)
