"""The pumping guard in the service: each of its modes, what passes it, what operators see, and what attacks get."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, pumping, wiring
from otp_service.calls import ResendRequest, StartRequest
from otp_service.errors import InvalidRequest, RateLimited
from otp_service.guard import Finding, Guard
from otp_service.policy import Client, Spend
from otp_service.ports import HeldRange, Noted, StoreDown
from otp_service.pumping import Level, Mode, Suspicion
from otp_service.recipient import parse
from otp_service.routes import ChannelRule
from tests.test_config import tables
from tests.world import NUMBER, SHOP, UNLIMITED, Server, World

PREFIX = "+861380013"
HOUR = 3600


def settings(url: str, mode: str) -> config.Config:
    return config.parse(tables(redis__url=url, pumping={"mode": mode}), {}, Path())


def said(finding: Finding) -> tuple[str, ...]:
    return finding.level, finding.suspicion, finding.mode, finding.where, finding.began


class Guarded(World):
    """A world with a guard that looks at each send, on a clock that stands still."""

    def __init__(self, server: Server, mode: Mode = "block", **rules: Any) -> None:
        super().__init__(server, UNLIMITED)
        regions = frozenset({"CN", "GB", "HK"})
        pumped = pumping.Rules(mode=mode, **rules)
        self.with_rules(pumping=pumped, regions=regions, channels=(ChannelRule("primary", priority=0),))
        self.freeze_clock(pumping.SLOT_MS)

    def _rebuild(self) -> None:
        super()._rebuild()
        self.guard.look_seconds = -1.0

    def let_through(self, numbers: Iterator[str], tries: int) -> int:
        """How many of so many starts were sent."""
        sent = 0
        for _ in range(tries):
            try:
                self.start(next(numbers))
                sent += 1
            except RateLimited:
                continue
        return sent

    def approve(self, number: str, purpose: str = "login") -> None:
        id = self.start(number, purpose).verification.id
        self.check(id, self.code_of(id))

    def refusal(self, number: str) -> RateLimited:
        with pytest.raises(RateLimited) as refused:
            self.start(number)
        return refused.value


def numbers(prefix: str = PREFIX, first: int = 0) -> Iterator[str]:
    yield from (f"{prefix}{n:04d}" for n in range(first, 10_000))


def scattered(prefix: str = "+4477") -> Iterator[str]:
    """Each in a prefix of its own."""
    yield from (f"{prefix}{n:04d}0000" for n in range(1_000, 10_000))


class TestBlock:
    def test_a_prefix_that_was_never_seen_gets_ten_sends(self, server: Server) -> None:
        """Until their ends are known; the answer names the limit and the wait for the first of them."""
        world, mine = Guarded(server), numbers()
        assert world.let_through(mine, 15) == 10
        refused = world.refusal(next(mine))
        assert refused.limit == "prefix"
        assert 300 <= (refused.retry_after or 0) <= 316
        assert world.let_through(numbers("+861390013"), 1) == 1

    def test_ten_that_ended_unapproved_block_it_for_an_hour(self, server: Server) -> None:
        """Then one send may try, and if that fails as well it is four hours."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        world.move_clock(316)
        assert world.refusal(next(mine)).retry_after == HOUR
        assert said(world.findings[-1]) == (Level.PREFIX, Suspicion.CONVERSION, "block", "CN +86138****", "0/10")
        world.move_clock(HOUR)
        assert world.let_through(mine, 5) == 1
        world.move_clock(316)
        assert world.refusal(next(mine)).retry_after == 4 * HOUR

    def test_approvals_keep_a_prefix_open(self, server: Server) -> None:
        """Three of four approved, as honest people do."""
        world, mine = Guarded(server), numbers()
        for n in range(40):
            if n % 4:
                world.approve(next(mine))
            else:
                assert world.let_through(mine, 1) == 1
            world.move_clock(20)
        assert not world.findings

    def test_an_approval_takes_back_every_send_of_its_verification(self, server: Server) -> None:
        """Resends count as sends do while they are open."""
        world, mine = Guarded(server), numbers()
        id = world.start(number := next(mine)).verification.id
        world.move_clock(61)
        world.start(number)
        world.move_clock(61)
        world.verifier.resend(SHOP, id, ResendRequest())
        assert world.let_through(mine, 10) == 7
        world.check(id, world.code_of(id))
        assert world.let_through(mine, 10) == 5

    def test_a_resend_counts_and_is_refused_as_a_start_is(self, server: Server) -> None:
        """By id, and by starting again."""
        world, mine = Guarded(server), numbers()
        id = world.start(number := next(mine)).verification.id
        assert world.let_through(mine, 20) == 9
        world.move_clock(61)
        with pytest.raises(RateLimited, match="`prefix`"):
            world.verifier.resend(SHOP, id, ResendRequest())
        assert world.refusal(number).verification is not None

    def test_recipients_that_were_approved_before_pass(self, server: Server) -> None:
        """And count neither for nor against their prefix."""
        world, mine = Guarded(server), numbers()
        world.approve(number := next(mine))
        world.move_clock(100)
        world.let_through(mine, 20)
        world.move_clock(316)
        assert world.refusal(next(mine)).limit == "prefix"
        assert world.start(number).created

    def test_a_start_that_delivers_nothing_counts_alike(self, server: Server) -> None:
        """Whoever watches the limits learns no account's existence from them."""
        world, mine = Guarded(server), numbers()
        for _ in range(10):
            world.start(next(mine), deliver=False)
        assert world.refusal(next(mine)).limit == "prefix"

    def test_a_refused_send_counts_nowhere(self, server: Server) -> None:
        """Neither in Redis nor in what is noted of its country."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        before = server.client.hgetall(self._key(world))
        world.let_through(mine, 10)
        assert server.client.hgetall(self._key(world)) == before

    def test_a_lost_answer_is_asked_again_and_counts_once(self, server: Server) -> None:
        """A replay tells the guard nothing."""
        world = Guarded(server)
        to = parse(NUMBER, "CN")
        sending = world.verifier._sending
        for _ in range(3):
            sending.start(SHOP, StartRequest(NUMBER, "login"), to, "AAAAAAAAAAAAAAAA")
        slots = {k: v for k, v in server.client.hgetall(self._key(world)).items() if k.startswith(b"o")}
        assert list(slots.values()) == [b"1"]

    def _key(self, world: World) -> bytes:
        [key] = world.server.client.keys("otp:*:pg:*")
        return bytes(key)

    def test_the_longest_wait_is_told(self, server: Server) -> None:
        """Of the guard's and the limits'."""
        world, mine = Guarded(server), numbers()
        world.start(number := next(mine))
        world.let_through(mine, 9)
        assert world.refusal(number).limit == "prefix"
        world.move_clock(316)
        world.let_through(mine, 1)
        assert world.refusal(next(mine)).retry_after == HOUR


class TestMonitor:
    def test_refuses_nothing_and_finds_what_block_would(self, server: Server) -> None:
        """It counts as if it had refused, so that it rehearses the block to the send."""
        world, mine = Guarded(server, "monitor"), numbers()
        assert world.let_through(mine, 15) == 15
        found = (Level.PREFIX, Suspicion.FIRST_SEEN, "monitor", "CN +86138****", "")
        assert [said(finding) for finding in world.findings] == [found] * 5
        world.move_clock(316)
        assert world.let_through(mine, 1) == 1
        assert world.findings[-1].began == "0/10"

    def test_is_the_default(self) -> None:
        """Whoever says nothing is watched, and refused nothing."""
        assert pumping.Rules().mode == "monitor"


class TestOff:
    def test_knows_and_keeps_nothing(self, server: Server) -> None:
        """Not one key."""
        world, mine = Guarded(server, "off"), numbers()
        assert world.let_through(mine, 15) == 15
        world.approve(next(mine))
        assert not world.findings
        assert not server.client.keys("otp:*pg:*")
        assert not server.client.keys("otp:{guard}:*")

    @pytest.mark.parametrize("entry", ["CN", "+86138"])
    def test_what_is_on_the_safe_list_is_left_alone(self, server: Server, entry: str) -> None:
        """A region, or a beginning."""
        world, mine = Guarded(server, safe=frozenset({entry})), numbers()
        assert world.let_through(mine, 15) == 15
        assert not server.client.keys("otp:*pg:*")


class Asks:
    """A challenge that keeps why it was asked, and raises what it is told to."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal, self.asked = refusal, list[Any]()

    def check(self, client: Client, request: StartRequest, nonce: str, suspicious: str | None = None) -> None:
        if suspicious is None:
            return
        self.asked.append(suspicious)
        if self.refusal:
            raise self.refusal


