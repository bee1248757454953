"""Start, resend, check, cancel: each sentence of the contract, and those who try to bend it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.errors import (
    AlreadyApproved,
    Canceled,
    CodeMismatch,
    Exhausted,
    Expired,
    Forbidden,
    InvalidRecipient,
    InvalidRequest,
    NotFound,
    Problem,
    RateLimited,
    RecipientBlocked,
    Unavailable,
    UnknownPurpose,
)
from otp_service.keyring import Keyring
from otp_service.policy import Client, Limits, TestNumber, Window
from otp_service.ports import Begun, Candidate, Outcome, TryResult
from otp_service.verification import Delivery, Status
from otp_service.verifier import CheckRequest, ResendRequest
from tests.world import ACCEPTED, BANK, FINGERPRINT, NUMBER, SECRET, SHOP, UNLIMITED, Server, World

OTHER_NUMBER = "+8613912345678"
NEVER_GIVEN = "ver_" + "0" * 40


def resend(world: World, id: str, **more: Any) -> Any:
    return world.verifier.resend(SHOP, id, ResendRequest(**more))


def by_to(world: World, code: str, to: str = NUMBER, purpose: str = "login", client: Client = SHOP, **more: Any) -> Any:
    return world.verifier.check_by_recipient(client, CheckRequest(code=code, to=to, purpose=purpose, **more))


def refusal(call: Callable[[], object]) -> tuple[str | None, int | None]:
    """The limit that refuses `call`, and the seconds to wait."""
    with pytest.raises(RateLimited) as refused:
        call()
    return refused.value.limit, refused.value.retry_after


def pointers(call: Callable[[], object]) -> list[str]:
    """Where the request needs mending."""
    with pytest.raises(InvalidRequest) as refused:
        call()
    return [error.pointer for error in refused.value.errors]


def guess_wrong(world: World, id: str, times: int = 1, **more: Any) -> int:
    """`attempts_left` after that many wrong codes."""
    left = -1
    for _ in range(times):
        with pytest.raises(CodeMismatch) as refused:
            world.check(id, world.wrong_code(id), **more)
        assert refused.value.verification is not None
        left = refused.value.verification.attempts_left
    return left


def attempts_left(world: World, id: str) -> int:
    return world.get(id).attempts_left


def sends_now(world: World, **more: Any) -> World:
    """A world in which cooldowns don't stand in the way of what is tested."""
    world.with_rules(
        policies={name: replace(policy, cooldown=(0,), **more) for name, policy in world.rules.policies.items()}
    )
    return world


# --- start: what is pending -------------------------------------------------------------------------------------------


def test_a_start_makes_a_pending_verification_that_says_what_the_contract_says(world: World) -> None:
    started = world.start()
    seen = started.verification
    assert started.created
    assert not started.replayed
    assert seen.id.startswith("ver_")
    assert (seen.status, seen.delivery, seen.purpose) == (Status.PENDING, Delivery.QUEUED, "login")
    assert seen.to == "+86138****8000"
    assert seen.expires_at - seen.created_at == 300_000
    assert seen.resend_at - seen.created_at == 60_000
    assert (seen.code_length, seen.attempts_left, seen.sends, seen.sends_left) == (6, 5, 1, 3)
    assert (seen.expires_in, seen.resend_in) == (300, 60)
    assert not seen.tries
    assert not seen.test


def test_a_second_start_of_the_same_four_sends_the_pending_one_again(world: World) -> None:
    first = world.start(session="s").verification
    code = world.code_of(first.id)
    guess_wrong(world, first.id, session="s")
    world.move_clock(60)
    again = world.start(session="s")
    seen = again.verification
    assert not again.created
    assert (seen.id, seen.expires_at, seen.created_at) == (first.id, first.expires_at, first.created_at)
    assert (seen.sends, seen.attempts_left, seen.delivery) == (2, 4, Delivery.QUEUED)
    assert world.code_of(first.id) == code
    assert world.check(first.id, code, session="s").verification.status is Status.APPROVED


@pytest.mark.parametrize(
    "other",
    [
        {"client": BANK},
        {"purpose": "signup"},
        {"to": OTHER_NUMBER},
        {"session": "another"},
        {"session": ""},
        {"session": None},
    ],
    ids=["client", "purpose", "recipient", "session", "empty session", "no session"],
)
def test_another_of_the_four_is_another_verification(world: World, other: dict[str, Any]) -> None:
    first = world.start(session="s")
    second = world.start(**{"session": "s", **other})
    assert second.created
    assert second.verification.id != first.verification.id
    assert world.get(first.verification.id).status is Status.PENDING


def test_no_session_and_an_empty_one_are_two_values(world: World) -> None:
    assert world.start(session=None).verification.id != world.start(session="").verification.id


def test_every_spelling_of_a_number_is_one_recipient(world: World) -> None:
    world.freeze_clock()
    world.start("+8613800138000")
    for spelling in [
        "13800138000",
        "0086 138 0013 8000",
        "+86 138-0013-8000",
        "１３８００１３８０００",
        "tel:+8613800138000",
    ]:
        assert refusal(lambda to=spelling: world.start(to)) == ("cooldown", 60)


# --- start: cooldown --------------------------------------------------------------------------------------------------


def test_the_cooldown_grows_as_configured_and_its_last_value_repeats(server: Server) -> None:
    world = World(server, UNLIMITED, cooldown=(60, 60, 120), ttl=1800, max_sends=6)
    world.freeze_clock()
    id = world.start().verification.id
    for wait in (60, 60, 120, 120, 120):
        assert refusal(world.start) == ("cooldown", wait)
        world.move_clock(wait - 0.001)
        assert refusal(world.start) == ("cooldown", 1)
        world.move_clock(0.001)
        assert world.start().verification.id == id
    assert world.get(id).sends == 6


