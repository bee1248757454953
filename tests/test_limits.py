"""Every limit by its name, known devices, and recipients that are disabled: counted exactly, whoever bends them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otp_service.errors import AlreadyApproved, CodeMismatch, RateLimited, RecipientDisabled
from otp_service.policy import MILLIONTHS, Client, Limits, Spend, Window
from otp_service.verification import Status
from otp_service.verifier import Idempotency, ResendRequest
from tests.world import BANK, NUMBER, SHOP, UNLIMITED, Server, World, limited, refusal

NEIGHBOUR = "+8613800138001"
ELSEWHERE = "+8613912345678"
ABROAD = "+85251234567"
HOUR, DAY = 3600, 86400
DEVICE, STRANGER = "the person's own browser", "somebody else's"
NEVER = Limits(recipient=(), failures=(Window(3, HOUR),), client_ip=(), prefix=())


def approve(world: World, to: str = NUMBER, **more: Any) -> str:
    """A verification from start to approval; its id."""
    bound = {name: more[name] for name in ("device", "client") if name in more}
    id = world.start(to, **more).verification.id
    world.check(id, world.code_of(id), **bound)
    return id


def fail(world: World, id: str, times: int, **more: Any) -> None:
    for _ in range(times):
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id), **more)


# --- buckets ----------------------------------------------------------------------------------------------------------


class TestBuckets:
    @pytest.mark.parametrize(
        ("limit", "same", "others"),
        [
            ("session", {"session": "s"}, {"session": "t"}),
            ("device", {"device": "d"}, {"device": "e"}),
            ("client_ip", {"client_ip": "192.0.2.1"}, {"client_ip": "192.0.2.2"}),
            ("client", {}, {"client": BANK}),
        ],
    )
    def test_one_name_is_refused_and_another_is_not(
        self, server: Server, limit: str, same: dict[str, Any], others: dict[str, Any]
    ) -> None:
        world = limited(server, **{limit: (Window(2, HOUR),)})
        world.start(NUMBER, **same)
        world.move_clock(10)
        world.start(ELSEWHERE, **same)
        assert refusal(lambda: world.start(NEIGHBOUR, **same)) == (limit, HOUR - 10)
        assert world.start(NEIGHBOUR, **others).created

    def test_a_country_is_counted_over_all_clients_and_numbers(self, server: Server) -> None:
        world = limited(server, country=(Window(2, HOUR),))
        world.start(NUMBER)
        world.start(ELSEWHERE, client=BANK)
        assert refusal(lambda: world.start(NEIGHBOUR)) == ("country", HOUR)
        assert world.start(ABROAD).created

    def test_the_installation_counts_everything(self, server: Server) -> None:
        world = limited(server, installation=(Window(2, HOUR),))
        world.start(NUMBER)
        world.start(ABROAD, client=BANK)
        assert refusal(lambda: world.start(ELSEWHERE)) == ("installation", HOUR)

    def test_a_prefix_counts_a_number_with_its_neighbours(self, server: Server) -> None:
        world = limited(server, prefix=(Window(2, HOUR),))
        world.start(NUMBER)
        world.start(NEIGHBOUR, client=BANK)
        assert refusal(lambda: world.start("+8613800138002")) == ("prefix", HOUR)
        assert world.start(ELSEWHERE).created

    def test_one_clients_sessions_and_devices_are_no_others(self, server: Server) -> None:
        world = limited(server, session=(Window(1, HOUR),), device=(Window(1, HOUR),))
        world.start(NUMBER, session="s", device="d")
        assert world.start(ELSEWHERE, session="s", device="d", client=BANK).created

    def test_what_is_not_said_is_not_counted(self, server: Server) -> None:
        world = limited(server, session=(Window(1, HOUR),), device=(Window(1, HOUR),), client_ip=(Window(1, HOUR),))
        for to in (NUMBER, NEIGHBOUR, ELSEWHERE):
            assert world.start(to).created

    def test_an_empty_session_is_a_session(self, server: Server) -> None:
        world = limited(server, session=(Window(1, HOUR),))
        world.start(NUMBER, session="")
        assert refusal(lambda: world.start(ELSEWHERE, session=""))[0] == "session"

    def test_the_longest_wait_of_several_full_ones_is_told(self, server: Server) -> None:
        world = limited(server, client=(Window(1, 100),), country=(Window(1, 300),), prefix=(Window(1, 200),))
        world.start(NUMBER)
        assert refusal(lambda: world.start(NEIGHBOUR)) == ("country", 300)

    def test_t10_no_window_holds_twice_its_count_across_an_edge(self, server: Server) -> None:
        """T10: and each of several windows holds by itself."""
        world = limited(server, installation=(Window(3, 60), Window(5, HOUR)))
        moments: list[int] = []
        for n in range(60):
            try:
                world.start(f"+86138{n:04d}0000")
                moments.append(world.store.now())
            except RateLimited:
                pass
            world.move_clock(7)
        for window in (Window(3, 60), Window(5, HOUR)):
            for first in moments:
                assert sum(first <= one < first + window.seconds * 1000 for one in moments) <= window.count
        assert len(moments) == 5

    def test_a_refused_start_counts_nowhere(self, server: Server) -> None:
        named = ("session", "device", "client_ip", "country", "client", "installation", "prefix")
        world = limited(server, **{name: (Window(2, HOUR),) for name in named}, recipient=(Window(1, 100),))
        said = {"session": "s", "device": "d", "client_ip": "192.0.2.1"}
        world.start(NUMBER, **said)
        before = counts(world)
        for _ in range(5):
            assert refusal(lambda: world.start(NUMBER, purpose="signup", **said)) == ("recipient", 100)
        assert counts(world) == before
        assert world.start(NEIGHBOUR, **said).created

    def test_a_resend_counts_for_what_its_start_named(self, server: Server) -> None:
        named = ("session", "device", "client_ip", "country", "client", "installation", "prefix")
        world = limited(server, **{name: (Window(9, HOUR),) for name in named})
        id = world.start(session="s", device="d", client_ip="192.0.2.1").verification.id
        world.move_clock(60)
        world.verifier.resend(SHOP, id, ResendRequest())
        assert set(counts(world).values()) == {2}
        assert len(counts(world)) == len(named)

    def test_a_resend_counts_for_the_latest_address_that_was_named(self, server: Server) -> None:
        world = limited(server, client_ip=(Window(9, HOUR),), session=(Window(9, HOUR),))
        world.start(client_ip="192.0.2.1", session="s")
        for wait, address in ((60, "192.0.2.2"), (60, None)):
            world.move_clock(wait)
            id = world.start(client_ip=address, session="s").verification.id
        world.move_clock(120)
        world.verifier.resend(SHOP, id, ResendRequest())
        assert sorted(counts(world).values()) == [1, 2, 4]

    def test_a_limit_that_was_taken_out_of_the_configuration_no_longer_counts_a_resend(self, server: Server) -> None:
        world = limited(server, client_ip=(Window(1, HOUR),))
        id = world.start(client_ip="192.0.2.1").verification.id
        world.move_clock(60)
        world.with_rules(limits=UNLIMITED)
        assert world.verifier.resend(SHOP, id, ResendRequest()).verification.sends == 2


def counts(world: World) -> dict[str, int]:
    """The size of every window of sends but the recipient's."""
    client = world.server.client
    return {key.decode(): client.zcard(key) for pattern in ("*:b:*", "*:p:*") for key in client.keys(pattern)}