class TestChallenge:
    def test_a_suspicious_start_is_excused_by_what_shows_a_person(self, server: Server) -> None:
        """It is asked again with the same nonce, sent, and counted."""
        world, mine, asks = Guarded(server, "challenge"), numbers(), Asks()
        world.with_challenge(asks)  # type: ignore[arg-type]
        assert world.let_through(mine, 12) == 12
        assert asks.asked == ["first_seen"] * 2

    def test_what_shows_nobody_is_not_sent(self, server: Server) -> None:
        """Whatever the challenge raises is the answer."""
        world, mine = Guarded(server, "challenge"), numbers()
        world.with_challenge(Asks(InvalidRequest("show the widget")))  # type: ignore[arg-type]
        world.let_through(mine, 10)
        with pytest.raises(InvalidRequest, match="widget"):
            world.start(next(mine))

    def test_without_a_way_to_ask_it_blocks(self, server: Server) -> None:
        """429, as in the mode `block`."""
        world, mine = Guarded(server, "challenge"), numbers()
        world.let_through(mine, 10)
        assert world.refusal(next(mine)).limit == "prefix"


class TestCountries:
    def test_one_that_was_never_seen_gets_fifty_sends(self, server: Server) -> None:
        """However many prefixes they go to; then it is its turn to convert."""
        world, mine = Guarded(server), scattered()
        assert world.let_through(mine, 60) == 50
        refused = world.refusal(next(mine))
        assert refused.limit == "country"
        assert said(world.findings[-1]) == (Level.COUNTRY, Suspicion.FIRST_SEEN, "block", "GB", "")
        world.move_clock(317)
        world.let_through(mine, 1)
        assert world.refusal(next(mine)).retry_after == HOUR
        assert world.let_through(numbers(), 1) == 1

    def test_a_block_spares_prefixes_in_which_somebody_was_approved(self, server: Server) -> None:
        """And so nearly everybody who lives there."""
        world, mine = Guarded(server), scattered()
        world.approve("+447791123456")
        world.let_through(mine, 60)
        assert world.refusal(next(mine)).limit == "country"
        assert world.start("+447791120000").created

    def test_what_was_noted_survives_a_store_that_does_not_answer(self, server: Server) -> None:
        """It is told with the next look."""
        world, mine = Guarded(server), scattered()
        world.guard.look_seconds = 3600.0
        world.let_through(mine, 5)
        broken = Guard(Broken(world.ledger), world.keyring, world.rules.pumping, look_seconds=-1.0)
        broken.put_back(world.guard.take())
        with pytest.raises(StoreDown):
            broken.terms(parse("+447791123456", ""), "")
        broken.ledger = world.ledger
        broken.terms(parse("+447791123456", ""), "")
        [key] = server.client.keys("otp:{guard}:c:GB")
        assert sum(int(v) for k, v in server.client.hgetall(key).items() if k.startswith(b"o")) == 5