def test_the_seconds_to_wait_are_rounded_up(world: World) -> None:
    world.freeze_clock()
    world.start()
    world.move_clock(0.001)
    assert refusal(world.start) == ("cooldown", 60)
    world.move_clock(0.999)
    assert refusal(world.start) == ("cooldown", 59)


def test_the_cooldown_is_in_the_refusal_with_the_pending_verification(world: World) -> None:
    id = world.start().verification.id
    with pytest.raises(RateLimited) as refused:
        world.start()
    assert refused.value.verification is not None
    assert refused.value.verification.id == id


def test_cancel_does_not_reset_the_cooldown(world: World) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    world.verifier.cancel(SHOP, id)
    assert refusal(world.start) == ("cooldown", 60)
    world.move_clock(60)
    assert world.start().created


def test_exhaustion_does_not_reset_the_cooldown(world: World) -> None:
    world.freeze_clock()
    guess_wrong(world, world.start().verification.id, times=5)
    assert refusal(world.start) == ("cooldown", 60)
    world.move_clock(60)
    assert world.start().created


def test_an_approval_does_not_reset_the_cooldown(world: World) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    world.check(id, world.code_of(id))
    assert refusal(world.start) == ("cooldown", 60)


def test_expiry_does_not_reset_the_cooldown(server: Server) -> None:
    world = World(server, ttl=60, cooldown=(90,))
    world.freeze_clock()
    world.start()
    world.move_clock(60)
    assert refusal(world.start) == ("cooldown", 30)
    world.move_clock(30)
    assert world.start().created


def test_another_context_does_not_get_past_the_cooldown_and_cancels_nothing(world: World) -> None:
    id = world.start(context={"amount": "1"}).verification.id
    assert refusal(lambda: world.start(context={"amount": "2"}))[0] == "cooldown"
    assert refusal(lambda: world.start(deliver=False))[0] == "cooldown"
    assert world.get(id).status is Status.PENDING


def test_a_cooldown_longer_than_the_record_is_remembered_still_holds(server: Server) -> None:
    world = World(server, cooldown=(9000,), resend="rotate")
    id = world.start().verification.id
    world.move_clock(8000)
    [record] = server.client.keys(f"*:v:{id}")
    server.client.delete(record)
    assert refusal(world.start)[0] == "cooldown"
    world.move_clock(1001)
    assert world.start().created


# --- start: when the pending one gives way ----------------------------------------------------------------------------


def test_another_context_cancels_the_pending_one_and_starts_anew(world: World) -> None:
    first = world.start(context={"amount": "1"}).verification
    code = world.code_of(first.id)
    world.move_clock(61)
    second = world.start(context={"amount": "2"})
    assert second.created
    assert second.verification.id != first.id
    assert world.get(first.id).status is Status.CANCELED
    with pytest.raises(Canceled):
        world.check(first.id, code, context={"amount": "1"})


def test_the_order_of_a_context_is_free(world: World) -> None:
    first = world.start(context={"amount": "1", "payee": "x"}).verification
    world.move_clock(61)
    again = world.start(context={"payee": "x", "amount": "1"})
    assert again.verification.id == first.id
    assert world.check(first.id, world.code_of(first.id), context={"payee": "x", "amount": "1"}).token


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_another_deliver_cancels_the_pending_one_and_starts_anew(world: World, before: bool, after: bool) -> None:
    first = world.start(deliver=before).verification
    world.move_clock(61)
    assert world.start(deliver=after).created
    assert world.get(first.id).status is Status.CANCELED


def test_one_with_under_a_minute_to_live_gives_way_to_a_new_one(world: World) -> None:
    world.freeze_clock()
    first = world.start().verification
    world.move_clock(240)
    assert world.start().verification.id == first.id
    world.move_clock(60)
    second = world.start()
    assert second.created
    assert world.get(first.id).status is Status.EXPIRED


def test_a_millisecond_under_a_minute_is_under_a_minute(world: World) -> None:
    world.freeze_clock()
    first = world.start().verification
    world.move_clock(240.001)
    assert world.start().created
    assert world.get(first.id).status is Status.CANCELED


def test_a_resend_by_id_with_under_a_minute_to_live_is_refused_as_expired(world: World) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    code = world.code_of(id)
    world.move_clock(240.001)
    with pytest.raises(Expired) as refused:
        resend(world, id)
    assert refused.value.verification is not None
    assert refused.value.verification.sends == 1
    assert world.check(id, code).verification.status is Status.APPROVED


# --- resend -----------------------------------------------------------------------------------------------------------


def test_a_resend_by_id_keeps_id_code_expiry_and_attempts(world: World) -> None:
    """T04, T23 (`reuse`)."""
    first = world.start().verification
    code = world.code_of(first.id)
    assert guess_wrong(world, first.id, times=4) == 1
    world.move_clock(60)
    again = resend(world, first.id)
    assert not again.created
    assert (again.verification.id, again.verification.expires_at) == (first.id, first.expires_at)
    assert (again.verification.sends, again.verification.attempts_left) == (2, 1)
    assert world.code_of(first.id) == code


def test_resend_by_id_and_start_share_cooldown_and_sends(world: World) -> None:
    world.freeze_clock()
    id = world.start().verification.id
    assert refusal(lambda: resend(world, id)) == ("cooldown", 60)
    world.move_clock(60)
    resend(world, id)
    assert refusal(world.start) == ("cooldown", 60)