class TestWhatAnApprovalGivesBack:
    def test_is_its_own_sends_for_prefix_and_client_ip(self, server: Server) -> None:
        world = limited(server, prefix=(Window(2, HOUR),), client_ip=(Window(2, HOUR),))
        where = {"client_ip": "192.0.2.1"}
        world.start(NEIGHBOUR, **where)
        approve(world, NUMBER, **where)
        assert world.start("+8613800138002", **where).created
        assert refusal(lambda: world.start("+8613800138003", **where))[0] in {"prefix", "client_ip"}

    def test_is_each_send_of_it(self, server: Server) -> None:
        world = limited(server, prefix=(Window(3, HOUR),))
        id = world.start().verification.id
        world.move_clock(60)
        world.start()
        world.check(id, world.code_of(id))
        for n in range(1, 4):
            assert world.start(f"+861380013800{n}").created

    @pytest.mark.parametrize("first", [{}, {"client_ip": "192.0.2.1"}])
    def test_is_each_send_of_it_at_the_address_that_asked_for_it(self, server: Server, first: dict[str, str]) -> None:
        """A person whose address changes between start and start again, as in a train, leaves none of them full."""
        world = limited(server, client_ip=(Window(2, HOUR),))
        id = world.start(**first).verification.id
        for address in ("192.0.2.2", "192.0.2.3"):
            world.move_clock(60)
            assert not world.start(client_ip=address).created
        world.check(id, world.code_of(id))
        assert set(counts(world).values()) <= {0}

    @pytest.mark.parametrize("limit", ["recipient", "country", "client", "installation"])
    def test_is_nothing_elsewhere(self, server: Server, limit: str) -> None:
        world = limited(server, **{limit: (Window(1, HOUR),)})
        approve(world)
        assert refusal(lambda: world.start(purpose="signup")) == (limit, HOUR)

    def test_is_a_pass_for_the_recipient_in_its_prefix_for_90_days(self, server: Server) -> None:
        world = limited(server, prefix=(Window(1, 100 * DAY),))
        approve(world)
        world.start(NEIGHBOUR)
        assert refusal(lambda: world.start("+8613800138002"))[0] == "prefix"
        assert world.start(purpose="signup").created
        assert world.start(purpose="signup", client=BANK).created
        [mark] = world.server.client.keys("*:ok:*")
        assert 89 * DAY < world.server.client.ttl(mark) <= 90 * DAY

    def test_a_recipient_that_passes_uses_up_nothing_of_its_neighbours(self, server: Server) -> None:
        world = limited(server, prefix=(Window(1, HOUR),))
        approve(world)
        world.start(purpose="signup")
        assert world.start(NEIGHBOUR).created

    def test_t11_is_nothing_of_another_recipients(self, server: Server) -> None:
        """T11: an attacker verifies his own number from the victim's address: the victim's count stays."""
        world = limited(server, recipient=(Window(1, HOUR),), client_ip=(Window(5, HOUR),))
        where = {"client_ip": "192.0.2.1"}
        world.start(NUMBER, **where)
        approve(world, ELSEWHERE, **where)
        assert refusal(lambda: world.start(NUMBER, purpose="signup", **where)) == ("recipient", HOUR)


