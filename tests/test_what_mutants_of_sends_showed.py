"""What nothing asked of starts and resends until a fault was put into their scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from otp_service.calls import Asking
from otp_service.errors import NotFound, RecipientBlocked, Unavailable
from otp_service.policy import EVERYBODY, Window
from otp_service.ports import Reason
from otp_service.store import RedisStore
from otp_service.store.fields import RECORD
from otp_service.verifier import ResendRequest, StartRequest, Verifier
from tests.world import KEYS, MOVABLE, NUMBER, SHOP, UNLIMITED, Server, World, fields_of, limited, refusal, refused

HOUR = 3600


def record(world: World, id: str) -> str:
    parsed = world.keyring.parse_id(id)
    assert parsed is not None
    return KEYS.record(parsed.partition, id)


def resend(world: World, id: str, **more: Any) -> Any:
    return world.verifier.resend(SHOP, id, ResendRequest(**more)).verification


def overtaken(world: World, by: Callable[[], object]) -> Verifier:
    """One that somebody overtakes once, between its look at a verification and what it does with it."""
    overtakes = [by]

    class Slow(RedisStore):
        def view(self, *asked: Any) -> Any:
            seen = super().view(*asked)
            while overtakes:
                overtakes.pop()()
            return seen

    return Verifier(Slow(world.server.client, scripts=MOVABLE), world.keyring, world.rules)


class TestASend:
    def test_leaves_its_verification_one_moment_to_be_looked_at(self, world: World, raw: redis.Redis) -> None:
        """Else each send would leave another behind."""
        id = world.start().verification.id
        world.move_clock(61)
        world.start()
        [due] = raw.keys("*:due")
        assert raw.zrange(due, 0, -1) == [f"e:{id}".encode()]

    def test_goes_by_the_channel_that_the_start_named(self, world: World) -> None:
        id = world.start(channel="backup").verification.id
        world.deliver()
        world.move_clock(61)
        resend(world, id)
        world.deliver()
        assert [len(gateway.inbox) for gateway in world.gateways] == [0, 2]

    def test_carries_the_request_that_asked_for_it(self, world: World, raw: redis.Redis) -> None:
        world.start(asking=Asking(request_id="asked-for-by"))
        [outbox] = raw.keys("*:outbox")
        assert [entry[b"rid"] for _, entry in raw.xrange(outbox)] == [b"asked-for-by"]

    def test_names_each_address_that_it_counts_for_once_and_its_own_last(self, server: Server) -> None:
        world = limited(server, client_ip=(Window(9, HOUR),), country=(Window(9, HOUR),))
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            id = world.start(client_ip=address).verification.id
            world.move_clock(60)
        kept = fields_of(server.client, record(world, id))["buckets"].decode().split()
        names = [world.keyring.bucket("client_ip", address) for address in ("192.0.2.2", "192.0.2.1")]
        assert sorted(kept) == sorted(["country:CN", *(f"client_ip:{name}" for name in names)])
        assert [one for one in kept if one.startswith("client_ip")] == [f"client_ip:{name}" for name in names]

    def test_is_waited_for_by_who_asked_to_wait_alone(self, world: World, raw: redis.Redis) -> None:
        waits = world.start(asking=Asking(wait=0.001)).verification.id
        other = world.start(purpose="signup").verification.id
        assert fields_of(raw, record(world, waits))["wait"] == b"1"
        assert "wait" not in fields_of(raw, record(world, other))

    def test_does_not_wait_for_what_became_of_the_one_before(self, world: World, raw: redis.Redis) -> None:
        """A worker that died left a try of the first open; the second was rejected everywhere, and failed."""
        id = world.start().verification.id
        raw.hset(record(world, id), RECORD["maybe"], 1)
        world.move_clock(61)
        resend(world, id)
        for gateway in world.gateways:
            gateway.answers = [refused(Reason.ACCOUNT)]
        world.deliver()
        assert world.get(id).delivery == "failed"

    def test_names_no_line_of_servers_where_none_is_fenced_off(self, world: World, raw: redis.Redis) -> None:
        """Else `redis.fence`, once it is set, would end every verification that pends."""
        assert "lineage" not in fields_of(raw, record(world, world.start().verification.id))

    def test_is_counted_by_its_region(self, world: World) -> None:
        """So that the guard hears of an approval in its country."""
        world.guard.look_seconds = HOUR
        id = world.start().verification.id
        world.check(id, world.code_of(id))
        assert [(region, sends) for region, _, sends in world.guard.take().approvals] == [("CN", 1)]

    def test_that_is_asked_for_by_id_is_counted_by_its_region_too(self, world: World) -> None:
        world.guard.look_seconds = HOUR
        id = world.start().verification.id
        world.guard.take()
        world.move_clock(61)
        ends = resend(world, id).expires_at
        assert world.guard.take().sends == {("CN", ends): 1}


def test_each_channels_own_limit_is_looked_at(world: World) -> None:
    """Two sends by the first and one by the second, whichever of them is full first."""
    first, second = world.rules.channels
    world.with_rules(
        limits=UNLIMITED,
        channels=(
            replace(first, recipient_windows=(Window(2, HOUR),), strict=True),
            replace(second, recipient_windows=(Window(1, HOUR),), strict=True),
        ),
    )
    world.freeze_clock()
    for n in range(3):
        assert world.start(session=str(n)).created
        world.deliver()
        world.move_clock(100)
    assert [len(gateway.inbox) for gateway in world.gateways] == [2, 1]
    assert refusal(lambda: world.start(session="3")) == ("recipient", HOUR - 300)


def test_an_end_that_a_start_comes_upon_is_told(world: World, raw: redis.Redis) -> None:
    world.with_rules(listened=frozenset({EVERYBODY}))
    world.start()
    world.move_clock(HOUR)
    assert world.start().created
    [events] = raw.keys("*:events")
    assert [fields[b"type"] for _, fields in raw.xrange(events)][-1] == b"verification.expired"


class TestAResend:
    def test_may_come_while_the_code_lives_a_minute_more(self, server: Server) -> None:
        world = limited(server)
        id = world.start().verification.id
        world.move_clock(240)
        assert resend(world, id).sends == 2

    def test_finds_no_room_in_a_full_outbox(self, world: World) -> None:
        world.with_rules(outbox_max=1)
        id = world.start().verification.id
        world.move_clock(61)
        with pytest.raises(Unavailable):
            resend(world, id)

    def test_of_what_was_erased_meanwhile_finds_nothing(self, world: World, raw: redis.Redis) -> None:
        id = world.start().verification.id
        world.move_clock(61)
        slow = overtaken(world, lambda: raw.delete(record(world, id)))
        with pytest.raises(NotFound):
            slow.resend(SHOP, id, ResendRequest())

    def test_to_who_wants_nothing_any_more_is_refused(self, world: World) -> None:
        id = world.start().verification.id
        world.move_clock(61)
        parsed = world.keyring.parse_id(id)
        assert parsed is not None
        world.store.suppress(parsed.partition, world.keyring.owner(SHOP.name, parsed.recipient))
        with pytest.raises(RecipientBlocked):
            resend(world, id)


class TestRotatedCodes:
    def test_follow_one_another_at_resends(self, server: Server) -> None:
        """Each resend hands out a code of its own, and the last is good."""
        world = World(server, UNLIMITED, resend="rotate")
        id = world.start().verification.id
        for _ in range(2):
            world.deliver()
            world.move_clock(61)
            resend(world, id)
        world.deliver()
        assert len(set(world.gateways[0].codes)) == 3
        assert world.check(id, world.gateways[0].codes[-1]).token

    def test_are_told_apart_by_a_resend_that_was_overtaken(self, server: Server, raw: redis.Redis) -> None:
        """It reads again which code comes next."""
        world = World(server, UNLIMITED, resend="rotate")
        id = world.start().verification.id
        world.move_clock(61)

        def another() -> None:
            world.start()
            world.move_clock(61)

        assert overtaken(world, another).resend(SHOP, id, ResendRequest()).verification.sends == 3
        assert fields_of(raw, record(world, id))["counter"] == b"2"

    def test_begin_anew_with_a_new_verification(self, server: Server) -> None:
        """Another context cancels the first: what was to be its next code is none of the second's."""
        world = World(server, UNLIMITED, resend="rotate")
        world.start()
        world.move_clock(61)
        second = world.verifier.start(SHOP, StartRequest(NUMBER, "login", context={"a": "1"})).verification
        world.deliver()
        [code] = [re.findall(r"[0-9]{6}", one.text)[0] for one in world.gateways[0].inbox]
        assert world.check(second.id, code, context={"a": "1"}).token
