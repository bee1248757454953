"""What every HTTP gateway's refusals come to: outcomes as rules, HTTP statuses, and what no answer means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from otp_service.channels.http import HttpAnswer, HttpError, NotSent
from otp_service.channels.words import gateway_words
from otp_service.ports import Outcome, Reason, TryResult


class Rule(NamedTuple):
    """What one refusal comes to. `stale`: a fresh timestamp may mend it, nothing was sent. `overloaded`: whatever the
    message, the gateway can't."""

    outcome: Outcome
    reason: Reason | None = None
    retry_after: float | None = None
    stale: bool = False
    overloaded: bool = False


UNKNOWN = Rule(Outcome.UNKNOWN, Reason.ANSWER)
RETRYABLE = Rule(Outcome.RETRYABLE)
NUMBER = Rule(Outcome.REJECTED, Reason.NUMBER)
CONTENT = Rule(Outcome.REJECTED, Reason.CONTENT)
ACCOUNT = Rule(Outcome.REJECTED, Reason.ACCOUNT)
BALANCE = Rule(Outcome.REJECTED, Reason.BALANCE)
CONFIG = Rule(Outcome.REJECTED, Reason.CONFIG)
RATE = Rule(Outcome.REJECTED, Reason.RATE)
"""Not by this channel for some time: a limit for one number or for the day."""
TOO_OFTEN = Rule(Outcome.RETRYABLE, Reason.RATE)
"""Too many requests at once: the same channel may do it in a moment."""

_REFUSED = (405, 413, 415)
HTTP_STATUSES = {
    400: CONFIG,
    401: ACCOUNT,
    403: ACCOUNT,
    404: CONFIG,
    **dict.fromkeys(_REFUSED, CONFIG),
    408: Rule(Outcome.RETRYABLE, Reason.TIMEOUT),
    429: TOO_OFTEN,
    503: RETRYABLE,
}
"""What is not here and not 2xx is unknown: a 500 may come after the message has gone."""


def succeeded(status: int) -> bool:
    """Whether an answer with this status is to be read; the others have a rule by `by_status`."""
    return 200 <= status < 300


def by_status(answer: HttpAnswer) -> Rule:
    """The rule for an answer whose status is not 2xx, with the gateway's `Retry-After` where it may be tried again."""
    rule = HTTP_STATUSES.get(answer.status, UNKNOWN)
    return waiting(rule._replace(overloaded=answer.status == 429 or answer.status >= 500), answer)


def by_code(rules: Mapping[str, Rule], code: str) -> Rule | None:
    """For a code such as `LimitExceeded.DailyLimit`: its own rule, else its family's; None where no rule knows it."""
    return next((rules[name] for name in _families(code) if name in rules), None)


def _families(code: str) -> Iterator[str]:
    while code:
        yield code
        code = code.rpartition(".")[0]


def waiting(rule: Rule, answer: HttpAnswer) -> Rule:
    """`rule` with the seconds that the gateway asked for, where a rule for another try takes any."""
    retryable = rule.outcome is Outcome.RETRYABLE and answer.retry_after is not None
    return rule._replace(retry_after=answer.retry_after) if retryable else rule


def codes(text: str, rule: Rule) -> dict[str, Rule]:
    """One rule for all codes in `text`, which blanks part."""
    return dict.fromkeys(text.split(), rule)


def refused(rule: Rule, words: str, gateway_id: str = "", *, unmapped: bool = False) -> TryResult:
    return TryResult(rule.outcome, rule.reason, words, gateway_id, rule.retry_after, unmapped, rule.overloaded)


def no_answer(error: HttpError, hide: Iterable[str] = ()) -> TryResult:
    """Before the request was written another try can't send twice; after its first byte nobody knows."""
    outcome = Outcome.RETRYABLE if isinstance(error, NotSent) else Outcome.UNKNOWN
    reason = Reason.TIMEOUT if error.timed_out else Reason.NETWORK
    return TryResult(outcome, reason, gateway_words(str(error), hide))