def test_no_sends_left_waits_until_a_new_one_may_start(world: World) -> None:
    sends_now(world, max_sends=2)
    world.freeze_clock()
    id = world.start().verification.id
    world.start()
    assert world.get(id).sends_left == 0
    assert refusal(world.start) == ("sends", 241)
    assert refusal(lambda: resend(world, id)) == ("sends", 241)
    assert world.get(id).sends == 2
    world.move_clock(240.001)
    assert world.start().created


def test_the_longest_wait_is_the_one_that_is_told(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(1, 100),), client_ip=(Window(1, 200),)))
    world.freeze_clock()
    world.start(client_ip="192.0.2.1")
    assert refusal(lambda: world.start(client_ip="192.0.2.2")) == ("recipient", 100)
    assert refusal(lambda: world.start(client_ip="192.0.2.1")) == ("client_ip", 200)
    world.move_clock(50)
    assert refusal(lambda: world.start(client_ip="192.0.2.1")) == ("client_ip", 150)


def test_the_longest_of_two_windows_of_one_limit_is_told(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(1, 100), Window(2, 1000))))
    sends_now(world)
    world.freeze_clock()
    world.start()
    assert refusal(world.start) == ("recipient", 100)
    world.move_clock(100)
    world.start()
    assert refusal(world.start) == ("recipient", 900)


@pytest.mark.parametrize(
    ("end", "problem"),
    [("approve", AlreadyApproved), ("exhaust", Exhausted), ("expire", Expired), ("cancel", Canceled)],
)
def test_an_end_is_remembered_by_every_call(world: World, end: str, problem: type[Problem]) -> None:
    """T19: the same code again is refused, and so is everything else, for two hours."""
    id = world.start().verification.id
    code = world.code_of(id)
    if end == "approve":
        world.check(id, code)
    elif end == "exhaust":
        guess_wrong(world, id, times=5)
    elif end == "expire":
        world.move_clock(300)
    else:
        world.verifier.cancel(SHOP, id)
    for call in (lambda: world.check(id, code), lambda: by_to(world, code), lambda: resend(world, id)):
        with pytest.raises(problem) as refused:
            call()
        assert refused.value.verification is not None
        assert refused.value.verification.id == id
    status = world.get(id).status
    if end == "cancel":
        assert world.verifier.cancel(SHOP, id).status is Status.CANCELED
    else:
        with pytest.raises(problem):
            world.verifier.cancel(SHOP, id)
    assert world.get(id).status is status
    [record] = world.server.client.keys("*:v:*")
    assert 7_000_000 < world.server.client.pttl(record) <= 7_500_000


def test_calls_about_what_never_was_find_nothing(world: World) -> None:
    """T22: an id never given, another client's, and one that can't be: one answer."""
    others = world.start(client=BANK).verification.id
    answers = set()
    for id in (
        NEVER_GIVEN,
        others,
        "",
        "ver_",
        "ver_" + "u" * 33,
        others[:-1],
        others.upper(),
        others + "\n",
        "*",
        "\0",
    ):
        for call in (
            lambda id=id: world.get(id),
            lambda id=id: world.check(id, "123456"),
            lambda id=id: resend(world, id),
            lambda id=id: world.verifier.cancel(SHOP, id),
        ):
            with pytest.raises(NotFound) as refused:
                call()
            answers.add((refused.value.detail, refused.value.verification))
    assert len(answers) == 1
    assert world.get(others, BANK).attempts_left == 5


# --- refused requests count nowhere -----------------------------------------------------------------------------------


def test_refused_starts_fill_no_window_and_use_no_send(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(2, 3600),), client_ip=(Window(2, 3600),)))
    id = world.start(client_ip="192.0.2.1").verification.id
    for _ in range(5):
        assert refusal(lambda: world.start(client_ip="192.0.2.1"))[0] == "cooldown"
        assert refusal(lambda: resend(world, id))[0] == "cooldown"
    world.move_clock(60)
    assert world.start(client_ip="192.0.2.1").verification.sends == 2
    assert refusal(lambda: world.start(client_ip="192.0.2.1", purpose="signup"))[0] in {"recipient", "client_ip"}


def test_a_resend_that_is_too_late_gives_its_count_for_the_address_back(server: Server) -> None:
    world = World(server, Limits(recipient=(), client_ip=(Window(2, 3600),)))
    id = world.start(client_ip="192.0.2.1").verification.id
    world.move_clock(245)
    for _ in range(3):
        with pytest.raises(Expired):
            resend(world, id)
    assert world.start(OTHER_NUMBER, client_ip="192.0.2.1").created


def test_a_full_outbox_refuses_and_counts_nothing(server: Server) -> None:
    """The start that found no room is as if it had never been."""
    world = World(server, Limits(recipient=(Window(1, 3600),), client_ip=(Window(1, 3600),))).with_rules(outbox_max=0)
    with pytest.raises(Unavailable) as refused:
        world.start(client_ip="192.0.2.1")
    assert refused.value.retry_after
    world.with_rules(outbox_max=1)
    assert world.start(client_ip="192.0.2.1").created


def test_checks_still_work_while_the_outbox_is_full(world: World) -> None:
    world.with_rules(outbox_max=1)
    id = world.start().verification.id
    with pytest.raises(Unavailable):
        world.start(purpose="signup")
    assert world.check(id, world.code_of(id)).token


# --- windows ----------------------------------------------------------------------------------------------------------


def test_the_recipients_window_is_shared_by_all_clients(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(3, 3600),)))
    for client, purpose in ((SHOP, "login"), (BANK, "login"), (SHOP, "signup")):
        world.start(client=client, purpose=purpose)
    assert refusal(lambda: world.start(client=BANK, purpose="signup"))[0] == "recipient"
    assert world.start(OTHER_NUMBER).created