# --- failures ---------------------------------------------------------------------------------------------------------


class TestFailures:
    def test_t05_are_one_count_over_purposes_sessions_and_verifications(self, server: Server) -> None:
        """T05."""
        world = World(server, Limits(recipient=(), failures=(Window(10, HOUR),), prefix=()))
        wrong = 0
        for purpose in ("login", "signup", "password_reset"):
            for session in (None, "s", "t"):
                id = world.start(purpose=purpose, session=session).verification.id
                for _ in range(5):
                    try:
                        world.check(id, world.wrong_code(id), session=session)
                    except CodeMismatch:
                        wrong += 1
                    except RateLimited:
                        pass
        assert wrong == 10

    def test_t06_are_the_same_from_a_thousand_addresses_and_devices(self, server: Server) -> None:
        """T06: neither addresses nor devices on which nobody was approved make them more."""
        world = World(server, Limits(recipient=(), failures=(Window(10, HOUR),), client_ip=(), prefix=()))
        wrong = 0
        for n in range(30):
            id = world.start(session=str(n), client_ip=f"198.51.100.{n}", device=f"d{n}").verification.id
            for _ in range(3):
                try:
                    world.check(id, world.wrong_code(id), session=str(n), device=f"d{n}")
                except CodeMismatch:
                    wrong += 1
                except RateLimited:
                    pass
        assert wrong == 10

    def test_t09_a_known_device_finishes_while_a_stranger_has_used_all_up(self, server: Server) -> None:
        """T09: the unknown one finishes when the window frees."""
        world = limited(server, failures=(Window(3, HOUR),))
        approve(world, device=DEVICE)
        id = world.start(purpose="signup", device=STRANGER).verification.id
        fail(world, id, 3, device=STRANGER)
        code = world.code_of(id)
        assert refusal(lambda: world.check(id, code, device=STRANGER)) == ("failures", HOUR)
        assert refusal(lambda: world.check(id, code)) == ("failures", HOUR)
        assert world.check(id, code, device=DEVICE).verification.status is Status.APPROVED

    def test_of_a_known_device_are_as_many_as_anybodys_and_then_refused(self, server: Server) -> None:
        world = limited(server, failures=(Window(3, HOUR),))
        approve(world, device=DEVICE)
        id = world.start(device=DEVICE, purpose="signup").verification.id
        fail(world, id, 3, device=DEVICE)
        assert refusal(lambda: world.check(id, world.code_of(id), device=DEVICE)) == ("failures", HOUR)
        assert world.check(id, world.code_of(id)).verification.status is Status.APPROVED

    def test_of_a_device_are_freed_by_an_approval_on_it_and_nobody_elses_are(self, server: Server) -> None:
        world = limited(server, failures=(Window(3, HOUR),))
        approve(world, device=DEVICE)
        id = world.start(purpose="signup").verification.id
        fail(world, id, 2, device=DEVICE)
        fail(world, id, 2, device=STRANGER)
        world.check(id, world.code_of(id), device=DEVICE)
        other = world.start(purpose="password_reset").verification.id
        fail(world, other, 1, device=STRANGER)
        assert refusal(lambda: world.check(other, world.code_of(other), device=STRANGER))[0] == "failures"
        fail(world, other, 2, device=DEVICE)
        assert world.check(other, world.code_of(other), device=DEVICE)

    def test_only_the_latest_five_devices_are_known(self, server: Server) -> None:
        world = limited(server, failures=(Window(1, HOUR),))
        world.rules.policies["login"]
        for n in range(6):
            approve(world, device=f"d{n}", session=None, purpose="login")
            world.move_clock(130)
        id = world.start(purpose="signup").verification.id
        fail(world, id, 1)
        assert refusal(lambda: world.check(id, world.code_of(id), device="d0"))[0] == "failures"
        assert world.check(id, world.code_of(id), device="d1")

    def test_a_device_is_known_for_90_days_and_to_one_client_only(self, server: Server) -> None:
        world = limited(server, failures=(Window(1, HOUR),))
        approve(world, device=DEVICE)
        at_the_bank = world.start(client=BANK).verification.id
        fail(world, at_the_bank, 1, client=BANK)
        code = world.code_of(at_the_bank)
        assert refusal(lambda: world.check(at_the_bank, code, client=BANK, device=DEVICE))[0] == "failures"
        world.move_clock(90 * DAY)
        id = world.start(purpose="signup").verification.id
        fail(world, id, 1)
        assert refusal(lambda: world.check(id, world.code_of(id), device=DEVICE))[0] == "failures"

    def test_a_device_is_known_by_the_check_that_approved_on_it(self, server: Server) -> None:
        """What the start says of a device proves nothing: whoever typed the code was where the check came from."""
        world = limited(server, failures=(Window(1, HOUR),))
        id = world.start(device=STRANGER).verification.id
        world.check(id, world.code_of(id), device=DEVICE)
        other = world.start(purpose="signup").verification.id
        fail(world, other, 1)
        assert refusal(lambda: world.check(other, world.code_of(other), device=STRANGER))[0] == "failures"
        assert world.check(other, world.code_of(other), device=DEVICE)


