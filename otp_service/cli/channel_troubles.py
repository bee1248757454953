"""Which gateways need a hand: those that refuse us, whatever their breaker says, and those whose account runs dry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile

from otp_service.cli.operating import ago, span
from otp_service.config import Config
from otp_service.ports import ChannelState, Installation, Outcome, Reason

FEW = 3
"""Failures in a row that are no chance."""
MANY = 10
"""As many as are kept: a row of them says something of the channel even where each seems to be of its number."""
UNTOLD_MS = 600_000
"""Two questions for a balance, and more for reports: one that fails alone is no news."""
DAY_MS = 86_400_000
"""Older calls say nothing of now. At night a service may send once in hours: it is told of the last refusal still."""
_OF_THE_ACCOUNT = {
    Reason.ACCOUNT: "refuses our login: mend its credentials, or let it allow this address",
    Reason.BALANCE: "says that the balance is used up: top up the account",
    Reason.CONFIG: "refuses how it is called: mend its settings",
}
"""One refusal is proof: the next send meets it as well."""
_OF_THE_NUMBER = frozenset({Reason.NUMBER.value, Reason.RATE.value})


def channel_troubles(config: Config, seen: Installation) -> Iterator[str]:
    all_are_known = len(seen.channels) == len(config.channels)
    if seen.channels and all_are_known and all(channel.standing.blocked_until(seen.now) for channel in seen.channels):
        yield (
            "every channel is out of order or paused: see the gateways' words above, then "
            "`otp-service channels test NAME`; a pause ends with `otp-service channels resume NAME`"
        )
    elif all_are_known and _nobody_sends(seen):
        yield "no channel has accepted any of its latest sends, so codes reach nobody: see the gateways' words above"
    lowest = {channel.name: channel.balance_low for channel in config.channels}
    for channel in seen.channels:
        yield from _refusal(channel, seen.now)
        yield from _balance(channel, lowest.get(channel.name))
        for one in channel.untold:
            if seen.now - one.since >= UNTOLD_MS:
                yield (
                    f"{channel.name} has not told its {one.what} for {span(seen.now - one.since)} (“{one.words}”): "
                    "mend its address and credentials, or what the gateway allows them to ask for"
                )


def _nobody_sends(seen: Installation) -> bool:
    """A paused channel is no help, and one that was asked nothing today is not known to be any harm."""
    asked = [one for one in seen.channels if _lately(one, seen.now) and one.standing.paused_until <= seen.now]
    return bool(asked) and all(_is_stuck(_lately(one, seen.now)) for one in asked)


def _is_stuck(lately: list[tuple[str, str]]) -> bool:
    failed = list(takewhile(_failed, lately))
    if not failed:
        return False
    of_the_channel = sum(reason not in _OF_THE_NUMBER for _, reason in failed)
    return failed[0][1] in _OF_THE_ACCOUNT or of_the_channel >= FEW or len(failed) >= MANY


def _refusal(channel: ChannelState, now: int) -> Iterator[str]:
    failed = list(takewhile(_failed, _lately(channel, now)))
    if not failed:
        return
    reasons = [reason for _, reason in failed]
    is_open = channel.standing.is_open
    if reasons[0] in _OF_THE_ACCOUNT:
        wrong = _OF_THE_ACCOUNT[Reason(reasons[0])]
    elif reasons[:FEW] == [Reason.CONTENT.value] * FEW:
        wrong = "refuses the text of every send: have signature and texts filed with it as they are configured"
    elif len(failed) >= MANY and not is_open:  # what an open breaker says, it mends: the channel is probed
        wrong = f"has accepted none of its latest {MANY} sends: see its outcomes above"
    else:
        return
    said = f" (“{channel.words}”)" if channel.words and channel.words_at == channel.lately_at else ""
    then = f"`otp-service channels test {channel.name}`"
    yield f"{channel.name} {wrong}{said}, {ago(channel.lately_at, now)}; then {then}"


def _lately(channel: ChannelState, now: int) -> list[tuple[str, str]]:
    """Outcome and reason of today's latest calls, the newest first."""
    if channel.lately_at <= now - DAY_MS:
        return []
    return [(one.split(":")[0], one.split(":")[1]) for one in channel.lately]


def _failed(call: tuple[str, str]) -> bool:
    return call[0] != Outcome.ACCEPTED.value


def _balance(channel: ChannelState, lowest: float | None) -> Iterator[str]:
    with suppress(ValueError):  # not every gateway says it as a number
        if lowest is not None and channel.balance and float(channel.balance) < lowest:
            yield f"the balance of {channel.name} is {channel.balance}, below {lowest:g}: top up the account"