@settings(max_examples=40, deadline=None)
@given(gaps=st.lists(st.integers(0, 400_000), min_size=1, max_size=25))
def test_no_rolling_window_ever_holds_more_than_its_limit_and_none_refuses_too_much(gaps: list[int]) -> None:
    """T10: arrivals at any moments, held against a model that knows them all."""
    fake = FakeServer()
    windows = (Window(3, 60), Window(5, 600))
    world = World(
        Server(FakeRedis(server=fake), lambda: FakeAsyncRedis(server=fake)), Limits(recipient=windows), cooldown=(0,)
    )
    world.freeze_clock()
    sent: list[int] = []
    now = 0
    for n, gap in enumerate(gaps):
        now += gap
        world.move_clock(gap / 1000)
        room = all(sum(at > now - window.seconds * 1000 for at in sent) < window.count for window in windows)
        if room:
            world.start(session=str(n))
            sent.append(now)
        else:
            assert refusal(lambda n=n: world.start(session=str(n)))[0] == "recipient"


def test_twice_the_limit_never_passes_across_an_edge(server: Server) -> None:
    """T10."""
    world = World(server, Limits(recipient=(Window(5, 3600),)), cooldown=(0,))
    world.freeze_clock()
    world.move_clock(3599.999)
    for n in range(5):
        world.start(session=str(n))
    for ahead in (0.001, 0.001, 1, 3598.997):
        world.move_clock(ahead)
        assert refusal(lambda: world.start(session="more"))[0] == "recipient"
    world.move_clock(0.001)
    assert world.start(session="more").created


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1"),
        ("2001:db8::1", "2001:0DB8:0:0:0:0:0:2", "2001:db8:0:1::1"),
    ],
)
def test_an_address_counts_as_one_household(server: Server, one: str, same: str, other: str) -> None:
    world = World(server, Limits(recipient=(), client_ip=(Window(1, 3600),)))
    world.start(client_ip=one)
    assert refusal(lambda: world.start(OTHER_NUMBER, client_ip=same))[0] == "client_ip"
    assert world.start(OTHER_NUMBER, client_ip=other).created


def test_no_address_is_counted_under_no_address(server: Server) -> None:
    world = World(server, Limits(recipient=(), client_ip=(Window(1, 3600),)))
    for n in range(3):
        assert world.start(session=str(n)).created


def test_a_resend_counts_for_the_address_that_the_start_named(server: Server) -> None:
    world = World(server, Limits(recipient=(), client_ip=(Window(2, 3600),)))
    id = world.start(client_ip="192.0.2.1").verification.id
    world.move_clock(61)
    resend(world, id)
    assert refusal(lambda: world.start(OTHER_NUMBER, client_ip="192.0.2.1"))[0] == "client_ip"


# --- what may be started at all ---------------------------------------------------------------------------------------


def test_a_field_that_the_client_must_say_is_asked_for(world: World) -> None:
    strict = Client("shop", SHOP.purposes, require=frozenset({"client_ip", "session"}))
    assert pointers(lambda: world.start(client=strict)) == ["/client_ip", "/session"]
    assert pointers(lambda: world.start(client=strict, session="s")) == ["/client_ip"]
    assert world.start(client=strict, session="", client_ip="192.0.2.1").created


def test_a_purpose_must_be_configured_and_allowed(world: World) -> None:
    for purpose in ("sigup", "", "LOGIN", "login "):
        with pytest.raises(UnknownPurpose):
            world.start(purpose=purpose)
        with pytest.raises(UnknownPurpose):
            by_to(world, "123456", purpose=purpose)
    with pytest.raises(Forbidden):
        world.start(client=Client("kiosk", frozenset({"login"})), purpose="signup")


@pytest.mark.parametrize("to", ["+12025550123", "+447400123456", "+81 90-1234-5678"])
def test_a_country_that_is_not_served_is_blocked_and_the_setting_named(world: World, to: str) -> None:
    with pytest.raises(RecipientBlocked, match=r"routing\.regions"):
        world.start(to)
    world.with_rules(regions=frozenset({"*"}))
    assert to.startswith("+1202") or world.start(to).created


@pytest.mark.parametrize("to", ["+862012345678", "+864008123123", "+448451234567", "+870773111632"])
def test_lines_that_get_no_sms_are_blocked_everywhere(world: World, to: str) -> None:
    """T45."""
    world.with_rules(regions=frozenset({"*"}))
    with pytest.raises((RecipientBlocked, InvalidRecipient)):
        world.start(to)


@pytest.mark.parametrize(
    "to", ["", "1", "12345", "not a number", "+86138001380001", "110", "+", "1" * 10_000, "{0}", "*"]
)
def test_what_is_no_number_is_refused_and_not_repeated(world: World, to: str) -> None:
    with pytest.raises((InvalidRecipient, RecipientBlocked)) as refused:
        world.start(to)
    assert len(to) < 4 or to not in refused.value.detail


def test_a_channel_that_is_not_configured_is_refused_at_its_field(world: World) -> None:
    assert pointers(lambda: world.start(channel="pager")) == ["/channel"]
    id = world.start(channel="backup").verification.id
    assert pointers(lambda: resend(world, id, channel="pager")) == ["/channel"]


@pytest.mark.parametrize("locale", ["", "zh_CN!", "x" * 100, "../../etc", "zh-CN\n"])
def test_a_locale_that_is_no_language_tag_is_refused_at_its_field(world: World, locale: str) -> None:
    assert pointers(lambda: world.start(locale=locale)) == ["/locale"]


