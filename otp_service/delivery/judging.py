"""What a try says of its channel, and what a round without an acceptance means for the send."""

from __future__ import annotations

import random
from collections.abc import Mapping

from otp_service.delivery.routing import Plan
from otp_service.ports import Judgement, NoChannel, Outcome, Reason, TryResult, Verdict

MIN_LEFT_MS = 30_000
"""A code with less than this to live is not tried again: it would arrive as it dies."""
_AGAIN_SECONDS = (3.0, 8.0)
"""The jitter before the next round, so that a gateway that comes back is not met by everyone at once."""

_OF_THE_SEND = frozenset({Reason.NUMBER, Reason.CONTENT, Reason.RATE})
_OF_THE_LINE = frozenset({Reason.TIMEOUT, Reason.NETWORK})


def judge(result: TryResult, seconds: float, answer_within: float) -> Judgement:
    """What another send would meet as well: a slow answer, none, a line or an account out of order.

    A rate that is refused in the answer's words is most often the number's own ("频率", per number and hour).
    """
    if result.outcome is Outcome.ACCEPTED:
        return Judgement.GOOD if seconds <= answer_within else Judgement.BAD
    if result.overloaded or result.reason in _OF_THE_LINE:
        return Judgement.BAD
    return Judgement.NEUTRAL if result.reason in _OF_THE_SEND else Judgement.POOR


def again(left: int, seconds: float = 0.0) -> tuple[Verdict, int]:
    """Look again after a while, and after `seconds` at the earliest, if that leaves the code enough to live."""
    wait = seconds + random.uniform(*_AGAIN_SECONDS)  # noqa: S311 (jitter is no secret)
    return (Verdict.LATER, round(wait * 1000)) if left - wait * 1000 >= MIN_LEFT_MS else (Verdict.EXPIRED, 0)


def verdict(plan: Plan, step: NoChannel, rests: Mapping[str, float]) -> tuple[Verdict, int]:
    """How a send goes on that no channel takes now, and in how many milliseconds.

    `rests`: seconds after which a channel said that this send may be asked for again.
    """
    waits = {
        channel: max(plan.waits.get(channel, 0.0), rests.get(channel, 0.0), step.full.get(channel, 0) / 1000)
        for channel in plan.route
        if channel not in step.closed
    }
    if not plan.route and not step.may_have_sent:
        # Who accepted it goes by another configuration: so does, or will soon, another worker, or this one.
        return again(step.left)
    if waits and (step.retryable or plan.waits.keys() & waits.keys()):
        ending, delay = again(step.left, min(waits.values()))
        return (Verdict.DONE if ending is Verdict.EXPIRED and step.may_have_sent else ending), delay
    return (Verdict.DONE if step.may_have_sent else Verdict.FAILED), 0
