"""What nothing asked for until a fault was put in: a script with it passed every other test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from otp_service.errors import CodeMismatch, Expired, RateLimited, RecipientDisabled
from otp_service.policy import EVERYBODY, TestNumber, Window
from otp_service.ports import Bucket, Charge, Prior
from otp_service.verifier import ResendRequest
from tests.world import NUMBER, SHOP, UNLIMITED, Server, World

NEIGHBOUR = "+8613800138001"
HOUR, DAY = 3600, 86400
MILLISECOND = 0.001
DEVICE, STRANGER = "the person's own browser", "somebody else's"


def limited(server: Server, **limits: Any) -> World:
    """A world with these limits and no others; its clock stands still."""
    world = World(server, replace(UNLIMITED, **limits))
    world.freeze_clock()
    return world


def refusal(call: Callable[[], object]) -> tuple[str | None, int | None]:
    """The limit that refuses `call`, and the seconds to wait."""
    with pytest.raises(RateLimited) as refused:
        call()
    return refused.value.limit, refused.value.retry_after


def approve(world: World, to: str = NUMBER, device: str | None = None, **more: Any) -> None:
    id = world.start(to, **more).verification.id
    world.check(id, world.code_of(id), device=device)


def names(raw: redis.Redis, pattern: str) -> list[str]:
    return [key.decode() for key in raw.keys(pattern)]


class TestAnApproval:
    def test_of_a_test_number_speaks_for_nobody(self, world: World, raw: redis.Redis) -> None:
        """Nobody's handset is behind it: its device is not known, and it does not pass its prefix."""
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        world.with_rules(test_numbers={NUMBER: TestNumber(NUMBER, "246810", tomorrow)})
        world.check(world.start().verification.id, "246810", device=DEVICE)
        assert names(raw, "*:ok:*") == names(raw, "*:d:*") == []

    def test_without_a_device_keeps_no_sends_for_one(self, server: Server, raw: redis.Redis) -> None:
        world = limited(server, recipient=(Window(3, HOUR),))
        approve(world)
        assert names(raw, "*:d:*") == []
        for n in range(2):
            assert world.start(session=str(n), device=STRANGER).created

    def test_lets_its_recipient_pass_and_leaves_its_neighbours_where_they_were(self, server: Server) -> None:
        world = limited(server, prefix=(Window(1, HOUR),))
        approve(world)
        world.start(NEIGHBOUR)
        assert world.start(purpose="signup").created
        assert refusal(lambda: world.start("+8613800138002")) == ("prefix", HOUR)


class TestKeptSends:
    def test_end_with_the_90th_day_to_the_millisecond(self, server: Server) -> None:
        world = limited(server, recipient=(Window(3, 200 * DAY),))
        approve(world, device=DEVICE)
        world.move_clock(90 * DAY - MILLISECOND)
        assert refusal(lambda: world.start(device=STRANGER))[0] == "recipient"
        world.move_clock(MILLISECOND)
        assert world.start(device=STRANGER).created

    def test_leave_a_stranger_to_wait_for_the_latest_send(self, server: Server) -> None:
        world = limited(server, recipient=(Window(2, HOUR),))
        approve(world, device=DEVICE)
        world.move_clock(100)
        assert world.start(device=DEVICE).created
        assert refusal(lambda: world.start(session="s", device=STRANGER)) == ("recipient", HOUR)


class TestWindows:
    def test_hold_nothing_that_no_longer_counts(self, server: Server, raw: redis.Redis) -> None:
        world = limited(server, recipient=(Window(5, HOUR),))
        for n in range(3):
            world.start(session=str(n))
            world.move_clock(HOUR)
        [window] = names(raw, "*:r:*")
        assert raw.zcard(window) == 1

    def test_the_longest_wait_is_told_beside_the_count_of_sends(self, server: Server) -> None:
        """A verification that was sent as often as it may be can meet other limits, and they may last longer."""
        for limit in ("prefix", "client"):
            server.client.flushall()
            world = World(server, replace(UNLIMITED, **{limit: (Window(2, HOUR),)}), max_sends=2)
            world.freeze_clock()
            id = world.start().verification.id
            world.move_clock(60)
            world.verifier.resend(SHOP, id, ResendRequest())
            world.move_clock(60)
            assert refusal(lambda id=id, world=world: world.verifier.resend(SHOP, id, ResendRequest())) == (
                limit,
                HOUR - 120,
            )


class TestWrongCodesInARow:
    def test_are_remembered_for_366_days(self, world: World, raw: redis.Redis) -> None:
        id = world.start().verification.id
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id))
        [row] = names(raw, "*:n:*")
        assert 365 * DAY < raw.ttl(row) <= 366 * DAY

    def test_may_be_a_single_one(self, server: Server) -> None:
        world = limited(server, disable_after=1)
        id = world.start().verification.id
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id))
        with pytest.raises(RecipientDisabled):
            world.check(id, world.code_of(id))