@pytest.mark.parametrize("metadata", [{"订单": "№ 1", "": "", "b": "\x00"}, {}])
def test_metadata_comes_back_on_start_get_check_and_token_check(world: World, metadata: dict[str, str]) -> None:
    started = world.start(metadata=metadata).verification
    checked = world.check(started.id, world.code_of(started.id))
    assert started.metadata == world.get(started.id).metadata == checked.verification.metadata == metadata


# --- deliver: false, and test numbers ---------------------------------------------------------------------------------


def test_deliver_false_answers_alike_and_no_code_is_right(world: World) -> None:
    """T33: the two answers differ in nothing that a person could see."""
    sent = world.start(session="a").verification
    silent = world.start(OTHER_NUMBER, session="a", deliver=False).verification
    masked = {"id", "to", "now", "created_at", "expires_at", "resend_at"}
    shape = [{n: getattr(v, n) for n in v._fields if n not in masked} for v in (sent, silent)]
    assert shape[0] == shape[1]
    for at, ended in ((4, 4), (0, 0)):
        assert guess_wrong(world, sent.id, times=1 if at == 4 else 4, session="a") == ended
        assert guess_wrong(world, silent.id, times=1 if at == 4 else 4, session="a") == ended
    with pytest.raises(Exhausted):
        world.check(silent.id, "123456", session="a")


def test_the_code_that_a_deliver_false_would_have_had_is_wrong(world: World) -> None:
    id = world.start(deliver=False).verification.id
    with pytest.raises(CodeMismatch):
        world.check(id, world.code_of(id))


def test_deliver_false_meets_the_same_limits(server: Server) -> None:
    """T36."""
    world = World(server, Limits(recipient=(Window(2, 3600),)))
    world.freeze_clock()
    for to, deliver in ((NUMBER, True), (OTHER_NUMBER, False)):
        world.start(to, deliver=deliver)
        assert refusal(lambda to=to, deliver=deliver: world.start(to, deliver=deliver)) == ("cooldown", 60)
        world.start(to, purpose="signup", deliver=deliver)
        full = refusal(lambda to=to, deliver=deliver: world.start(to, purpose="password_reset", deliver=deliver))
        assert full == ("recipient", 3600)


def with_test_number(world: World, until: date, code: str = "246810") -> World:
    return world.with_rules(test_numbers={NUMBER: TestNumber(NUMBER, code, until)})


TODAY = datetime.now(UTC).date()


def test_a_test_number_has_its_fixed_code_is_flagged_and_never_sent(world: World) -> None:
    with_test_number(world, TODAY + timedelta(days=1))
    started = world.start()
    assert started.verification.test
    assert started.verification.delivery is Delivery.DELIVERED
    assert sum(world.server.client.xlen(key) for key in world.server.client.keys("*:outbox")) == 0
    checked = world.check(started.verification.id, "246810")
    assert checked.token
    assert checked.verification.test


def test_a_test_number_has_no_cooldown_and_fills_no_window(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(1, 3600),), client_ip=(Window(1, 3600),)))
    with_test_number(world, TODAY + timedelta(days=1))
    for _ in range(8):
        id = world.start(client_ip="192.0.2.1").verification.id
        world.check(id, "246810")
    assert world.start(OTHER_NUMBER, client_ip="192.0.2.1").created


def test_a_test_number_may_be_started_again_and_again_without_a_check(world: World) -> None:
    with_test_number(world, TODAY + timedelta(days=1))
    assert len({world.start().verification.id for _ in range(12)}) == 1


def test_a_test_number_is_refused_after_its_last_day(world: World) -> None:
    with_test_number(world, TODAY)
    assert world.start().verification.test
    world.move_clock(86_400)
    with pytest.raises(RecipientBlocked, match="end date"):
        world.start()


def test_a_test_numbers_wrong_codes_count(world: World) -> None:
    with_test_number(world, TODAY + timedelta(days=1), code="24681012")
    id = world.start().verification.id
    assert world.get(id).code_length == 8
    for _ in range(5):
        with pytest.raises(CodeMismatch):
            world.check(id, "13579111")
    with pytest.raises(Exhausted):
        world.check(id, "24681012")


# --- check: what is a code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dress", ["{0} ", " {0}", "{0}\n", "\t{0}", "{1}-{2}", "{1} {2}", "{1}\u2013{2}", "{1}\u00a0{2}", "{3}", "{4}"]
)
def test_what_a_person_may_type_around_a_code_is_folded(world: World, dress: str) -> None:
    """T15: full-width and mathematical digits, blanks and hyphens."""
    id = world.start().verification.id
    code = world.code_of(id)
    full = "".join(chr(0xFF10 + int(digit)) for digit in code)
    math = "".join(chr(0x1D7CE + int(digit)) for digit in code)
    assert world.check(id, dress.format(code, code[:3], code[3:], full, math)).token


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        "12345",
        "1234567",
        "9" * 10,
        "9" * 11,
        "1" * 10**6,
        "12_3456",
        "٣٤٥٦٧٨",
        "३४५६७८",
        "12345a",
        "0x1234",
        "+12345",
        "1e5000",
        "123.456",
        "½23456",
        "123456\x00",
        "123\u200b456",
        "{0}456",
        "-" * 64,
        "\ud800" + "12345",
    ],
)
def test_what_is_no_code_of_that_length_is_refused_and_not_counted(world: World, code: str) -> None:
    """T13, T15."""
    id = world.start().verification.id
    assert pointers(lambda: world.check(id, code)) == ["/code"]
    assert pointers(lambda: by_to(world, code)) == ["/code"]
    assert attempts_left(world, id) == 5


@pytest.mark.parametrize("code", ["000000", "000042", "999999", "0000000000"])
def test_codes_with_leading_zeros_are_codes_of_full_length(world: World, code: str) -> None:
    """T16."""
    with_test_number(world, TODAY + timedelta(days=1), code=code)
    id = world.start().verification.id
    assert world.get(id).code_length == len(code)
    assert pointers(lambda: world.check(id, code[1:])) == ["/code"]
    assert world.check(id, code).token