class TestKeptSends:
    """The last two of `recipient` are kept for the devices that are known."""

    def test_are_no_strangers(self, server: Server) -> None:
        world = limited(server, recipient=(Window(5, HOUR), Window(10, DAY)))
        approve(world, device=DEVICE)
        for n in range(2):
            world.start(session=str(n), device=STRANGER)
        for stranger in (STRANGER, None):
            assert refusal(lambda stranger=stranger: world.start(session="x", device=stranger)) == ("recipient", HOUR)
        for n in range(2):
            assert world.start(session=f"mine {n}", device=DEVICE).created
        assert refusal(lambda: world.start(session="y", device=DEVICE)) == ("recipient", HOUR)

    def test_are_nobodys_while_no_device_is_known(self, server: Server) -> None:
        world = limited(server, recipient=(Window(3, HOUR),))
        for n in range(3):
            assert world.start(session=str(n), device=STRANGER).created

    def test_hold_for_a_resend_by_what_its_start_said(self, server: Server) -> None:
        world = limited(server, recipient=(Window(4, HOUR),))
        approve(world, device=DEVICE)
        mine = world.start(session="mine", device=DEVICE).verification.id
        world.move_clock(60)
        assert world.verifier.resend(SHOP, mine, ResendRequest()).verification.sends == 2
        assert refusal(lambda: world.start(session="x", device=STRANGER))[0] == "recipient"
        world.move_clock(60)
        assert world.verifier.resend(SHOP, mine, ResendRequest()).verification.sends == 3

    def test_leave_a_stranger_one_where_the_limit_is_small(self, server: Server) -> None:
        world = limited(server, recipient=(Window(2, HOUR),))
        approve(world, device=DEVICE)
        world.move_clock(HOUR)
        assert world.start(session="s", device=STRANGER).created


