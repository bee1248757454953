"""Which channel carries a send: rules, order, breaker, pauses and limits, as the whole installation sees them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from otp_service.calls import Asking
from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.delivery import Voice
from otp_service.delivery.judging import judge
from otp_service.delivery.routing import UNWELL, Router, health
from otp_service.errors import InvalidRequest, RateLimited, RecipientBlocked, Unavailable, UnknownPurpose
from otp_service.keyring import Keyring
from otp_service.messages import Catalogue
from otp_service.policy import LONG_TTL_SECONDS, Window
from otp_service.ports import Call, Change, Entry, Judgement, Message, Outcome, Reason, Standing, TryResult
from otp_service.recipient import parse
from otp_service.routes import ChannelRule, eligible
from otp_service.store import RedisStandings, Trips
from otp_service.verification import Delivery
from otp_service.verifier import ResendRequest, Started
from tests.raw_gateway import RawGateway, http_answer, says
from tests.world import (
    ACCEPTED,
    FINGERPRINT,
    MOVABLE,
    NUMBER,
    PATIENCE,
    SHOP,
    UNLIMITED,
    FakeGateway,
    Server,
    World,
    refused,
    until,
)

DOWN = TryResult(Outcome.RETRYABLE, Reason.NETWORK, "refused")
BUSY = TryResult(Outcome.RETRYABLE, None, "busy", retry_after=40.0, overloaded=True)
CHINA, TAIWAN, AMERICA = parse("+8613800138000", ""), parse("+886912345678", ""), parse("+14155552671", "")


def names(rules: list[ChannelRule], to: Any, client: str = "shop", purpose: str = "login") -> list[str]:
    return [rule.name for rule in eligible(rules, client, purpose, to)]


# What a channel carries


def test_a_channel_carries_what_its_rule_says_and_others_everything() -> None:
    rules = [
        ChannelRule("login", purposes=frozenset({"login"})),
        ChannelRule("shop", clients=frozenset({"shop"})),
        ChannelRule("taiwan", regions=frozenset({"TW"})),
        ChannelRule("unicom", prefixes=("+86138", "+86130")),
        ChannelRule("all", regions=frozenset({"*"})),
    ]
    assert names(rules, CHINA) == ["login", "shop", "unicom", "all"]
    assert names(rules, TAIWAN, client="bank") == ["login", "taiwan", "all"]
    assert names(rules, AMERICA, client="bank", purpose="signup") == ["all"]


def test_a_gateway_that_cannot_reach_the_country_is_left_out_while_another_can() -> None:
    family = ChannelRule("family", home=frozenset({"CN"}))
    assert names([family, ChannelRule("world", priority=1)], AMERICA) == ["world"]
    assert names([family], AMERICA) == ["family"]


def test_the_lowest_priority_number_goes_first() -> None:
    assert names([ChannelRule("b", priority=2), ChannelRule("a", priority=1)], CHINA) == ["a", "b"]


def test_a_number_that_no_channel_takes_is_blocked_and_the_settings_are_named(world: World) -> None:
    world.with_rules(channels=(ChannelRule("primary", regions=frozenset({"TW"})),))
    with pytest.raises(RecipientBlocked, match="regions, prefixes"):
        world.start()


def test_a_pin_on_a_channel_that_does_not_carry_it_is_told_at_its_place(world: World) -> None:
    world.with_rules(channels=(ChannelRule("primary"), ChannelRule("backup", purposes=frozenset({"signup"}))))
    with pytest.raises(InvalidRequest) as refusal:
        world.start(channel="backup")
    assert refusal.value.errors[0].pointer == "/channel"


def test_a_send_goes_only_by_the_channels_of_its_route(world: World) -> None:
    first, backup = world.rules.channels
    world.with_rules(channels=(replace(first, prefixes=("+86139",)), backup))
    world.start()
    world.start("+8613912345678")
    world.deliver()
    assert [len(gateway.inbox) for gateway in world.gateways] == [1, 1]


def test_a_send_by_a_channel_that_no_worker_knows_yet_waits_for_one_that_does(world: World) -> None:
    """A changed configuration reaches one process after the other."""
    before, after = world.rules.channels, (ChannelRule("new"),)
    id = world.with_rules(channels=after).start().verification.id
    world.with_rules(channels=before).deliver()
    assert world.get(id).delivery is Delivery.QUEUED
    world.gateways.append(FakeGateway("new"))
    world.move_clock(9)
    world.with_rules(channels=after).deliver()
    assert (world.get(id).delivery, [one.channel for one in world.get(id).tries]) == (Delivery.ACCEPTED, ["new"])


def test_a_send_whose_channel_is_gone_for_good_ends_expired_before_its_code(world: World) -> None:
    world.freeze_clock()
    id = world.start(channel="backup").verification.id
    world.with_rules(channels=world.rules.channels[:1]).deliver()
    assert world.get(id).delivery is Delivery.QUEUED
    world.move_clock(275)
    world.deliver()
    assert world.get(id).delivery is Delivery.EXPIRED


def test_a_resend_that_excludes_the_last_channel_goes_another_way_first(world: World) -> None:
    id = world.start().verification.id
    world.deliver()
    world.move_clock(61)
    world.verifier.resend(SHOP, id, ResendRequest(exclude_last=True))
    world.deliver()
    assert [(one.send, one.channel) for one in world.get(id).tries] == [(1, "primary"), (2, "backup")]


# Recipient limits of a channel


def test_a_channel_that_is_full_for_a_number_leaves_it_to_the_next(world: World) -> None:
    first, backup = world.rules.channels
    world.with_rules(channels=(replace(first, recipient_windows=(Window(1, 3600),), strict=True), backup))
    id = world.start().verification.id
    world.deliver()
    world.move_clock(61)
    world.start()
    world.deliver()
    tries = world.get(id).tries
    assert [(one.channel, one.outcome) for one in tries] == [
        ("primary", "accepted"),
        ("primary", "retryable"),
        ("backup", "accepted"),
    ]
    assert tries[1].detail.startswith("not asked: its recipient_limits are full for 35")
    assert len(world.gateways[0].inbox) == 1


def test_when_every_channel_is_full_for_a_number_the_start_is_refused_before_any_gateway(world: World) -> None:
    windows = (Window(1, 3600),)
    world.with_rules(
        channels=tuple(replace(rule, recipient_windows=windows, strict=True) for rule in world.rules.channels)
    )
    for gateway in world.gateways:
        gateway.answers = [TryResult(Outcome.UNKNOWN, Reason.TIMEOUT)]
    world.start()
    world.deliver()
    world.move_clock(61)
    with pytest.raises(RateLimited) as refusal:
        world.start()
    assert refusal.value.limit == "recipient"
    # However long this machine took between the try and the second start.
    assert 3600 - 61 - PATIENCE < refusal.value.retry_after <= 3600 - 61


def test_our_own_guess_of_a_gateways_limits_orders_and_refuses_nothing(world: World) -> None:
    windows = (Window(1, 3600),)
    world.with_rules(channels=tuple(replace(rule, recipient_windows=windows) for rule in world.rules.channels))
    for _ in range(3):
        world.start()
        world.deliver()
        world.move_clock(121)
    assert [len(gateway.inbox) for gateway in world.gateways] == [2, 1]


def test_what_a_gateway_did_not_take_does_not_count_for_the_number(world: World) -> None:
    world.with_rules(
        channels=tuple(
            replace(rule, recipient_windows=(Window(1, 3600),), strict=True) for rule in world.rules.channels
        )
    )
    world.gateways[0].answers = [refused(Reason.ACCOUNT)]
    world.start()
    world.deliver()
    world.move_clock(61)
    world.start()
    world.deliver()
    assert [len(gateway.inbox) for gateway in world.gateways] == [2, 1]


# The breaker


def on_standings(world: World, work: Callable[[RedisStandings], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        client = world.server.make_async()
        result = await work(RedisStandings(Trips(client, MOVABLE)))
        await client.aclose()
        return result

    return asyncio.run(run())


def calls(world: World, *results: TryResult, holder: str = "", channel: str = "primary") -> list[Change]:
    async def work(standings: RedisStandings) -> list[Change]:
        noted = [Call(channel, judge(result, 0.01, 1.0), result, 10, holder) for result in results]
        return [(await standings.note(call))[0] for call in noted]

    return on_standings(world, work)


def probe(world: World, holder: str) -> bool:
    return on_standings(world, lambda standings: standings.probe("primary", holder, 1000))


def test_a_dead_gateway_opens_its_breaker_after_ten_calls(world: World) -> None:
    assert calls(world, *[DOWN] * 10) == [Change.NONE] * 9 + [Change.OPENED]


def test_three_failures_in_five_open_it_within_twenty_calls(world: World) -> None:
    """F24."""
    assert Change.OPENED in calls(world, *[DOWN, DOWN, ACCEPTED, DOWN, ACCEPTED] * 4)


def test_a_gateway_that_fails_now_and_then_stays_closed(world: World) -> None:
    assert set(calls(world, *[DOWN, ACCEPTED, ACCEPTED, ACCEPTED] * 10)) == {Change.NONE}


def test_silence_counts_twice(world: World) -> None:
    async def work(standings: RedisStandings) -> list[Change]:
        call = Call("primary", Judgement.SILENT, None, 1500)
        return [(await standings.note(call))[0] for _ in range(5)]

    assert on_standings(world, work) == [Change.NONE] * 4 + [Change.OPENED]


@pytest.mark.parametrize(
    "about_the_send",
    [
        refused(Reason.NUMBER),
        refused(Reason.CONTENT),
        refused(Reason.BALANCE),
        TryResult(Outcome.RETRYABLE, Reason.RATE, "too often", retry_after=3600.0),
        TryResult(Outcome.UNKNOWN, Reason.ANSWER, "no words"),
    ],
)
def test_what_is_about_the_number_the_text_or_the_account_opens_nothing(
    world: World, about_the_send: TryResult
) -> None:
    assert set(calls(world, *[about_the_send] * 25)) == {Change.NONE}
    sky = on_standings(world, lambda standings: standings.look(["primary"]))
    assert not sky.standings["primary"].blocked_until(sky.now)


def test_failures_of_long_ago_are_forgotten(world: World) -> None:
    calls(world, *[DOWN] * 9)
    world.move_clock(301)
    assert calls(world, *[DOWN] * 9) == [Change.NONE] * 9


def test_an_open_breaker_lets_one_probe_at_a_time_through_and_closes_after_three_good_ones(world: World) -> None:
    """F24: in the whole installation."""
    calls(world, *[DOWN] * 10)
    assert not probe(world, "a")
    world.move_clock(5.1)
    assert probe(world, "a")
    assert not probe(world, "b")
    assert calls(world, ACCEPTED, holder="a") == [Change.NONE]
    assert probe(world, "b")
    assert calls(world, ACCEPTED, holder="late") == [Change.NONE]
    assert not probe(world, "c")
    assert calls(world, ACCEPTED, holder="b") == [Change.NONE]
    assert probe(world, "c")
    assert calls(world, ACCEPTED, holder="c") == [Change.CLOSED]


def test_a_failed_probe_doubles_the_spell_up_to_a_minute(world: World) -> None:
    calls(world, *[DOWN] * 10)
    for spell in (5, 10, 20, 40, 60, 60):
        world.move_clock(spell - 1)
        assert not probe(world, "a")
        world.move_clock(1.1)
        assert probe(world, "a")
        calls(world, DOWN, holder="a")


def test_a_probe_that_nobody_ends_is_free_again_after_its_time(world: World) -> None:
    calls(world, *[DOWN] * 10)
    world.move_clock(5.1)
    assert probe(world, "dead")
    world.move_clock(1.1)
    assert probe(world, "next")


def test_a_gateway_is_left_alone_as_long_as_it_asks_for(world: World) -> None:
    calls(world, BUSY)
    sky = on_standings(world, lambda standings: standings.look(["primary"]))
    assert sky.standings["primary"].blocked_until(sky.now) == pytest.approx(sky.now + 40_000, abs=2000)
    world.start()
    world.deliver()
    assert [len(gateway.inbox) for gateway in world.gateways] == [0, 1]


@pytest.mark.parametrize("is_open", [False, True], ids=["a well one", "one whose breaker opened meanwhile"])
def test_a_gateway_that_was_silent_first_is_left_alone_as_long_as_it_asks_for(world: World, is_open: bool) -> None:
    async def busy_at_last() -> TryResult:
        await until(lambda: world.gateways[1].inbox)
        return BUSY

    world.gateways[0].answer_within = 0.05
    world.gateways[0].answers = [busy_at_last]
    calls(world, *[DOWN] * (8 if is_open else 0))
    world.start()
    world.deliver()
    sky = on_standings(world, lambda standings: standings.look(["primary"]))
    assert sky.standings["primary"].is_open is is_open
    assert sky.standings["primary"].blocked_until(sky.now) > sky.now + 20_000


def test_a_message_that_we_can_not_write_says_nothing_of_its_channel(world: World) -> None:
    """No gateway was asked: what failed is ours, and closes no breaker either."""
    calls(world, *[DOWN] * 10)
    world.move_clock(6)
    id = world.start().verification.id
    world.with_keyring(Keyring([("later", bytes(range(32, 64)))], FINGERPRINT))
    world.deliver()
    sky = on_standings(world, lambda standings: standings.look(["primary", "backup"]))
    probed = world.server.client.hget("otp:c:{primary}", "probed")
    assert (world.gateways[0].inbox, world.gateways[1].inbox, probed) == ([], [], b"0")
    assert probe(world, "next"), id
    assert [round(one.calls) for one in sky.standings.values()] == [10, 0]


def test_a_message_that_this_worker_can_not_write_yet_is_left_to_one_that_can(world: World) -> None:
    """A new secret key, or purpose, that the API has before the worker: a rolling change loses no send."""
    before, later = world.keyring, ("later", bytes(range(32, 64)))
    id = world.with_keyring(Keyring([later], FINGERPRINT)).start().verification.id
    world.with_keyring(before).deliver()
    world.with_keyring(Keyring([later], FINGERPRINT)).move_clock(9)
    world.deliver()
    assert (world.get(id).delivery, world.gateways[0].codes) == (Delivery.ACCEPTED, [world.code_of(id)])


def test_an_open_channel_is_passed_over_and_the_person_waits_for_nothing(world: World) -> None:
    calls(world, *[DOWN] * 10)
    id = world.start().verification.id
    world.deliver()
    assert [one.channel for one in world.get(id).tries] == ["backup"]


def test_when_every_channel_is_open_starts_are_refused_and_checks_still_work(world: World) -> None:
    """Invariant 6."""
    world.freeze_clock()
    id = world.start().verification.id
    for channel in ("primary", "backup"):
        calls(world, *[DOWN] * 10, channel=channel)
    world.with_rules()
    with pytest.raises(Unavailable) as refusal:
        world.start("+8613912345678")
    assert refusal.value.retry_after == 5
    assert world.check(id, world.code_of(id)).verification.status == "approved"
    world.move_clock(5.1)
    world.with_rules()
    assert world.start("+8613912345678").created


def test_what_waits_for_open_channels_is_sent_when_they_are_back(world: World) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    for channel in ("primary", "backup"):
        calls(world, *[DOWN] * 10, channel=channel)
    world.deliver()
    assert world.get(id).delivery is Delivery.QUEUED
    world.move_clock(14)
    world.deliver()
    assert world.get(id).delivery is Delivery.ACCEPTED


def test_a_send_that_no_channel_could_take_in_time_ends_expired_before_its_code(world: World) -> None:
    """F26."""
    for gateway in world.gateways:
        gateway.answers = [DOWN] * 50
    world.freeze_clock()
    id = world.start().verification.id
    for passes in (0, 75, 75, 75, 50):
        world.move_clock(passes)
        world.deliver()
    seen = world.get(id)
    assert (seen.delivery, seen.status) == (Delivery.EXPIRED, "pending")


# The score


def test_a_channel_is_well_until_something_is_known() -> None:
    assert health(Standing(calls=5, accepted=0)) == 1.0
    assert health(Standing(calls=50, accepted=10, took_ms=50 * 100)) < UNWELL
    assert health(Standing(calls=50, accepted=50, took_ms=50 * 100)) == 1.0
    assert health(Standing(calls=50, accepted=50, took_ms=50 * 4000)) < UNWELL
    assert health(Standing(reported=50, delivered=10)) < UNWELL
    assert health(Standing(finished=100, approved=20), best_conversion=0.75) < UNWELL
    assert health(Standing(finished=100, approved=70), best_conversion=0.75) > 0.9


def test_a_channel_that_does_badly_goes_behind_those_of_lower_priority(world: World) -> None:
    calls(world, *[refused(Reason.BALANCE)] * 30)
    id = world.start().verification.id
    world.deliver()
    assert [one.channel for one in world.get(id).tries] == ["backup"]


def test_the_score_fades(world: World) -> None:
    calls(world, *[refused(Reason.BALANCE)] * 30)
    world.move_clock(1800)
    calls(world, ACCEPTED)
    id = world.start().verification.id
    world.deliver()
    assert [one.channel for one in world.get(id).tries] == ["primary"]


def first_choices(standings: dict[str, Standing], *rules: ChannelRule, times: int = 2000) -> dict[str, int]:
    router = Router(None, rules, {}, chance=random.Random(7))  # type: ignore[arg-type]
    router._sky = replace(router._sky, standings=standings)
    firsts = [router._order(rules, Entry(0, "1-1", "ver_x", 1, 0))[0].name for _ in range(times)]
    return {rule.name: firsts.count(rule.name) for rule in rules}


def test_channels_of_one_priority_share_by_weight() -> None:
    shares = first_choices({}, ChannelRule("a", weight=3), ChannelRule("b", weight=1))
    assert 0.7 < shares["a"] / 2000 < 0.8


def test_a_small_share_goes_first_by_a_channel_that_nobody_has_asked_for_a_while() -> None:
    busy = Standing(calls=1000, accepted=1000)
    shares = first_choices({"a": busy}, ChannelRule("a"), ChannelRule("b", priority=1))
    assert 0 < shares["b"] / 2000 < 0.04
    assert first_choices({}, ChannelRule("a"), ChannelRule("b", priority=1))["b"] == 0


def test_approvals_speak_for_the_channels_that_carried_them(world: World) -> None:
    good = world.start().verification.id
    world.start("+8613912345678")
    world.deliver()
    world.check(good, world.code_of(good))
    world.move_clock(301)
    world.deliver()
    sky = on_standings(world, lambda standings: standings.look(["primary"]))
    standing = sky.standings["primary"]
    assert (round(standing.finished), round(standing.approved)) == (2, 1)


# An operator's pauses


def pause(world: World, field: str, seconds: float) -> None:
    world.server.client.hset("otp:pauses", field, world.store.now() + round(seconds * 1000))


@pytest.mark.parametrize("field", ["sends", "region:CN", "prefix:+86138"])
def test_paused_sends_are_refused_and_those_that_wait_are_held_back_until_the_pause_ends(
    world: World, field: str
) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    pause(world, field, 100)
    world.with_rules()
    with pytest.raises(Unavailable) as refusal:
        world.start("+8613812345678")
    assert refusal.value.retry_after == 100

    async def work() -> None:
        async with world.working() as worker:
            await until(lambda: worker.ready)
            await asyncio.sleep(0.1)  # for what must not come

    asyncio.run(work())
    assert world.gateways[0].inbox == []
    world.move_clock(101)
    world.deliver()
    assert world.get(id).delivery is Delivery.ACCEPTED


def test_a_pause_of_one_country_or_beginning_leaves_the_others_alone(world: World) -> None:
    pause(world, "region:TW", 100)
    pause(world, "prefix:+86139", 100)
    world.start()
    world.deliver()
    assert len(world.gateways[0].inbox) == 1


def test_a_paused_channel_is_passed_over_until_its_pause_ends(world: World) -> None:
    world.server.client.hset("otp:c:{primary}", "paused", world.store.now() + 100_000)
    world.start()
    world.deliver()
    world.move_clock(101)
    world.start("+8613912345678")
    world.deliver()
    assert [len(gateway.inbox) for gateway in world.gateways] == [1, 1]


# Waiting, and looking up


def started_while_a_worker_runs(world: World, seconds: float, **more: Any) -> Any:
    async def work() -> Any:
        async with world.working():
            return await asyncio.to_thread(world.start, asking=Asking(wait=seconds), **more)

    return asyncio.run(work())


def test_a_start_that_waits_tells_the_outcome_of_its_first_try(real_world: World) -> None:
    assert started_while_a_worker_runs(real_world, PATIENCE).verification.delivery is Delivery.ACCEPTED


def test_a_start_that_waits_is_answered_when_the_first_try_fails(real_world: World) -> None:
    real_world.gateways[0].answers = [refused(Reason.ACCOUNT)]

    async def work() -> Started:
        told = asyncio.Event()

        async def answer() -> TryResult:
            await told.wait()
            return ACCEPTED

        real_world.gateways[1].answers = [answer]
        async with real_world.working():
            started = await asyncio.to_thread(real_world.start, asking=Asking(wait=PATIENCE))
            told.set()
            return started

    assert asyncio.run(work()).verification.delivery is Delivery.TRYING


def test_a_start_that_waits_tells_that_the_number_is_refused(real_world: World) -> None:
    real_world.gateways[0].answers = [refused(Reason.NUMBER)]
    assert started_while_a_worker_runs(real_world, PATIENCE).verification.delivery is Delivery.FAILED


def test_a_start_that_waits_looks_the_same_when_nothing_is_delivered(real_world: World) -> None:
    started = started_while_a_worker_runs(real_world, PATIENCE, deliver=False)
    assert started.verification.delivery is Delivery.ACCEPTED


def test_a_start_waits_no_longer_than_it_was_asked_to(world: World) -> None:
    started = world.start(asking=Asking(wait=0.05))
    assert (started.created, started.verification.delivery) == (True, Delivery.QUEUED)


def test_support_sees_the_latest_twenty_of_its_own_client(world: World) -> None:
    world.with_rules(limits=replace(world.rules.limits, recipient=()))
    made = [world.start(session=str(n)).verification.id for n in range(23)]
    world.start("+8613912345678")
    world.verifier.cancel(SHOP, made[-1])
    world.deliver()
    found = world.verifier.lookup(SHOP, "138 0013 8000")
    assert [one.id for one in found] == made[:2:-1]
    assert (found[0].status, found[1].tries[0].outcome) == ("canceled", "accepted")
    assert world.verifier.lookup(replace(SHOP, name="bank"), NUMBER) == ()
    owner = world.keyring.owner("shop", world.keyring.recipient(NUMBER))
    assert [world.server.client.llen(key) for key in world.server.client.keys(f"*:l:{owner}")] == [20]


def test_a_look_up_shows_each_once_however_it_was_started(server: Server) -> None:
    """A scope names the latest of its purpose; a list, what that took the place of, and what has a session."""
    world = World(server)
    world.with_rules(limits=UNLIMITED)
    made = []
    for purpose, session in [("login", None), ("signup", None), ("login", "a"), ("login", None), ("login", "a")]:
        made.append(world.start(purpose=purpose, session=session).verification.id)
        world.verifier.cancel(SHOP, made[-1])
        world.move_clock(61)
    assert [one.id for one in world.verifier.lookup(SHOP, NUMBER)] == made[::-1]


def test_a_number_that_is_asked_for_once_has_no_list(server: Server) -> None:
    world = World(server)
    id = world.start().verification.id
    assert world.server.client.keys("*:l:*") == []
    assert [one.id for one in world.verifier.lookup(SHOP, NUMBER)] == [id]


def test_of_many_in_sessions_and_without_one_the_latest_twenty_are_seen(server: Server) -> None:
    world = World(server)
    world.with_rules(limits=UNLIMITED)
    old = world.start().verification.id
    made = [world.start(session=str(n)).verification.id for n in range(20)]
    world.move_clock(61)
    world.verifier.cancel(SHOP, old)
    newest = world.start().verification.id
    assert [one.id for one in world.verifier.lookup(SHOP, NUMBER)] == [newest, *made[:0:-1]]


def test_a_look_up_shows_a_long_life_though_a_short_one_began_after_it(server: Server) -> None:
    """As long as each is remembered: two hours after its own end."""
    world = World(server)
    policies = {**world.rules.policies, "signup": replace(world.rules.policies["signup"], ttl=LONG_TTL_SECONDS[-1])}
    world.with_rules(policies=policies)
    long = world.start(purpose="signup", session="a").verification.id
    world.start(session="a")
    [record], [listed] = (world.server.client.keys(pattern) for pattern in (f"*{long}", "*:l:*"))
    assert -1000 < world.server.client.pttl(listed) - world.server.client.pttl(record) < 10_000


def test_a_resend_that_the_configuration_refuses_carries_its_verification(world: World) -> None:
    id = world.start().verification.id
    world.with_rules(regions=frozenset({"US"}))
    with pytest.raises(RecipientBlocked) as blocked:
        world.verifier.resend(SHOP, id, ResendRequest())
    world.with_rules(policies={})
    with pytest.raises(UnknownPurpose) as unknown:
        world.verifier.resend(SHOP, id, ResendRequest())
    for problem in (blocked.value, unknown.value):
        assert problem.verification
        assert (problem.verification.id, problem.verification.status) == (id, "pending")


def test_a_person_who_wants_no_more_messages_gets_none(world: World) -> None:
    owner, partition = (
        world.keyring.owner("shop", world.keyring.recipient(NUMBER)),
        world.keyring.partition(parse(NUMBER, "").prefix),
    )
    world.store.suppress(partition, owner)
    with pytest.raises(RecipientBlocked, match="suppression"):
        world.start()
    world.store.suppress(partition, owner, lift=True)
    assert world.start().created


# The own port number


def test_a_client_has_its_own_port_number_for_each_purpose_and_the_most_exact_one_wins() -> None:
    voice = Voice(Catalogue({}), None, extnos={"shop": "1", "shop/login": "2", "*/login": "3"})
    assert [voice.extno(*asked) for asked in (("shop", "login"), ("shop", "signup"), ("bank", "login"))] == [
        "2",
        "1",
        "3",
    ]
    assert voice.extno("bank", "signup") == ""


def test_the_port_number_of_the_client_reaches_the_gateway() -> None:
    with RawGateway(says(http_answer(body=b"<returnsms><returnstatus>Success</returnstatus></returnsms>"))) as gateway:
        settings = SmsAspxSettings("main", f"http://{gateway.host}", account="a", password="b", extno="9")
        channel = SmsAspxChannel(settings)

        async def deliver() -> None:
            await channel.deliver(Message(NUMBER, "x", extno="77"))
            await channel.deliver(Message(NUMBER, "x"))
            await channel.aclose()

        asyncio.run(deliver())
    assert [form["extno"] for form in gateway.forms()] == ["77", "9"]