# --- check: what it is bound to ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "checked", "at"),
    [
        ({"session": "s"}, {}, ["/session"]),
        ({}, {"session": "s"}, ["/session"]),
        ({}, {"session": ""}, ["/session"]),
        ({"context": {"a": "1"}}, {}, ["/context"]),
        ({}, {"context": {"a": "1"}}, ["/context"]),
        ({}, {"context": {}}, ["/context"]),
        ({"session": "s", "context": {"a": "1"}}, {}, ["/session", "/context"]),
        ({"session": "s"}, {"context": {"a": "1"}}, ["/session", "/context"]),
    ],
)
def test_a_binding_that_is_missing_or_extra_is_named_and_not_counted(
    world: World, started: dict[str, Any], checked: dict[str, Any], at: list[str]
) -> None:
    id = world.start(**started).verification.id
    code = world.code_of(id)
    assert pointers(lambda: world.check(id, code, **checked)) == at
    assert pointers(lambda: world.check(id, world.wrong_code(id), **checked)) == at
    assert attempts_left(world, id) == 5
    assert world.check(id, code, **started).token


@pytest.mark.parametrize(
    ("started", "checked"),
    [
        ({"session": "a"}, {"session": "b"}),
        ({"session": "a"}, {"session": ""}),
        ({"session": "a"}, {"session": "a "}),
        ({"context": {"amount": "1"}}, {"context": {"amount": "2"}}),
        ({"context": {"amount": "1"}}, {"context": {}}),
        ({"context": {"amount": "1"}}, {"context": {"amount": "1", "payee": "x"}}),
        ({"context": {"a": "bc"}}, {"context": {"ab": "c"}}),
        ({"context": {"a": "b", "c": "d"}}, {"context": {"a": "d", "c": "b"}}),
        ({"session": "a", "context": {"b": "c"}}, {"session": "ab", "context": {"": "c"}}),
    ],
)
def test_the_right_code_with_a_wrong_binding_is_a_wrong_code(
    world: World, started: dict[str, Any], checked: dict[str, Any]
) -> None:
    """T21, T26."""
    id = world.start(**started).verification.id
    with pytest.raises(CodeMismatch) as refused:
        world.check(id, world.code_of(id), **checked)
    assert refused.value.verification is not None
    assert refused.value.verification.attempts_left == 4
    assert world.check(id, world.code_of(id), **started).token


@pytest.mark.parametrize("other", [{"purpose": "signup"}, {"purpose": "nonsense"}, {"to": OTHER_NUMBER}])
def test_the_right_code_for_another_purpose_or_number_is_a_wrong_code(world: World, other: dict[str, Any]) -> None:
    """T20, T21."""
    id = world.start().verification.id
    with pytest.raises(CodeMismatch):
        world.check(id, world.code_of(id), **other)
    assert attempts_left(world, id) == 4
    assert world.check(id, world.code_of(id), purpose="login", to="138 0013 8000").token


def test_an_empty_purpose_is_a_purpose_that_is_not_the_verifications(world: World) -> None:
    id = world.start().verification.id
    with pytest.raises(CodeMismatch):
        world.check(id, world.code_of(id), purpose="")


# --- check: counting --------------------------------------------------------------------------------------------------


def test_the_last_wrong_code_says_so_and_then_even_the_right_one_is_refused(world: World) -> None:
    """T01."""
    id = world.start().verification.id
    code = world.code_of(id)
    assert [guess_wrong(world, id) for _ in range(4)] == [4, 3, 2, 1]
    with pytest.raises(CodeMismatch) as refused:
        world.check(id, world.wrong_code(id))
    assert refused.value.verification is not None
    assert (refused.value.verification.attempts_left, refused.value.verification.status) == (0, Status.EXHAUSTED)
    for _ in range(3):
        with pytest.raises(Exhausted):
            world.check(id, code)
    assert world.get(id).delivery is Delivery.CANCELED


def test_one_guess_of_one_attempt_ends_it(server: Server) -> None:
    world = World(server, max_attempts=1)
    id = world.start().verification.id
    code = world.code_of(id)
    assert guess_wrong(world, id) == 0
    with pytest.raises(Exhausted):
        world.check(id, code)


def test_a_millisecond_decides_between_the_last_moment_and_too_late(world: World) -> None:
    """T24."""
    world.freeze_clock()
    early, late = (world.start(session=s).verification.id for s in "ab")
    codes = [world.code_of(id) for id in (early, late)]
    world.move_clock(299.999)
    assert world.check(early, codes[0], session="a").token
    world.move_clock(0.001)
    with pytest.raises(Expired):
        world.check(late, codes[1], session="b")
    assert world.get(late).status is Status.EXPIRED


def test_a_code_for_one_purpose_opens_no_other(world: World) -> None:
    """T20: by `to` the other purpose's verification is asked, or there is none."""
    id = world.start(purpose="login").verification.id
    with pytest.raises(NotFound):
        by_to(world, world.code_of(id), purpose="password_reset")
    assert attempts_left(world, id) == 5


def test_guesses_over_all_purposes_sessions_spellings_and_resends_share_one_allowance(world: World) -> None:
    """T05: more verifications are no more guesses."""
    sends_now(world).with_rules(limits=Limits(recipient=(), failures=(Window(10, 3600),)))
    wrong = 0
    for purpose in ("login", "signup", "password_reset"):
        for session in (None, "a", "b"):
            id = world.start("138 0013 8000", purpose, session=session).verification.id
            resend(world, id)
            for _ in range(5):
                with pytest.raises((CodeMismatch, RateLimited)) as refused:
                    world.check(id, world.wrong_code(id), session=session)
                wrong += refused.type is CodeMismatch
    assert wrong == 10