class Broken:
    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger

    def countries(self, *_: object) -> Any:
        raise StoreDown("gone")


class TestWhenGatewaysFail:
    @pytest.mark.parametrize(("approved", "blocked"), [(75, True), (20, False)])
    def test_a_miss_weighs_half_while_known_recipients_miss_theirs(
        self, server: Server, approved: int, blocked: bool
    ) -> None:
        """A hundred known ones in the last minutes: where few of them are approved, strangers aren't to blame."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        world.move_clock(310)
        terms = world.rules.pumping.country_terms()
        world.ledger.countries(Noted(known_sends=100, known_approvals=approved), frozenset(), terms)
        world.guard.terms(parse(NUMBER, "CN"), "")
        world.move_clock(6)
        assert (world.let_through(mine, 1) == 0) == blocked

    def test_known_recipients_are_counted_by_every_process(self, server: Server) -> None:
        """Sends and approvals, the latter for who was known when it was sent."""
        world = Guarded(server)
        world.approve(NUMBER)
        world.approve(NUMBER, "signup")
        world.start(NUMBER, "password_reset")
        seen = world.ledger.countries(world.guard.take(), frozenset(), world.rules.pumping.country_terms())
        assert (seen.known_sends, seen.known_approvals) == (2, 1)


class TestOperators:
    def test_see_what_is_blocked_until_when_and_why(self, server: Server) -> None:
        """A prefix by its mask, which Redis holds sealed."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        world.move_clock(316)
        world.refusal(next(mine))
        [one] = world.ledger.held().ranges
        now = world.store.now()
        assert (one.level, one.held.tally, one.held.until, one.held.since) == (
            Level.PREFIX,
            "0/10",
            now + 3_600_000,
            now,
        )
        assert self.shown(world, one) == "+86138****"

    def test_see_it_in_the_words_of_the_status_and_lift_it_by_number_or_region(
        self, real_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the keys of the configuration, and of the world here."""
        world, mine = Guarded(real_server), numbers()
        world.let_through(mine, 10)
        world.move_clock(316)
        world.refusal(next(mine))
        world.let_through(scattered(), 51)
        monkeypatch.setattr("otp_service.wiring.held.build_keyring", lambda _: world.keyring)
        seen = settings(real_server.url, "block")
        shown = sorted(wiring.pumped(seen)[0], key=lambda one: one.what)
        assert [(one.level, one.what, one.reason) for one in shown] == [
            ("prefix", "+86138****", "conversion"),
            ("country", "GB", "first_seen"),
        ]
        assert [wiring.lift(seen, what) for what in (NUMBER, NUMBER, "GB", "GB")] == [True, False, True, False]
        assert wiring.pumped(seen)[0] == []
        assert wiring.pumped(settings(real_server.url, "off")) == ((), ())

    def test_lift_a_block(self, server: Server) -> None:
        """And the prefix begins anew."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        world.move_clock(316)
        world.refusal(next(mine))
        [one] = world.ledger.held().ranges
        assert world.ledger.lift(one)
        assert world.ledger.held().ranges == []
        assert world.let_through(mine, 15) == 10

    def test_no_key_holds_a_digit_of_a_number_and_each_has_a_life(self, server: Server) -> None:
        """Invariant 5, for what the guard keeps."""
        world, mine = Guarded(server), numbers()
        world.let_through(mine, 10)
        world.let_through(scattered(), 60)
        world.approve("+85290123456")
        world.start("+85290123456", "signup")
        world.move_clock(317)
        world.let_through(mine, 1)
        keys = [k for pattern in ("otp:*:pg:*", "otp:*:guarded", "otp:{guard}:*") for k in server.client.keys(pattern)]
        assert {bytes(key).split(b":")[2] for key in keys} == {b"pg", b"guarded", b"c", b"control", b"held"}
        for key in keys:
            assert server.client.pttl(key) > 0, key
            dump = repr(server.client.hgetall(key)) if server.client.type(key) == b"hash" else ""
            assert "38001" not in dump
            assert "****" not in dump

    def shown(self, world: World, one: HeldRange) -> str:
        return world.keyring.unseal(one.kid, one.name, "prefix", one.mask)


# --- the attacks ------------------------------------------------------------------------------------------------------


def attack(
    world: World, tries: int, conversion: float, chance: random.Random, after_each: Callable[[], None]
) -> tuple[int, int]:
    """Numbers one after another; how many sends were made, and how many of them he approved."""
    sent = approved = 0
    for n in range(tries):
        number = f"+44771234{n:04d}"
        after_each()
        try:
            id = world.start(number).verification.id
        except RateLimited:
            continue
        sent += 1
        if chance.random() < conversion:
            world.check(id, world.code_of(id))
            approved += 1
    return sent, approved


@pytest.mark.parametrize("tries", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_t68_a_pumper_gets_twenty_sends_of_a_prefix(real_server: Server, tries: int) -> None:
    """T68: numbers in sequence, 2 % approved, a try a second; honest people beside him, one every ten seconds in one
    prefix and a quarter never approved, are hardly refused."""
    world, chance, honest = Guarded(real_server), random.Random(5), numbers("+861390013")
    tried = refused = 0

    def one_more() -> None:
        nonlocal tried, refused
        tried += 1
        world.move_clock(1)
        if tried % 10 == 0:
            number = next(honest)
            try:
                world.approve(number) if chance.random() < 0.75 else world.start(number)
            except RateLimited:
                refused += 1

    sent, _ = attack(world, tries, 0.02, chance, one_more)
    print(f"T68: {sent} of {tries:,} sent; of {tries // 10:,} honest ones {refused} refused")
    assert sent <= 20
    assert refused <= 0.001 * tries / 10


@pytest.mark.parametrize("tries", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_t69_a_pumper_who_approves_a_third_himself_loses_his_bet(real_server: Server, tries: int) -> None:
    """T69: 30 % approved, one range: what he can take is bounded, stated in dollars at 0.08 an SMS."""
    world, chance = Guarded(real_server), random.Random(6)
    sent, _ = attack(world, tries, 0.3, chance, lambda: world.move_clock(1))
    print(f"T69: {sent} of {tries:,} sent")
    assert sent * 0.08 <= 12.0


def test_t69_who_approves_everything_is_stopped_by_the_cap_on_spend(real_server: Server) -> None:
    """T69: conversion says nothing of him; what he can take in a day is the cap, here 2 dollars at 0.08 an SMS."""
    world = Guarded(real_server).with_rules(spend=Spend({"GB": 80_000}, client=2_000_000))
    sent, approved = attack(world, 60, 1.0, random.Random(7), lambda: world.move_clock(1))
    assert sent == approved == 25