# --- disabled recipients ----------------------------------------------------------------------------------------------


class TestDisabled:
    @pytest.fixture
    def world(self, server: Server) -> World:
        return limited(server, disable_after=6)

    def disable(self, world: World, to: str = NUMBER) -> str:
        """Six wrong codes over two verifications, weeks apart; an id that pends."""
        for n in range(2):
            id = world.start(to, session=str(n)).verification.id
            fail(world, id, 3, session=str(n))
            world.move_clock(20 * DAY)
        return world.start(ELSEWHERE).verification.id

    def test_t12_the_right_code_is_refused_until_the_client_enables_the_recipient(self, world: World) -> None:
        """T12: consecutive failures, however far apart, and on every verification, also one that pended before."""
        pends = world.start(session="pends").verification.id
        for _ in range(2):
            id = world.start(purpose="signup").verification.id
            fail(world, id, 3)
            world.verifier.cancel(SHOP, id)
            world.move_clock(60)
        with pytest.raises(RecipientDisabled) as refused:
            world.check(pends, world.code_of(pends), session="pends")
        assert refused.value.verification is not None
        assert refused.value.verification.attempts_left == 5
        with pytest.raises(RecipientDisabled):
            world.verifier.resend(SHOP, pends, ResendRequest())
        with pytest.raises(RecipientDisabled):
            world.start(purpose="signup")
        assert world.verifier.enable(SHOP, "138 0013 8000").to == "+86138****8000"
        assert world.check(pends, world.code_of(pends), session="pends").verification.status is Status.APPROVED

    def test_weeks_between_wrong_codes_change_nothing(self, world: World) -> None:
        self.disable(world)
        with pytest.raises(RecipientDisabled):
            world.start()

    def test_an_approval_begins_the_row_anew(self, world: World) -> None:
        id = world.start().verification.id
        fail(world, id, 4)
        world.check(id, world.code_of(id))
        other = world.start(purpose="signup").verification.id
        fail(world, other, 4)
        assert world.check(other, world.code_of(other)).verification.status is Status.APPROVED

    def test_t09_nothing_is_disabled_below_the_count(self, world: World) -> None:
        """T09."""
        for n in range(5):
            id = world.start(session=str(n)).verification.id
            fail(world, id, 1, session=str(n))
        assert world.start(session="x").created

    def test_is_each_clients_own(self, world: World) -> None:
        self.disable(world)
        assert world.start(client=BANK).created
        world.verifier.enable(BANK, NUMBER)
        with pytest.raises(RecipientDisabled):
            world.start()

    def test_ends_stay_what_they_were(self, world: World) -> None:
        id = approve(world, session=None)
        self.disable(world)
        with pytest.raises(AlreadyApproved):
            world.check(id, "123456")

    def test_never_happens_at_zero(self, world: World) -> None:
        world.with_rules(limits=replace(UNLIMITED, disable_after=0))
        self.disable(world)
        assert world.start().created

    def test_enabling_twice_with_one_key_acts_once(self, world: World) -> None:
        """An answer that was lost is asked for again; days later it must not enable once more."""
        key = Idempotency("k", "/v1/recipients/enable", b"{}")
        self.disable(world)
        assert not world.verifier.enable(SHOP, NUMBER, key).replayed
        self.disable(world)
        assert world.verifier.enable(SHOP, NUMBER, key).replayed
        with pytest.raises(RecipientDisabled):
            world.start()

    def test_enabling_frees_no_failures(self, world: World) -> None:
        world.with_rules(limits=replace(UNLIMITED, failures=(Window(6, HOUR),), disable_after=6))
        for n in range(2):
            id = world.start(session=str(n)).verification.id
            fail(world, id, 3, session=str(n))
        world.verifier.enable(SHOP, NUMBER)
        other = world.start(purpose="signup").verification.id
        assert refusal(lambda: world.check(other, world.code_of(other)))[0] == "failures"


