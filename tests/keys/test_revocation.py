"""A key that an operator revokes is nobody's from then on, in every process, and at once looks like no key at all."""

from __future__ import annotations

import threading

import pytest

from otp_service.api_keys import ClientKeys, id_of, new_key
from otp_service.errors import Unauthorized, Unavailable
from otp_service.ports import StoreDown, TooManyRevoked
from otp_service.revocation import GOOD_SECONDS, LOOK_SECONDS, RETRY_SECONDS, HeededKeys
from otp_service.store import RedisRevocations, connect
from otp_service.store.redis_revocations import MOST_REVOKED
from tests.keys.callers import Callers, FakeRevocations
from tests.world import MOVABLE, SHOP, World


class Heeded:
    """One process's keys, with a clock and a store to play with."""

    def __init__(self) -> None:
        self.key, self.other = new_key(), new_key()
        self.store = FakeRevocations()
        self.moment = 1000.0
        configured = ClientKeys([(SHOP, [self.key.hash, self.other.hash])])
        self.keys = HeededKeys(configured, self.store, clock=lambda: self.moment)

    def answer(self, key: str | None = None) -> str:
        try:
            return self.keys.client_for(f"Bearer {key or self.key.text}").name
        except (Unauthorized, Unavailable) as refused:
            return refused.name


class TestHeeding:
    def test_asks_once_a_second_however_many_call(self) -> None:
        heeded = Heeded()
        for _ in range(100):
            assert heeded.answer() == "shop"
        assert heeded.store.asked == 1
        heeded.moment += LOOK_SECONDS + 0.01
        assert [heeded.answer() for _ in range(100)] == ["shop"] * 100
        assert heeded.store.asked == 2

    def test_refuses_a_revoked_key_a_look_later_and_the_other_one_never(self) -> None:
        """T65."""
        heeded = Heeded()
        assert heeded.answer() == "shop"
        heeded.store.revoked.add(heeded.key.id)
        heeded.moment += LOOK_SECONDS + 0.01
        assert heeded.answer() == "unauthorized"
        assert heeded.answer(heeded.other.text) == "shop"

    def test_lets_a_key_in_again_that_was_revoked_by_mistake(self) -> None:
        heeded = Heeded()
        heeded.store.revoked.add(heeded.key.id)
        assert heeded.answer() == "unauthorized"
        heeded.store.revoked.clear()
        heeded.moment += LOOK_SECONDS + 0.01
        assert heeded.answer() == "shop"

    def test_goes_by_nothing_that_is_older_than_it_may_be(self) -> None:
        """T65: revoked ≤ 5 s. Redis is away: a genuine key gets 503, as everything else does; a wrong one its 401."""
        heeded = Heeded()
        assert heeded.answer() == "shop"
        heeded.store.is_down = True
        heeded.moment += GOOD_SECONDS
        assert heeded.answer() == "shop"
        heeded.moment += 0.01
        assert heeded.answer() == "unavailable"
        assert heeded.answer(new_key().text) == "unauthorized"
        assert GOOD_SECONDS < 5

    def test_lets_nobody_in_before_it_has_heard_anything(self) -> None:
        """A process that starts without Redis fails closed."""
        heeded = Heeded()
        heeded.store.is_down = True
        heeded.store.revoked.add(heeded.key.id)
        assert heeded.answer() == "unavailable"
        heeded.store.is_down = False
        heeded.moment += RETRY_SECONDS + 0.01
        assert heeded.answer() == "unauthorized"
        assert heeded.answer(heeded.other.text) == "shop"

    def test_asks_a_silent_store_no_more_than_a_few_times_a_second(self) -> None:
        """Each question may take two seconds to fail: sixty threads in a row would wait for minutes."""
        heeded = Heeded()
        heeded.store.is_down = True
        assert [heeded.answer() for _ in range(50)] == ["unavailable"] * 50
        assert heeded.store.asked == 1
        heeded.moment += RETRY_SECONDS + 0.01
        heeded.answer()
        assert heeded.store.asked == 2

    def test_keeps_none_waiting_while_one_asks(self) -> None:
        """What is known is young enough for those beside it."""
        heeded = Heeded()
        heeded.answer()
        asking, go_on = threading.Event(), threading.Event()

        def slow() -> None:
            asking.set()
            assert go_on.wait(30)

        heeded.store.while_asking = slow
        heeded.moment += LOOK_SECONDS + 0.01
        one = threading.Thread(target=heeded.answer)
        one.start()
        assert asking.wait(30)
        assert heeded.answer() == "shop"
        go_on.set()
        one.join(30)

    def test_counts_what_it_heard_from_the_moment_that_it_asked(self) -> None:
        """An answer that took its time is as old as its question."""
        heeded = Heeded()

        def slow() -> None:
            heeded.moment += GOOD_SECONDS + 0.01

        heeded.store.while_asking = slow
        assert heeded.answer() == "unavailable"

    def test_shows_the_keys_that_are_good(self) -> None:
        heeded = Heeded()
        heeded.store.revoked.add(heeded.key.id)
        assert heeded.keys.active() == {heeded.other.id: "shop"}