def test_while_failures_is_full_nothing_is_compared_and_only_time_frees_it(world: World) -> None:
    """T11 from the victim's side: the right code is neither accepted nor counted, an approval frees nothing."""
    world.with_rules(limits=Limits(failures=(Window(3, 200),)))
    world.freeze_clock()
    id = world.start().verification.id
    code = world.code_of(id)
    guess_wrong(world, id, times=3)
    assert refusal(lambda: world.check(id, code)) == ("failures", 200)
    assert refusal(lambda: by_to(world, code)) == ("failures", 200)
    assert attempts_left(world, id) == 2
    world.move_clock(199.999)
    assert refusal(lambda: world.check(id, code)) == ("failures", 1)
    world.move_clock(0.001)
    assert world.check(id, code).token


def test_an_approval_gives_no_failures_back(world: World) -> None:
    world.with_rules(limits=Limits(failures=(Window(2, 200),)))
    world.freeze_clock()
    id = world.start().verification.id
    guess_wrong(world, id)
    world.check(id, world.code_of(id))
    other = world.start(purpose="signup").verification.id
    guess_wrong(world, other)
    assert refusal(lambda: world.check(other, world.code_of(other)))[0] == "failures"


def test_another_clients_and_another_numbers_failures_are_their_own(world: World) -> None:
    """T11."""
    world.with_rules(limits=Limits(failures=(Window(1, 3600),)))
    guess_wrong(world, world.start().verification.id)
    bank = world.start(client=BANK).verification.id
    assert world.check(bank, world.code_of(bank), client=BANK).token
    other = world.start(OTHER_NUMBER).verification.id
    assert world.check(other, world.code_of(other)).token


def test_failures_refuse_no_start_and_keep_the_other_answers(world: World) -> None:
    world.with_rules(limits=Limits(failures=(Window(1, 3600),)))
    id = world.start().verification.id
    guess_wrong(world, id)
    assert pointers(lambda: world.check(id, "12345678")) == ["/code"]
    assert pointers(lambda: world.check(id, "123456", session="s")) == ["/session"]
    assert world.verifier.cancel(SHOP, id).status is Status.CANCELED
    with pytest.raises(Canceled):
        world.check(id, "123456")
    assert world.start(purpose="signup").created


# --- check by recipient -----------------------------------------------------------------------------------------------


def test_by_recipient_the_latest_of_exactly_these_four_is_checked(world: World) -> None:
    plain = world.start().verification.id
    bound = world.start(session="s").verification.id
    assert by_to(world, world.code_of(bound), session="s").verification.id == bound
    assert by_to(world, world.code_of(plain), "138-0013-8000").verification.id == plain
    for more in ({"session": ""}, {"session": "t"}, {"purpose": "signup"}, {"client": BANK}, {"to": OTHER_NUMBER}):
        with pytest.raises(NotFound):
            by_to(world, "123456", **more)


def test_by_recipient_a_code_of_an_earlier_verification_is_wrong_for_the_latest(world: World) -> None:
    first = world.start(context={"a": "1"}).verification.id
    code = world.code_of(first)
    world.move_clock(61)
    second = world.start(context={"a": "2"}).verification.id
    if world.code_of(second) != code:
        with pytest.raises(CodeMismatch) as refused:
            by_to(world, code, context={"a": "2"})
        assert refused.value.verification is not None
        assert refused.value.verification.id == second


# --- rotate -----------------------------------------------------------------------------------------------------------


def hand_over(world: World, during: Callable[[], None], result: TryResult = ACCEPTED) -> None:
    """Take every waiting send over, ask `during` while the gateway thinks, then record what it said."""

    async def work() -> None:
        _, outbox = world.worker()
        await outbox.open()
        for entry in await outbox.read(10, 10):
            begun = await outbox.take(entry, "f", [Candidate("primary")], "failover")
            if isinstance(begun, Begun):
                during()
                await outbox.record(entry, begun, "f", result, 1)
        await outbox.aclose()

    asyncio.run(work())


def is_right(world: World, id: str, counter: int) -> bool:
    """Tried on a copy of the record, so that asking changes nothing."""
    client = world.server.client
    record, failures = client.keys(f"*:v:{id}")[0], client.keys("*:f:*")
    code = world.code_of(id, counter)
    fields = client.hgetall(record)
    try:
        world.check(id, code)
    except CodeMismatch:
        return False
    finally:
        client.delete(record, *failures, *client.keys("*:f:*"))
        client.hset(record, mapping=fields)
        client.pexpire(record, 7_500_000)
    return True


@pytest.fixture
def rotating(server: Server) -> World:
    return World(server, resend="rotate")


def test_a_rotated_code_is_good_from_its_hand_over_and_kills_the_old_once_accepted(rotating: World) -> None:
    """T23."""
    world = rotating
    id = world.start().verification.id
    hand_over(world, lambda: None)
    world.move_clock(60)
    resend(world, id)
    assert world.code_of(id, 0) != world.code_of(id, 1)
    assert (is_right(world, id, 0), is_right(world, id, 1)) == (True, False)
    seen = []
    hand_over(world, lambda: seen.append((is_right(world, id, 0), is_right(world, id, 1))))
    assert seen == [(True, True)]
    assert (is_right(world, id, 0), is_right(world, id, 1)) == (False, True)


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.RETRYABLE, Outcome.UNKNOWN])
def test_the_old_code_lives_while_no_gateway_has_accepted_the_new_one(rotating: World, outcome: Outcome) -> None:
    world = rotating
    id = world.start().verification.id
    hand_over(world, lambda: None)
    world.move_clock(60)
    assert not world.start().created
    hand_over(world, lambda: None, TryResult(outcome))
    assert (is_right(world, id, 0), is_right(world, id, 1)) == (True, True)


