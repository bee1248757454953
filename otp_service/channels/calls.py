"""One request to a gateway with all that must not come back from it: tried for a message, or asked for facts."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from otp_service.channels.http import GatewayClient, HttpAnswer, HttpError
from otp_service.channels.http_outcomes import UNKNOWN, no_answer, refused, succeeded
from otp_service.channels.json_answers import Document, UnreadableAnswer, read_document
from otp_service.channels.words import gateway_words
from otp_service.ports import ChannelError, Message, Outcome, TryResult

FORM = "application/x-www-form-urlencoded"

_ID = re.compile(r"[!-~]{1,64}")
_LONGEST_CODE = 10
_NUMBER = re.compile(r"\+?[0-9][0-9 \-]{5,}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to go. `hide` are the values in it that an answer must not echo into our records."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    method: str = "POST"
    hide: tuple[str, ...] = field(default=(), repr=False)


Judge = Callable[[HttpAnswer], TryResult]
"""May raise `UnreadableAnswer`. Its `detail` may quote the gateway: `deliver` masks it."""


async def deliver(client: GatewayClient, call: Call, deadline: float, judge: Judge) -> TryResult:
    """One try; `deadline` in seconds, total. What nobody can read is unknown."""
    try:
        answer = await client.request(call.method, call.url, call.body, call.headers, deadline=deadline)
        result = _judged(answer, judge)
    except HttpError as error:
        result = no_answer(error)
    return replace(
        result,
        detail=gateway_words(result.detail, call.hide),
        gateway_id=_clean_id(result.gateway_id, call.hide),
    )


def _judged(answer: HttpAnswer, judge: Judge) -> TryResult:
    try:
        result = judge(answer)
    except UnreadableAnswer as error:
        result = refused(UNKNOWN, str(error))
    # What may be tried again is never about one number or text: a vendor's limits for these are refusals.
    overloaded = answer.status == 429 or answer.status >= 500 or result.outcome is Outcome.RETRYABLE
    return replace(result, overloaded=overloaded)


async def ask(client: GatewayClient, call: Call, deadline: float) -> Document:
    """What the gateway says of the account, or of messages past. Raises `ChannelError`."""
    try:
        answer = await client.request(call.method, call.url, call.body, call.headers, deadline=deadline)
        if not succeeded(answer.status):
            raise ChannelError(f"the gateway answered HTTP {answer.status}: check this channel's url and login")
        return read_document(answer.body)
    except (HttpError, UnreadableAnswer) as error:
        raise ChannelError(gateway_words(str(error), call.hide)) from error


def hidden(message: Message, *secrets: str) -> tuple[str, ...]:
    """What a gateway could echo of a message, the longest first, so that no part of one stays behind."""
    values: Iterable[str] = (*secrets, message.to, message.to.lstrip("+"), message.code)
    return tuple(sorted({value for value in values if value}, key=len, reverse=True))


OF_ANOTHER = "the answer is of a message to another number"


def is_another(named: str, to: str) -> bool:
    """Whether an answer names a number that can't be `to`, however either is written; what is no number names none."""
    ours, theirs = re.sub(r"[^0-9]", "", to), re.sub(r"[^0-9]", "", named)
    if not _NUMBER.fullmatch(named):
        return False
    return not (ours.endswith(theirs) or theirs.endswith(ours))


def basic_auth(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _clean_id(gateway_id: str, hide: tuple[str, ...]) -> str:
    """Empty for what is no id, or names the recipient or a secret. A code's digits may stand in any id by chance."""
    usable = _ID.fullmatch(gateway_id) and not any(value in gateway_id for value in hide if len(value) > _LONGEST_CODE)
    return gateway_id if usable else ""
