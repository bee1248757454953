"""A gateway that refuses us is told of, though its line is well and its breaker closed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from otp_service import config
from otp_service.cli.channel_troubles import DAY_MS, UNTOLD_MS, channel_troubles
from otp_service.ports import (
    Call,
    ChannelState,
    Installation,
    Judgement,
    Outcome,
    QueueState,
    Reason,
    Standing,
    TryResult,
    Untold,
)
from otp_service.store import RedisStandings, trips_to
from tests.test_config import read
from tests.test_config import tables as of_config
from tests.world import ACCEPTED, World, refused

NOW = 10 * DAY_MS
NOBODY = "no channel has accepted any of its latest sends, so codes reach nobody"
BUSY = TryResult(Outcome.RETRYABLE, detail="系统繁忙 13800138000")
ODD = TryResult(Outcome.REJECTED, detail="其他错误", unmapped=True)


def two_channels() -> config.Config:
    [primary] = of_config()["channels"]
    return read(channels=[primary, {**primary, "name": "backup"}])


def troubles(*channels: ChannelState, now: int = NOW) -> list[str]:
    return list(channel_troubles(two_channels(), Installation(now, [], QueueState(0, 0, 0, 0), channels, [])))


def channel(lately: str, name: str = "primary", **standing: int) -> ChannelState:
    """`lately` as it is kept, the newest first."""
    return ChannelState(name, Standing(**standing), lately=tuple(lately.split()), lately_at=NOW - 60_000)


WELL = channel("accepted:", "backup")


@pytest.mark.parametrize(
    ("lately", "said"),
    [
        ("rejected:account accepted:", "primary refuses our login: mend its credentials"),
        ("rejected:balance", "primary says that the balance is used up: top up"),
        ("rejected:config:unmapped", "primary refuses how it is called"),
        ("rejected:content " * 3 + "accepted:", "primary refuses the text of every send: have signature"),
        ("retryable: " * 10, "primary has accepted none of its latest 10 sends"),
        ("rejected:number " * 10, "primary has accepted none of its latest 10 sends"),
    ],
)
def test_a_channel_that_refuses_is_named_with_what_to_mend(lately: str, said: str) -> None:
    """Though another one carries the codes."""
    [line] = troubles(channel(lately), WELL)
    assert line.startswith(said)
    assert line.endswith("60 s ago; then `otp-service channels test primary`")


@pytest.mark.parametrize(
    "lately",
    [
        "",
        "accepted: rejected:account",
        "rejected:content rejected:content accepted: rejected:content",
        "rejected:number rejected:number rejected:number rejected:rate",
        "retryable: " * 9 + "accepted:",
        "unknown:timeout unknown:timeout unknown:timeout",
    ],
)
def test_what_a_number_or_a_moment_explains_needs_no_hand(lately: str) -> None:
    assert troubles(channel(lately), WELL) == []


def test_a_breaker_that_is_open_speaks_for_itself() -> None:
    """The channel is probed until it is well, and the other carries the same code."""
    assert troubles(channel("retryable:network " * 10, open_until=NOW + 5), WELL) == []


def test_a_refusal_of_yesterday_is_told_no_more() -> None:
    refusing = channel("rejected:account")
    assert len(troubles(refusing, WELL, now=refusing.lately_at + DAY_MS - 1)) == 1
    assert troubles(refusing, WELL, now=refusing.lately_at + DAY_MS) == []


@pytest.mark.parametrize("lately", ["rejected:account", "retryable: retryable: retryable:", "rejected:content " * 3])
def test_it_is_said_when_no_channel_takes_anything(lately: str) -> None:
    """A channel that was asked nothing, or is paused, is no help; one that takes what it is given is."""
    refusing = channel(lately)
    paused = replace(WELL, standing=Standing(paused_until=NOW + 1))
    for other in (replace(refusing, name="backup"), channel("", "backup"), paused):
        assert any(line.startswith(NOBODY) for line in troubles(refusing, other)), other
    assert not any(line.startswith(NOBODY) for line in troubles(refusing, WELL))


def test_words_stand_beside_the_refusal_that_they_are_of() -> None:
    refusing = replace(channel("rejected:account"), words="用户名或密码错误", words_at=NOW - 60_000)
    assert "(“用户名或密码错误”)" in troubles(refusing, WELL)[0]
    assert "“" not in troubles(replace(refusing, words_at=1), WELL)[0]


def test_what_is_not_told_for_long_is_a_trouble() -> None:
    """A question that fails once is none."""
    untold = [Untold("reports", NOW - UNTOLD_MS, "密码错误"), Untold("balance", NOW - UNTOLD_MS + 1, "密码错误")]
    [line] = troubles(replace(WELL, untold=untold))
    assert line.startswith("backup has not told its reports for 10 min (“密码错误”): mend its address")


def test_the_latest_calls_of_a_channel_are_kept_the_newest_first(world: World) -> None:
    """Ten of them, those that say nothing of the breaker among them; a silent one has come to nothing yet."""
    results = [ACCEPTED, refused(Reason.ACCOUNT), None, BUSY, ODD, *[refused(Reason.CONTENT)] * 8]

    async def note() -> None:
        client = world.server.make_async()
        standings = RedisStandings(trips_to(client, world.scripts))
        for result in results:
            await standings.note(Call("primary", Judgement.NEUTRAL, result, 1))
        await client.aclose()

    asyncio.run(note())
    primary, backup = world.operations.look(["primary", "backup"]).channels
    assert list(primary.lately) == [*["rejected:content"] * 8, "rejected::unmapped", "retryable:"]
    assert primary.lately_at > 0
    assert (backup.lately, backup.lately_at) == ((), 0)


@pytest.mark.parametrize(("answer", "words"), [(BUSY, "系统繁忙 ****"), (ODD, "其他错误")])
def test_a_complaint_without_a_reason_is_shown_as_well(world: World, answer: TryResult, words: str) -> None:
    """Masked; what an accepting gateway says is none."""
    world.gateways[0].answers = [answer]
    world.start()
    world.deliver()
    primary, backup = world.operations.look(["primary", "backup"]).channels
    assert (primary.words, backup.words) == (words, "")
    assert primary.words_at == primary.lately_at > 0