def test_rotation_refills_no_attempts_and_moves_no_expiry(rotating: World) -> None:
    first = rotating.start().verification
    guess_wrong(rotating, first.id, times=3)
    rotating.move_clock(60)
    again = resend(rotating, first.id).verification
    assert (again.attempts_left, again.expires_at) == (2, first.expires_at)


def test_a_rotated_code_is_bound_as_the_first_was(rotating: World) -> None:
    world = rotating
    id = world.start(session="s", context={"amount": "1"}).verification.id
    world.move_clock(60)
    resend(world, id)
    hand_over(world, lambda: None)
    with pytest.raises(CodeMismatch):
        world.check(id, world.code_of(id, 1), session="t", context={"amount": "1"})
    assert world.check(id, world.code_of(id, 1), session="s", context={"amount": "1"}).token


def test_rotating_what_is_not_delivered_makes_no_code_right(rotating: World) -> None:
    world = rotating
    id = world.start(deliver=False).verification.id
    world.move_clock(60)
    resend(world, id)
    hand_over(world, lambda: None)
    for counter in (0, 1):
        with pytest.raises(CodeMismatch):
            world.check(id, world.code_of(id, counter))


def test_after_the_tombstone_is_gone_a_rotating_purpose_starts_anew(rotating: World) -> None:
    id = rotating.start().verification.id
    rotating.verifier.cancel(SHOP, id)
    rotating.move_clock(61)
    rotating.server.client.delete(*rotating.server.client.keys(f"*:v:{id}"))
    assert rotating.start().created


# --- keys that rotate -------------------------------------------------------------------------------------------------


def test_a_new_signing_key_refuses_nobody_whose_code_is_under_way(world: World) -> None:
    """F31: append, roll out, move to the front."""
    id = world.start().verification.id
    code = world.code_of(id)
    world.with_keyring(Keyring([("b", bytes(32)), ("a", SECRET)], FINGERPRINT))
    assert world.check(id, code).token
    assert not world.get(world.start(purpose="signup").verification.id).tries


@pytest.mark.parametrize("policy", ["reuse", "rotate"])
def test_a_retired_key_fails_closed_and_counts_nothing(server: Server, policy: str) -> None:
    """F31: a node without the record's key says 503; back with the key, all attempts are left."""
    world = World(server, resend=policy)
    id = world.start(metadata={"a": "b"}).verification.id
    code = world.code_of(id)
    world.move_clock(61)
    world.with_keyring(Keyring([("b", bytes(32))], FINGERPRINT))
    for call in (
        lambda: world.check(id, code),
        lambda: by_to(world, code),
        lambda: world.get(id),
        lambda: resend(world, id),
    ):
        with pytest.raises(Unavailable):
            call()
    with pytest.raises(Unavailable):
        world.start()
    world.with_keyring(Keyring([("a", SECRET)], FINGERPRINT))
    assert attempts_left(world, id) == 5
    assert world.check(id, code).token


# --- Redis's clock steps ----------------------------------------------------------------------------------------------


def test_a_record_from_the_future_has_expired(world: World) -> None:
    """F18: an hour back must not make a code live an hour longer."""
    id = world.start().verification.id
    code = world.code_of(id)
    world.move_clock(-3600)
    with pytest.raises(Expired):
        world.check(id, code)


def test_a_step_back_lengthens_a_life_by_no_more_than_the_step(world: World) -> None:
    """F18."""
    world.freeze_clock()
    id = world.start().verification.id
    code = world.code_of(id)
    world.move_clock(200)
    world.move_clock(-100)
    assert world.get(id).status is Status.PENDING
    world.move_clock(199.999)
    assert world.get(id).status is Status.PENDING
    world.move_clock(0.001)
    with pytest.raises(Expired):
        world.check(id, code)


def test_an_hour_ahead_expires_what_pends(world: World) -> None:
    """F18."""
    id = world.start().verification.id
    code = world.code_of(id)
    world.move_clock(3600)
    with pytest.raises(Expired):
        world.check(id, code)


def test_an_approval_gives_its_own_sends_back_to_the_address(world: World) -> None:
    """§4: `client_ip` counts sends that were not approved."""
    world.with_rules(limits=Limits(client_ip=(Window(2, 3600),)))
    first = world.start(client_ip="192.0.2.7").verification.id
    world.start("+8613800138001", client_ip="192.0.2.7")
    with pytest.raises(RateLimited):
        world.start("+8613800138002", client_ip="192.0.2.7")
    world.check(first, world.code_of(first))
    world.start("+8613800138002", client_ip="192.0.2.7")
    with pytest.raises(RateLimited) as refused:
        world.start("+8613800138003", client_ip="192.0.2.7")
    assert refused.value.limit == "client_ip"


def test_a_cancel_does_not_begin_the_cooldowns_anew_and_an_approval_does(world: World) -> None:
    """§2: the cooldown belongs to the four."""
    policy = replace(world.rules.policies["login"], cooldown=(60, 90, 120))
    world.with_rules(policies={"login": policy}, limits=Limits(recipient=())).freeze_clock()
    for wait in (60, 90, 120, 120):
        started = world.start().verification
        assert started.resend_in == wait
        world.verifier.cancel(SHOP, started.id)
        world.move_clock(wait)
    last = world.start().verification.id
    world.check(last, world.code_of(last))
    world.move_clock(120)
    assert world.start().verification.resend_in == 60
