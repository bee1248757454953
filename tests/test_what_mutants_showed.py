"""What nothing asked for until a fault was put in: a script with it passed every other test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from otp_service.brake import Brake
from otp_service.errors import (
    CodeMismatch,
    Expired,
    IdempotencyMismatch,
    InvalidRequest,
    RecipientDisabled,
    TokenInvalid,
)
from otp_service.policy import EVERYBODY, TestNumber, Window
from otp_service.ports import Bucket, Charge, Prior, Sent, Standing, StoreDown
from otp_service.store import RedisStore
from otp_service.store.fields import RECORD
from otp_service.verifier import Idempotency, ResendRequest, StartRequest, TokenRequest, Verifier
from tests.world import BANK, MOVABLE, NUMBER, SHOP, UNLIMITED, Server, World, limited, refusal

NEIGHBOUR = "+8613800138001"
HOUR, DAY = 3600, 86400
MILLISECOND = 0.001
DEVICE, STRANGER = "the person's own browser", "somebody else's"


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
        assert 50 < raw.ttl(mark) <= 60

    def test_of_hours_that_left_is_forgotten(self, world: World, raw: redis.Redis) -> None:
        charges = [Charge(Bucket("client", "shop"), cap=10, price=7)]
        world.store.charge(charges, "nonce")
        world.move_clock(26 * HOUR)
        world.store.charge(charges, "next")
        [ledger] = names(raw, "*:spent")
        assert raw.hvals(ledger) == [b"7"]


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

    def test_is_written_again_as_it_is_when_it_is_asked_again(self, real_world: World) -> None:
        """So that a WAIT behind it waits for the claim as well, whose own may have failed."""
        client = real_world.server.client
        real_world.store.claim("name", "request", "nonce")
        [claim] = names(client, "*:i:*")
        before = client.hgetall(claim)
        client.config_resetstat()
        real_world.store.claim("name", "request", "another nonce")
        assert client.info("commandstats")["cmdstat_hset"]["calls"] == 1
        assert client.hgetall(claim) == before

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


def test_a_token_of_another_line_of_servers_is_unknown(real_world: World) -> None:
    real_world.with_fence()
    id = real_world.start().verification.id
    use = TokenRequest(real_world.check(id, real_world.code_of(id)).token, "login", NUMBER)
    assert real_world.verifier.verify_token(SHOP, use)
    [record] = names(real_world.server.client, f"*:v:{id}")
    assert real_world.server.client.hget(record, RECORD["lineage"])
    real_world.server.client.hset(record, RECORD["lineage"], "another")
    with pytest.raises(TokenInvalid):
        real_world.verifier.verify_token(SHOP, use)


def test_all_that_is_kept_of_a_channel_is_told(world: World, raw: redis.Redis) -> None:
    kept = ("open", "probe_until", "rest", "paused", "n", "ok", "lat", "rn", "rok", "cn", "cok", "at")
    raw.hset("otp:c:{primary}", mapping={name: n for n, name in enumerate(kept, 1)} | {"heard": "20+ 30-"})
    told = world.store.sky(["primary"]).standings["primary"]
    assert told == Standing(*range(1, len(kept) + 1), heard=((20, True), (30, False)))


class TestTheBrake:
    """The figures that stand in `brake.lua`: 0.588 for a wrong first code, 0.223 off for an approval, 150 to hold."""

    def test_holds_at_the_256th_failure_and_not_before(self, world: World, raw: redis.Redis) -> None:
        world.freeze_clock()
        assert world.store.brake("shop", 255, 0) == 0
        assert world.store.brake("shop", 1, 0) == 60_000
        [brake] = names(raw, "*:brake:*")
        assert DAY - 100 < raw.ttl(brake) <= DAY

    def test_is_put_off_by_what_was_approved(self, world: World) -> None:
        assert world.store.brake("shop", 255, 0) == 0
        assert world.store.brake("shop", 38, 100) == 0
        assert world.store.brake("shop", 1, 0) > 0

    def test_gives_no_credit_for_what_was_approved_before(self, world: World) -> None:
        assert world.store.brake("shop", 0, 10_000) == 0
        assert world.store.brake("shop", 256, 0) > 0

    def test_begins_again_at_four_fifths(self, world: World) -> None:
        world.freeze_clock()
        assert world.store.brake("shop", 256, 0) == 60_000
        world.move_clock(60)
        assert world.store.brake("shop", 51, 0) == 0
        assert world.store.brake("shop", 1, 0) == 120_000

    def test_says_what_is_left_and_grows_by_nothing_while_it_holds(self, world: World) -> None:
        world.freeze_clock()
        world.store.brake("shop", 256, 0)
        world.move_clock(59)
        assert world.store.brake("shop", 10_000, 0) == 1000
        world.move_clock(1)
        assert world.store.brake("shop", 0, 0) == 120_000
        world.move_clock(120)
        assert world.store.brake("shop", 0, 1000) == 0

    def test_doubles_up_to_a_quarter_of_an_hour(self, world: World) -> None:
        world.freeze_clock()
        held = []
        for _ in range(6):
            held.append(world.store.brake("shop", 256, 0) // 1000)
            world.move_clock(held[-1])
        assert held == [60, 120, 240, 480, 900, 900]

    def test_is_told_of_every_approval_since_the_last_failure_once(self) -> None:
        told: list[tuple[str, int, int]] = []

        class Teller:
            def brake(self, client: str, failed: int, approved: int) -> int:
                told.append((client, failed, approved))
                return 0

        brake = Brake(Teller(), active=True)  # type: ignore[arg-type]
        for client in ("shop", "shop", "bank"):
            brake.approved(client)
        for _ in range(2):
            brake.failed("shop")
        assert told == [("shop", 1, 2), ("shop", 1, 0)]
        assert brake.left("shop") == 0


class TestWhatARefusalSays:
    """An error is told from another by its words: they name the field, and what to write instead."""

    @pytest.mark.parametrize(
        ("bound", "given", "says"),
        [
            ({"session": "s"}, {}, "this verification was started with a session; say it here too"),
            ({}, {"session": "s"}, "this verification was started without a session; leave it out"),
            ({"context": {"a": "1"}}, {}, "this verification was started with a context; say it here too"),
            ({}, {"context": {"a": "1"}}, "this verification was started without a context; leave it out"),
        ],
    )
    def test_a_check_that_is_bound_otherwise(
        self, world: World, bound: dict[str, Any], given: dict[str, Any], says: str
    ) -> None:
        id = world.start(**bound).verification.id
        with pytest.raises(InvalidRequest) as refused:
            world.check(id, world.code_of(id), **given)
        assert refused.value.detail == "The check must name what the start named."
        assert [error.detail for error in refused.value.errors] == [says]
        assert refused.value.verification == world.get(id)._replace(now=refused.value.verification.now)

    def test_a_code_of_another_length(self, world: World) -> None:
        id = world.start().verification.id
        with pytest.raises(InvalidRequest) as refused:
            world.check(id, "12345678")
        assert refused.value.detail == refused.value.errors[0].detail == "the code has 6 digits"
        assert refused.value.verification.id == id
        assert world.get(id).attempts_left == 5

    def test_a_channel_and_a_language_that_are_none(self, world: World) -> None:
        with pytest.raises(InvalidRequest) as refused:
            world.start(channel="pigeon")
        assert refused.value.detail == refused.value.errors[0].detail
        assert refused.value.detail == "there is no such channel; there are: primary, backup"
        with pytest.raises(InvalidRequest) as refused:
            world.start(locale="?")
        assert refused.value.detail == "write a language tag such as zh-CN or en"

    def test_a_key_that_was_used_for_something_else(self, world: World) -> None:
        world.start(idempotency=Idempotency("k", "/v1/verifications", b"{}"))
        with pytest.raises(IdempotencyMismatch) as refused:
            world.start(idempotency=Idempotency("k", "/v1/verifications", b"[]"))
        assert refused.value.detail == "This Idempotency-Key was used with another path or body; use a new one."


def test_enabling_is_each_clients_own_under_one_key_and_no_replay_without_one(world: World) -> None:
    key = Idempotency("k", "/v1/recipients/enable", b"{}")
    assert not world.verifier.enable(SHOP, NUMBER, key).replayed
    assert not world.verifier.enable(BANK, NUMBER, key).replayed
    assert not world.verifier.enable(SHOP, NUMBER).replayed


def test_a_wrong_code_is_answered_while_the_brake_cannot_be_told() -> None:
    class Silent:
        def brake(self, *_: object) -> int:
            raise StoreDown("brake")

    brake = Brake(Silent(), active=True)  # type: ignore[arg-type]
    brake.failed("shop")
    assert brake.left("shop") == 0


class Stammering(RedisStore):
    """Asks for each start twice, as after a reply that was lost."""

    def start(self, *asked: Any) -> Sent:
        super().start(*asked)
        return super().start(*asked)


@pytest.mark.parametrize(("more", "sends"), [({}, 2), ({"context": {"a": "1"}}, 1)])
def test_a_start_while_one_pends_counts_once_however_often_it_is_asked(
    world: World, more: dict[str, Any], sends: int
) -> None:
    world.freeze_clock()
    first = world.start().verification.id
    world.move_clock(60)
    verifier = Verifier(Stammering(world.server.client, scripts=MOVABLE), world.keyring, world.rules)
    again = verifier.start(SHOP, StartRequest(to=NUMBER, purpose="login", **more)).verification
    assert (again.sends, again.id == first) == (sends, not more)


def test_an_end_is_due_when_it_is_said_to_be(world: World, raw: redis.Redis) -> None:
    """While the send is open somebody looks sooner."""
    seen = world.start().verification
    [due] = names(raw, "*:due")
    assert raw.zscore(due, f"e:{seen.id}") == seen.created_at + 30_000
    world.deliver()
    assert raw.zscore(due, f"e:{seen.id}") == seen.expires_at


class TestRotatedCodes:
    def test_are_not_good_before_their_hand_over_though_nothing_was_handed_over_yet(self, server: Server) -> None:
        world = World(server, UNLIMITED, resend="rotate")
        id = world.start().verification.id
        world.move_clock(61)
        world.start()
        with pytest.raises(CodeMismatch):
            world.check(id, world.code_of(id, 1))
        assert world.check(id, world.code_of(id, 0))

    def test_are_each_their_own_when_another_process_resends_in_between(self, server: Server) -> None:
        """A start that read which code comes next, and was overtaken, reads again."""
        world = World(server, UNLIMITED, resend="rotate")
        id = world.start().verification.id
        world.move_clock(61)

        class Overtaken(RedisStore):
            overtakes = True

            def view(self, *asked: Any) -> Any:
                seen = super().view(*asked)
                if self.overtakes:
                    self.overtakes = False
                    world.start()
                    world.move_clock(61)
                return seen

        slow = Verifier(Overtaken(server.client, scripts=MOVABLE), world.keyring, world.rules)
        assert slow.start(SHOP, StartRequest(NUMBER, "login")).verification.sends == 3
        [record] = server.client.keys(f"*:v:{id}")
        assert server.client.hget(record, RECORD["counter"]) == b"2"
