"""What every HTTP gateway's answer comes to where its own protocol says nothing else, and how its words are kept."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from otp_service.channels.http import HttpAnswer, HttpError, NotSent
from otp_service.channels.sms_aspx.rules import HTTP_STATUSES, UNKNOWN
from otp_service.channels.words import gateway_words
from otp_service.ports import Message, Outcome, Reason, TryResult
from otp_service.value_template import json_escape, xml_escape

_MAX_ID = 100


def no_answer(error: HttpError, hide: Iterable[str] = ()) -> TryResult:
    """Nothing left: retryable. Something left and no whole answer came: unknown."""
    outcome = Outcome.RETRYABLE if isinstance(error, NotSent) else Outcome.UNKNOWN
    reason = Reason.TIMEOUT if error.timed_out else Reason.NETWORK
    return TryResult(outcome, reason, gateway_words(str(error), hide))


def by_http_status(answer: HttpAnswer, words: str = "", hide: Iterable[str] = ()) -> TryResult:
    """For an answer that no other rule knows. A 2xx alone proves nothing here: it is unknown."""
    rule = HTTP_STATUSES.get(answer.status, UNKNOWN)
    retry_after = answer.retry_after if rule.outcome is Outcome.RETRYABLE else None
    detail = gateway_words(f"HTTP {answer.status} {words}", hide)
    return TryResult(rule.outcome, rule.reason, detail, retry_after=retry_after)


def secrets_of(message: Message, *secrets: str) -> tuple[str, ...]:
    """Our secrets and the message's code and number, in every spelling in which an answer may echo them."""
    values = (*secrets, message.code, message.to, message.to.removeprefix("+"))
    spellings = (str, quote, quote_plus, json_escape, xml_escape)
    spelt = {spelling(value) for value in values if value for spelling in spellings}
    return tuple(sorted(spelt, key=len, reverse=True))


def kept_id(given: str, message: Message) -> str:
    """The gateway's id as it spelt it; empty for one that can't be kept: long, unprintable, or our number or code."""
    given = given.strip()
    fits = 0 < len(given) <= _MAX_ID and given.isascii() and given.isprintable()
    ours = (message.to.removeprefix("+"), message.to[-8:], message.code)
    return given if fits and not any(word in given for word in ours if word) else ""
