"""What every HTTP gateway's answer comes to where its own protocol says nothing else, and how its words are kept."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from otp_service.channels.http import HttpAnswer
from otp_service.channels.http_outcomes import by_status, refused
from otp_service.channels.words import gateway_words
from otp_service.ports import Message, TryResult
from otp_service.value_template import json_escape, xml_escape

_MAX_ID = 100


def by_http_status(answer: HttpAnswer, words: str = "", hide: Iterable[str] = ()) -> TryResult:
    """For an answer that no other rule knows. A 2xx alone proves nothing here: it is unknown."""
    return refused(by_status(answer), gateway_words(f"HTTP {answer.status} {words}", hide))


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