class TestTheStore:
    def test_keeps_who_revoked_a_key_and_when_and_the_first_time_stands(self, world: World) -> None:
        world.freeze_clock()
        revocations = RedisRevocations(world.server.client, scripts=MOVABLE)
        first, is_new = revocations.revoke("01234567", "ann@ops")
        world.move_clock(60)
        again, is_newer = revocations.revoke("01234567", "bob@ops")
        revocations.revoke("89abcdef", "bob@ops")
        assert (first, is_new, is_newer) == (again, True, False)
        assert [(one.id, one.by) for one in revocations.look()] == [("89abcdef", "bob@ops"), ("01234567", "ann@ops")]
        assert revocations.look()[1].at == first.at
        assert revocations.ids() == {"01234567", "89abcdef"}

    def test_gives_a_key_back_once(self, world: World) -> None:
        revocations = RedisRevocations(world.server.client, scripts=MOVABLE)
        revocations.revoke("01234567", "ann@ops")
        assert [revocations.restore("01234567") for _ in range(2)] == [True, False]
        assert revocations.ids() == frozenset()

    def test_is_bounded_and_forgets_none_for_a_new_one(self, world: World) -> None:
        """The hash has no TTL. A revoked key that made room for another would be good again."""
        revocations = RedisRevocations(world.server.client, scripts=MOVABLE)
        held = {f"{n:08d}": "1 ann@ops" for n in range(MOST_REVOKED)}
        world.server.client.hset("otp:revoked", mapping=held)
        with pytest.raises(TooManyRevoked):
            revocations.revoke("zzzzzzzz", "ann@ops")
        assert revocations.ids() == set(held)
        assert revocations.revoke("00000001", "ann@ops")[1] is False

    def test_that_is_away_says_so(self) -> None:
        away = RedisRevocations(connect("redis://127.0.0.1:1/0"))
        for call in (away.ids, away.look, lambda: away.revoke("a", "b"), lambda: away.restore("a")):
            with pytest.raises(StoreDown):
                call()


class TestTwoProcesses:
    def test_hear_of_a_revoked_key_within_five_seconds(self, world: World) -> None:
        """T65: in both the old key and the new one are good; one word, and the old one is nobody's in either."""
        callers = Callers(world)
        processes = [callers.process(), callers.process()]
        for api in processes:
            assert [api.lookup(key).status for key in (callers.old, callers.new, callers.other)] == [200] * 3
        callers.revocations.revoke(callers.old.id, "ann@ops")
        callers.moment += 5
        for api in processes:
            assert [api.lookup(key).status for key in (callers.old, callers.new, callers.other)] == [401, 200, 200]

    def test_that_start_later_know_it_from_the_first_request(self, world: World) -> None:
        callers = Callers(world)
        callers.revocations.revoke(callers.old.id, "ann@ops")
        assert callers.process().lookup(callers.old).status == 401

    def test_answer_a_revoked_key_as_one_that_never_was(self, world: World) -> None:
        """T65: body and headers."""
        callers = Callers(world)
        callers.revocations.revoke(callers.old.id, "ann@ops")
        api = callers.process()
        assert api.lookup(callers.old) == api.lookup(new_key())


def test_a_whole_key_names_its_id_and_anything_else_is_refused_without_being_repeated() -> None:
    """Who finds a key in a log pastes it as it is."""
    key = new_key()
    assert id_of(key.text) == id_of(key.id) == key.id
    for wrong in (key.text[:-1], key.text.upper(), key.id.upper() + "u", key.id[:-1], "", f"{key.id}\n", key.hash):
        with pytest.raises(ValueError, match="neither") as refused:
            id_of(wrong)
        assert not wrong or wrong not in str(refused.value)