# --- money ------------------------------------------------------------------------------------------------------------

CENT = MILLIONTHS // 100
PRICES = {"CN": 5 * CENT, "*": 10 * CENT}


def priced(server: Server, **caps: Any) -> World:
    return limited(server).with_rules(spend=Spend(PRICES, **caps))


class TestSpend:
    def test_of_a_client_ends_at_its_cap_and_others_go_on(self, server: Server) -> None:
        world = priced(server, client=20 * CENT)
        for n in range(4):
            world.start(f"+86138{n:04d}0000")
        limit, wait = refusal(lambda: world.start(ELSEWHERE))
        assert limit == "client"
        assert wait is not None
        assert 24 * HOUR <= wait <= 25 * HOUR
        assert world.start(ELSEWHERE, client=BANK).created

    def test_of_everybody_ends_at_the_installations_cap(self, server: Server) -> None:
        world = priced(server, client=20 * CENT, installation=25 * CENT)
        for n in range(5):
            world.start(f"+86138{n:04d}0000", client=(SHOP, BANK)[n % 2])
        assert refusal(lambda: world.start(ELSEWHERE))[0] == "installation"

    def test_a_client_may_have_a_cap_of_its_own(self, server: Server) -> None:
        world = priced(server, client=5 * CENT, clients={"bank": 10 * CENT})
        world.start(NUMBER, client=BANK)
        assert world.start(ELSEWHERE, client=BANK).created
        world.start(NUMBER)
        assert refusal(lambda: world.start(ELSEWHERE))[0] == "client"

    def test_a_country_costs_its_own_price_and_others_the_rest_s(self, server: Server) -> None:
        world = priced(server, client=20 * CENT)
        world.start(ABROAD)
        world.start(NUMBER)
        assert refusal(lambda: world.start("+85251234568"))[0] == "client"
        assert world.start(ELSEWHERE).created

    def test_is_never_over_the_cap_in_any_24_hours(self, server: Server) -> None:
        world = priced(server, client=30 * CENT)
        moments = []
        for n in range(50):
            try:
                world.start(f"+86138{n:04d}0000")
                moments.append(world.store.now())
            except RateLimited:
                pass
            world.move_clock(4100)
        for first in moments:
            assert sum(first <= one < first + DAY * 1000 for one in moments) <= 6
        assert len(moments) >= 12

    def test_has_room_when_the_wait_that_was_told_is_over(self, server: Server) -> None:
        world = priced(server, client=5 * CENT)
        world.start()
        _, wait = refusal(lambda: world.start(ELSEWHERE))
        assert wait is not None
        world.move_clock(wait - 1)
        assert refusal(lambda: world.start(ELSEWHERE)) == ("client", 1)
        world.move_clock(1)
        assert world.start(ELSEWHERE).created

    def test_of_a_refused_start_is_given_back(self, server: Server) -> None:
        world = priced(server, client=10 * CENT, installation=10 * CENT)
        world.with_rules(limits=replace(UNLIMITED, recipient=(Window(1, HOUR),)))
        world.start(NUMBER)
        for _ in range(5):
            assert refusal(lambda: world.start(NUMBER, purpose="signup"))[0] == "recipient"
        assert world.start(ELSEWHERE).created
        assert {sum(map(int, world.server.client.hvals(key))) for key in world.server.client.keys("*:spent")} == {
            10 * CENT
        }

    def test_counts_each_send_and_gives_an_approved_one_back_to_nobody(self, server: Server) -> None:
        world = priced(server, client=10 * CENT)
        id = world.start().verification.id
        world.move_clock(60)
        world.verifier.resend(SHOP, id, ResendRequest())
        world.check(id, world.code_of(id))
        assert refusal(lambda: world.start(ELSEWHERE))[0] == "client"

    def test_counts_as_many_sms_as_a_text_may_have(self, server: Server) -> None:
        world = World(server, UNLIMITED, max_parts=2).with_rules(spend=Spend(PRICES, client=10 * CENT))
        world.start()
        assert refusal(lambda: world.start(ELSEWHERE))[0] == "client"


