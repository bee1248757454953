"""The pumping guard's test: what it decides, how soon, how often wrongly; and Lua decides as Python does."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from otp_service import pumping
from otp_service.ports import Noted
from otp_service.pumping import (
    LONGEST_BLOCK_MS,
    OF_A_COUNTRY,
    OF_A_PREFIX,
    RECENT_SLOTS,
    SLOT_MS,
    Record,
    Rules,
    Ruling,
    Suspicion,
    Terms,
    Wald,
    slot_of,
)
from otp_service.store import RedisGuard
from otp_service.store.keys import Keys
from tests.world import MOVABLE, Server, World

TERMS = Rules().prefix_terms()
NOW = 1_800_000_000_000
TTL = 300_000


def fill(record: Record, now: int, terms: Terms = TERMS) -> int:
    """Send until the guard has something against it; how many sends that took."""
    sends = 0
    while record.ruling(now, terms).reason is None:
        record.send(now + TTL)
        sends += 1
    return sends


def ended(terms: Terms, outcomes: list[bool]) -> Record:
    """A record after one send after another came to its end."""
    record, now = Record.fresh(terms), NOW
    for approved in outcomes:
        record.send(now + TTL)
        if approved:
            record.approve(now + 1, now + TTL, 1, terms)
        now += TTL + SLOT_MS
        record.settle(now, terms)
    return record


class TestTheSteps:
    def test_are_the_logarithms_of_wald(self) -> None:
        """ln(0.7 / 0.4), ln(0.6 / 0.3), ln(0.95 / 0.005) and ln(0.05 / 0.995), in thousandths."""
        steps = (OF_A_PREFIX.miss(), OF_A_PREFIX.hit, OF_A_PREFIX.bar, OF_A_PREFIX.floor)
        assert steps == (560, 693, 5247, -2991)

    def test_a_miss_weighs_less_when_the_gateways_lose_messages_and_an_approval_the_same(self) -> None:
        """Both conversions are multiplied by what arrives, so their ratio stays."""
        assert [OF_A_PREFIX.miss(part) for part in (1.0, 0.65, 0.3)] == [560, 277, 104]
        terms = TERMS.while_through(OF_A_PREFIX, 0.65)
        assert (terms.charge, terms.miss, terms.hit) == (277, TERMS.miss, TERMS.hit)

    @pytest.mark.parametrize(
        ("sent", "approved", "part"), [(0, 0, 1.0), (29, 0, 1.0), (100, 75, 1.0), (100, 45, 0.75), (100, 0, 0.65)]
    )
    def test_what_arrives_is_seen_by_those_who_are_known(self, sent: int, approved: int, part: float) -> None:
        """Too few of them say nothing; however few are approved, a miss weighs half at the least."""
        assert pumping.through(sent, approved) == pytest.approx(part)


class TestTheDecision:
    def test_falls_after_ten_misses_in_a_row(self) -> None:
        """Nine leave it open, the tenth decides."""
        assert ended(TERMS, [False] * 9).until == 0
        assert ended(TERMS, [False] * 10).until > 0

    def test_falls_after_ten_to_twenty_ended_sends_of_a_pumper(self) -> None:
        """At 2 % conversion: in the mean 10 to 12, and in 99 of 100 cases no later than 20."""
        chance, needed = random.Random(1), []
        for _ in range(1_000):
            score, sends = TERMS.begin, 0
            while score < TERMS.bar:
                score += TERMS.miss if chance.random() >= 0.02 else -TERMS.hit
                score, sends = max(score, TERMS.floor), sends + 1
            needed.append(sends)
        assert 10 <= sum(needed) / len(needed) <= 12
        assert sorted(needed)[990] <= 20

    @pytest.mark.parametrize(("conversion", "most"), [(0.75, 2e-5), (0.6, 0.005), (0.5, 0.15)])
    def test_is_seldom_wrong(self, conversion: float, most: float) -> None:
        """The odds to block honest ones, from where a prefix begins: e^(-h way), h solving E[e^(h step)] = 1."""
        miss, hit = OF_A_PREFIX.miss() / 1000, OF_A_PREFIX.hit / 1000

        def moment(h: float) -> float:
            return (1 - conversion) * math.exp(h * miss) + conversion * math.exp(-h * hit)

        low, high = 1e-6, 20.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            low, high = (middle, high) if moment(middle) < 1 else (low, middle)
        assert math.exp(-low * (TERMS.bar - TERMS.begin) / 1000) <= most

    def test_no_past_buys_more_than_one_test(self) -> None:
        """After a thousand approvals fifteen misses decide, as after ten."""
        record = ended(TERMS, [True] * 50)
        assert record.score == TERMS.floor
        assert fill(record, NOW) == 15

    def test_of_a_country_needs_more(self) -> None:
        """It hits many: fifty misses where nobody was ever approved."""
        terms = Rules().country_terms()
        assert ended(terms, [False] * 49).until == 0
        assert ended(terms, [False] * 50).until > 0
        assert OF_A_COUNTRY.bar == 13_805


class TestOpenSends:
    @pytest.mark.parametrize("first_seen", [2, 5, 10, 25, 100])
    def test_of_a_prefix_that_was_never_seen_are_capped(self, first_seen: int) -> None:
        """However fast they come: `first_seen`, and then the end of the first is waited for."""
        terms = Rules(first_seen=first_seen).prefix_terms()
        record = Record.fresh(terms)
        assert fill(record, NOW, terms) == first_seen
        assert record.ruling(NOW, terms) == Ruling(Suspicion.FIRST_SEEN, slot_of(NOW + TTL) * SLOT_MS - NOW)
        record.settle(NOW + TTL + SLOT_MS, terms)
        assert record.ruling(NOW + TTL + SLOT_MS, terms).reason is Suspicion.CONVERSION

    def test_an_approval_makes_room(self) -> None:
        """For its own send, and for the two that it outweighs at least in part."""
        record = Record.fresh(TERMS)
        fill(record, NOW)
        record.approve(NOW, NOW + TTL, 1, TERMS)
        assert fill(record, NOW) == 3

    def test_an_approval_takes_all_sends_of_its_verification_back(self) -> None:
        """Three sends and an approval are one success, no failure."""
        record = Record.fresh(TERMS)
        record.send(NOW + TTL, 3)
        record.approve(NOW, NOW + TTL, 3, TERMS)
        assert (record.open, record.score) == ({}, TERMS.begin - TERMS.hit)

    def test_of_a_country_may_be_as_many_as_were_approved_of_late(self) -> None:
        """Where many are approved many are open."""
        terms = Rules().country_terms()
        record = Record.fresh(terms)
        for _ in range(200):
            record.send(NOW + TTL)
            record.approve(NOW, NOW + TTL, 1, terms)
        assert fill(record, NOW, terms) == 250
        assert fill(Record.fresh(terms), NOW, terms) == 50

    @pytest.mark.parametrize(("gap", "conversion"), [(1_000, 0.75), (5_000, 0.75), (10_000, 0.8), (10_000, 0.75)])
    def test_of_busy_honest_people_are_never_too_many(self, gap: int, conversion: float) -> None:
        """A send each second has 75 open that nobody will approve; wherever in a slot the clock stands."""
        for phase in range(0, SLOT_MS, 1_500):
            record, chance = Record.fresh(TERMS), random.Random(phase)
            for now in range(NOW + phase, NOW + phase + 1_000 * gap, gap):
                record.settle(now, TERMS)
                assert record.ruling(now, TERMS).reason is None, (phase, now - NOW)
                record.send(now + TTL)
                if chance.random() < conversion:
                    record.approve(now, now + TTL, 1, TERMS)

    @pytest.mark.parametrize(("conversion", "most"), [(0.02, 13), (0.1, 18), (0.3, 40)])
    def test_buy_a_pumper_little_who_approves_some_himself(self, conversion: float, most: int) -> None:
        """A send each second for an hour: what he gets in the mean."""
        sent = 0
        for seed in range(10):
            record, chance = Record.fresh(TERMS), random.Random(seed)
            for now in range(NOW, NOW + 3_600_000, 1_000):
                record.settle(now, TERMS)
                if record.ruling(now, TERMS).reason:
                    continue
                record.send(now + TTL)
                sent += 1
                if chance.random() < conversion:
                    record.approve(now, now + TTL, 1, TERMS)
        assert sent / 10 <= most


class TestBlocks:
    def test_end_by_themselves_and_let_one_send_try(self) -> None:
        """If that fails as well the next block is longer, up to a day."""
        record, now, spans = Record.fresh(TERMS), NOW, []
        fill(record, now)
        for _ in range(5):
            now += TTL + SLOT_MS
            assert record.settle(now, TERMS)
            spans.append(record.until - now)
            now = record.until
            assert fill(record, now) == 1
        assert spans == [3_600_000, 4 * 3_600_000, 16 * 3_600_000, LONGEST_BLOCK_MS, LONGEST_BLOCK_MS]

    def test_are_short_again_where_people_are_approved(self) -> None:
        """Honest people after a block bring the score back to where it began."""
        record = ended(TERMS, [False] * 10)
        now = record.until
        while record.score > TERMS.begin:
            record.send(now + TTL)
            record.approve(now, now + TTL, 1, TERMS)
        assert record.blocks == 0

    def test_let_through_no_more_than_twenty_in_a_day(self) -> None:
        """2 % conversion, one try a second, for a day: 98 of a hundred prefixes, and the last few hardly more."""
        chance, let_through = random.Random(2), []
        for _ in range(100):
            record, now, sends = Record.fresh(TERMS), NOW, 0
            while now < NOW + 86_400_000:
                record.settle(now, TERMS)
                ruling = record.ruling(now, TERMS)
                if ruling.reason:
                    now += ruling.wait_ms
                    continue
                record.send(now + TTL)
                sends += 1
                if chance.random() < 0.02:
                    record.approve(now, now + TTL, 1, TERMS)
                now += 1_000
            let_through.append(sends)
        let_through.sort()
        assert let_through[97] <= 20
        assert let_through[-1] <= 22


class TestTheSafeList:
    def test_holds_regions_and_beginnings(self) -> None:
        """`CN` is a country, `+85290` a beginning."""
        rules = Rules(safe=frozenset({"CN", "+85290"}))
        assert rules.is_safe("+8613800138000", "CN")
        assert rules.is_safe("+85290123456", "HK")
        assert not rules.is_safe("+85260123456", "HK")


class TestLua:
    @pytest.fixture
    def guard(self, server: Server) -> RedisGuard:
        return RedisGuard(server.client, scripts=MOVABLE)

    def test_decides_as_python_does(self, server: Server, guard: RedisGuard) -> None:
        """Random sends, approvals and pauses of a country, each compared field by field; the clock is moved."""
        world, chance = World(server), random.Random(3)
        world.freeze_clock()
        terms = replace(Rules(country_first_seen=12).country_terms(), bar=4_000, floor=-3_000, usual=667, probation=2)
        record, begun = Record.fresh(terms), []
        blocks = 0
        for _ in range(150):
            world.move_clock(chance.choice([0.2, 5, 40, 400, 7200 * chance.random()]))
            now = world.store.now()
            through = replace(terms, charge=OF_A_COUNTRY.miss(chance.choice([1.0, 0.7])))
            blocks += record.settle(now, through)
            before = record.ruling(now, through)
            sends, approvals = {}, []
            if before.reason is None:
                sends = {("GB", now + TTL): chance.randrange(1, 5)}
                record.send(now + TTL, sends["GB", now + TTL])
                begun.append(now + TTL)
            if begun and chance.random() < 0.4:
                approvals = [("GB", ends := begun.pop(), 1)]
                record.approve(now, ends, 1, through)
            seen = guard.countries(Noted(sends, approvals), frozenset({"GB"}), through)
            blocks += record.settle(now, through)
            ruling, held = record.ruling(now, through), seen.held.get("GB")
            assert (held and held.reason) == ruling.reason
            if held and held.reason is Suspicion.CONVERSION:
                assert held.until == now + ruling.wait_ms
            self._is_same(server, record)
        assert blocks >= 5

    def _is_same(self, server: Server, record: Record) -> None:
        fields = {k.decode(): v for k, v in server.client.hgetall(Keys("otp").guarded_country("GB")).items()}
        slots = {name: int(value) for name, value in fields.items() if name[1:].isdigit()}
        assert {int(name[1:]): n for name, n in slots.items() if name[0] == "o"} == record.open
        recent = {int(name[1:]): n for name, n in slots.items() if name[0] == "h"}
        assert recent == record.recent
        for name in ("missed", "approved", "blocks", "until", "proven"):
            assert int(fields.get(name, 0)) == getattr(record, name), name
        if "score" in fields:
            assert int(fields["score"]) == record.score

    def test_adds_up_what_known_recipients_do(self, server: Server, guard: RedisGuard) -> None:
        """Over all processes, for five minutes."""
        world, terms = World(server), Rules().country_terms()
        world.freeze_clock()
        guard.countries(Noted(known_sends=40, known_approvals=30), frozenset(), terms)
        seen = guard.countries(Noted(known_sends=2, known_approvals=1), frozenset(), terms)
        assert (seen.known_sends, seen.known_approvals) == (42, 31)
        world.move_clock(RECENT_SLOTS * SLOT_MS / 1000)
        assert guard.countries(Noted(), frozenset(), terms).known_sends == 0

    def test_a_country_that_was_never_seen_is_held_after_fifty_sends_and_let_go_again(
        self, server: Server, guard: RedisGuard
    ) -> None:
        """Hold while they are open, blocked when they have ended, free after an hour."""
        world, terms = World(server), Rules().country_terms()
        world.freeze_clock()
        ends = world.store.now() + TTL
        assert not guard.countries(Noted({("AZ", ends): 49}), frozenset(), terms).held
        held = guard.countries(Noted({("AZ", ends): 1}), frozenset(), terms).held["AZ"]
        assert (held.reason, held.tally) == (Suspicion.FIRST_SEEN, "0/0")
        world.move_clock((held.until - world.store.now()) / 1000)
        held = guard.countries(Noted(), frozenset({"AZ"}), terms).held["AZ"]
        assert (held.reason, held.tally) == (Suspicion.CONVERSION, "0/50")
        assert [one.name for one in guard.held().ranges] == ["AZ"]
        world.move_clock(3600)
        assert not guard.countries(Noted(), frozenset({"AZ"}), terms).held

    def test_an_operator_lifts_a_country(self, server: Server, guard: RedisGuard) -> None:
        """And what led to it is forgotten."""
        terms = Rules().country_terms()
        guard.countries(Noted({("AZ", World(server).store.now() + TTL): 50}), frozenset(), terms)
        [one] = guard.held().ranges
        assert guard.lift(one)
        assert not guard.lift(one)
        assert not guard.countries(Noted(), frozenset({"AZ"}), terms).held


def test_wald_bounds_the_odds_of_error() -> None:
    """Wald's inequality: a score that starts at 0 passes the bar under honesty at most once in 1 / a."""
    test = Wald(pumped=0.3, honest=0.6, false_block=0.01, false_pass=0.01, probation=1)
    chance, blocked = random.Random(4), 0
    for _ in range(5_000):
        score = 0
        while test.floor < score < test.bar:
            score += -test.hit if chance.random() < 0.6 else test.miss()
        blocked += score >= test.bar
    assert blocked / 5_000 <= 0.015