class TestMoney:
    def test_that_is_given_back_twice_is_given_back_once(self, world: World, raw: redis.Redis) -> None:
        charges = [Charge(Bucket("client", "shop"), cap=100, price=7)]
        for nonce in ("stays", "returned"):
            world.store.charge(charges, nonce)
        for _ in range(2):
            world.store.refund(charges, "returned")
        [ledger] = names(raw, "*:spent")
        assert raw.hvals(ledger) == [b"7"]

    def test_that_was_never_spent_is_not_given_back(self, world: World, raw: redis.Redis) -> None:
        world.store.refund([Charge(Bucket("client", "shop"), cap=100, price=7)], "never charged")
        assert names(raw, "*:spent") == []

    def test_of_one_send_is_spent_once_however_often_it_is_asked(self, world: World, raw: redis.Redis) -> None:
        charges = [Charge(Bucket("client", "shop"), cap=10, price=7)]
        for _ in range(2):
            assert world.store.charge(charges, "nonce") == Prior()
        [ledger] = names(raw, "*:spent")
        assert raw.hvals(ledger) == [b"7"]

    def test_may_be_more_than_there_were_hours_since_1970(self, world: World) -> None:
        charges = [Charge(Bucket("client", "shop"), cap=1_300_000, price=600_000)]
        for nonce in ("first", "second"):
            assert world.store.charge(charges, nonce) == Prior()
        assert world.store.charge(charges, "third").limit == "client"

    def test_has_room_as_soon_as_enough_of_the_oldest_hours_have_left(self, world: World, raw: redis.Redis) -> None:
        world.freeze_clock()
        charges = [Charge(Bucket("client", "shop"), cap=40, price=15)]
        now = world.store.now()
        this = now // 3_600_000
        world.store.charge(charges, "nonce")
        [ledger] = names(raw, "*:spent")
        raw.delete(ledger)
        raw.hset(ledger, mapping={str(this - age): 10 for age in (3, 1, 7, 5)})
        # 40 are spent: 15 fit when two of the hours are over, the seventh and the fifth before this one.
        assert world.store.charge(charges, "next") == Prior("client", (this - 5 + 25) * 3_600_000 - now)

    def test_that_is_more_than_the_cap_has_room_never_and_is_told_a_day(self, world: World) -> None:
        charges = [Charge(Bucket("client", "shop"), cap=10, price=11)]
        assert world.store.charge(charges, "nonce") == Prior("client", DAY * 1000)

    def test_is_remembered_while_any_of_it_counts(self, world: World, raw: redis.Redis) -> None:
        world.store.charge([Charge(Bucket("client", "shop"), cap=10, price=7)], "nonce")
        [ledger], [mark] = names(raw, "*:spent"), names(raw, "*:by:*")
        assert 25 * HOUR - 100 < raw.ttl(ledger) <= 25 * HOUR
        assert 0 < raw.ttl(mark) <= 60


class TestAnIdempotencyKey:
    """What a store does with a claim, whoever asks."""

    def test_is_claimed_for_two_hours(self, world: World, raw: redis.Redis) -> None:
        world.store.claim("name", "request", "nonce")
        [claim] = names(raw, "*:i:*")
        assert 7000 < raw.ttl(claim) <= 7200

    def test_that_was_given_back_is_taken_again_with_its_answer(self, world: World, raw: redis.Redis) -> None:
        """Whoever began with it may finish after another gave it back."""
        world.store.keep("name", "request", "nonce", b"answer")
        held = world.store.claim("name", "another request", "another nonce")
        assert (held.request, held.nonce, held.answer) == ("request", "nonce", b"answer")
        [claim] = names(raw, "*:i:*")
        assert 7000 < raw.ttl(claim) <= 7200

    def test_of_somebody_else_keeps_no_answer(self, world: World) -> None:
        world.store.claim("name", "request", "nonce")
        world.store.keep("name", "another request", "another nonce", b"answer")
        held = world.store.claim("name", "request", "third")
        assert (held.request, held.nonce, held.answer) == ("request", "nonce", None)


def test_an_end_that_a_resend_comes_upon_is_told(world: World, raw: redis.Redis) -> None:
    world.with_rules(listened=frozenset({EVERYBODY}))
    id = world.start().verification.id
    world.move_clock(HOUR)
    with pytest.raises(Expired):
        world.verifier.resend(SHOP, id, ResendRequest())
    [events] = names(raw, "*:events")
    told = [fields[b"type"] for _, fields in raw.xrange(events)]
    assert b"verification.expired" in told