# --- the brake --------------------------------------------------------------------------------------------------------


def spray(world: World, numbers: range, client: Client = SHOP, guesses: int = 5) -> int | None:
    """Guess on number after number; how many were sprayed until the brake held."""
    for count, n in enumerate(numbers):
        id = world.start(f"+86138{n:08d}", client=client).verification.id
        wrong = world.wrong_code(id)
        for _ in range(guesses):
            try:
                world.check(id, wrong, client=client)
            except CodeMismatch:
                continue
            except RateLimited as braked:
                return count if braked.limit == "client" else None
    return None


class TestTheBrake:
    @pytest.mark.parametrize("guesses", [5, 1])
    def test_t08_stops_a_spray_within_500_verifications_and_others_are_untouched(
        self, real_server: Server, guesses: int
    ) -> None:
        """T08: also of somebody who guesses once a number and so exhausts nothing."""
        world = limited(real_server)
        world.with_rules(limits=replace(UNLIMITED, spray_brake=True))
        pends = world.start(ELSEWHERE).verification.id
        of_the_bank = world.start(ELSEWHERE, client=BANK).verification.id
        sprayed = spray(world, range(20_000), guesses=guesses)
        assert sprayed is not None
        assert sprayed <= 500
        limit, wait = refusal(lambda: world.check(pends, world.code_of(pends)))
        assert limit == "client"
        assert wait is not None
        assert 50 <= wait <= 60
        assert world.check(of_the_bank, world.code_of(of_the_bank), client=BANK)

    def test_lets_known_devices_pass(self, real_server: Server) -> None:
        world = limited(real_server)
        approve(world, ELSEWHERE, device=DEVICE)
        spray(world, range(1000), guesses=1)
        id = world.start(ELSEWHERE, purpose="signup").verification.id
        assert refusal(lambda: world.check(id, world.code_of(id), device=STRANGER))[0] == "client"
        assert world.check(id, world.code_of(id), device=DEVICE).verification.status is Status.APPROVED

    def test_holds_on_every_process_once_it_sees_a_wrong_code(self, real_server: Server) -> None:
        world, other = limited(real_server), World(real_server, UNLIMITED)
        spray(world, range(1000), guesses=1)
        assert spray(other, range(50_000, 50_010), guesses=1) == 1

    def test_does_not_hold_where_codes_are_mistyped_as_people_do(self, real_server: Server) -> None:
        """Two of ten begin with a wrong code, eight are approved."""
        world = limited(real_server)
        for n in range(300):
            id = world.start(f"+86138{n:08d}").verification.id
            if n % 5 == 0:
                fail(world, id, 1)
            if n % 5 != 1:
                assert world.check(id, world.code_of(id))

    def test_can_be_turned_off(self, real_server: Server) -> None:
        world = limited(real_server, spray_brake=False)
        assert spray(world, range(400), guesses=1) is None
