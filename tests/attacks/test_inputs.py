"""What stands for a number, a code or an id: one recipient however it is spelt, and no key that anybody can choose."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from otp_service.base62 import Base62
from otp_service.errors import InvalidRecipient, NotFound, Problem, RateLimited, RecipientBlocked
from otp_service.recipient import NEVER_SENT, parse
from otp_service.verifier import Idempotency, ResendRequest
from tests.test_recipient import DIGIT_ZEROS, E164, NATIONAL, SCHEMES, spelt
from tests.test_store_keys import PATTERNS, kind_of, ours
from tests.world import SHOP, World

# --- T43: spellings ---------------------------------------------------------------------------------------------------

ALIENS = (
    *("\u200d", "\u202e", "\u2066", "\u061c", "\u034f", "\u0301", "\ufe0f", "\u3164", "\U000e0031"),
    *(";ext=1", "x1", "#", ",", ";", "/", "*", "+", "a", "\u0661\u0301", "\n", "\t", "\x00", "\x7f", "%20", "&", "☎"),
)
"""What belongs into no number, or into none at that place."""


def mangled(chance: random.Random) -> str:
    """A spelling of the number with something alien put in somewhere."""
    lead, scheme = chance.choice(["", "+86", "0086", "86"]), chance.choice(SCHEMES)
    digits = [chr(ord(chance.choice(DIGIT_ZEROS)) + int(char)) if char.isdigit() else char for char in lead + NATIONAL]
    for _ in range(chance.randint(1, 3)):
        digits.insert(chance.randint(0, len(digits)), chance.choice(ALIENS))
    return scheme + "".join(digits)


def assert_one_number_or_refused(count: int) -> None:
    """Nothing that is not a digit makes another number of it."""
    chance, seen = random.Random(43), Counter[str]()
    for _ in range(count):
        raw = mangled(chance)
        try:
            seen[parse(raw, "CN").e164] += 1
        except InvalidRecipient:
            seen["refused"] += 1
    others = {other for other in seen if other not in {E164, "refused"}}
    assert not others
    assert min(seen[E164], seen["refused"]) > count // 20


def test_what_is_alien_to_a_number_never_makes_another_of_it() -> None:
    """T43, small."""
    assert_one_number_or_refused(500)


@pytest.mark.slow
def test_a_million_mangled_spellings_are_the_number_or_refused() -> None:
    """T43."""
    assert_one_number_or_refused(1_000_000)


def assert_one_allowance(world: World, count: int) -> None:
    pick, results = random.Random(43).choice, Counter[str]()
    for n in range(count):
        try:
            world.start(spelt(pick), session=str(n))
            results["sent"] += 1
        except RateLimited as refused:
            results[str(refused.limit)] += 1
    assert results == {"sent": 5, "recipient": count - 5}
    kinds = Counter(kind_of(key) for key in ours(world))
    assert kinds["recipient"] == 1
    assert sum(world.server.client.xlen(key) for key in world.server.client.keys("*:outbox")) == 5


def test_every_spelling_is_counted_for_one_recipient(world: World) -> None:
    """T43, small: five SMS an hour, however the number is written."""
    assert_one_allowance(world, 12)


@pytest.mark.slow
def test_ten_thousand_spellings_get_five_messages(real_world: World) -> None:
    """T43."""
    assert_one_allowance(real_world, 10_000)


# --- T45: lines that get no SMS ---------------------------------------------------------------------------------------

NEVER_KINDS = [kind for kind in PhoneNumberType.values() if PhoneNumberType.to_string(kind).lower() in NEVER_SENT]
SHORT = ("110", "112", "911", "999", "119", "10086", "12306", "95588", "106575000000", "400", "123456")


REGIONS = ("CN", "US", "GB", "DE", "JP", "IN", "BR", "RU")
NETWORKS = (870, 881, 882, 883, 979)


def never_sent_to(regions: Iterable[str]) -> Iterator[str]:
    """Every example of such a line that the metadata of these regions has, and of the satellite and other networks."""
    for region in regions:
        for kind in NEVER_KINDS:
            if example := phonenumbers.example_number_for_type(region, kind):
                yield phonenumbers.format_number(example, PhoneNumberFormat.E164)
    for code in NETWORKS:
        if example := phonenumbers.example_number_for_non_geo_entity(code):
            yield phonenumbers.format_number(example, PhoneNumberFormat.E164)


def assert_refused_unqueued(world: World, regions: Iterable[str]) -> int:
    """Refused with nothing in Redis; or sent to, where a plan gives fixed lines and mobiles the same numbers."""
    world.with_rules(regions=frozenset({"*"}))
    numbers = sorted(set(never_sent_to(regions)))
    for to in numbers:
        before = world.server.client.dbsize()
        try:
            world.start(to)
        except (RecipientBlocked, InvalidRecipient):
            assert world.server.client.dbsize() == before
        else:
            assert parse(to, "").line_type in {"fixed_line_or_mobile", "mobile"}
    return len(numbers)


def test_a_line_that_gets_no_sms_is_refused_before_anything_is_queued(world: World) -> None:
    """T45, small: eight countries; everywhere is allowed, and still no premium, toll-free, pager or satellite line."""
    assert assert_refused_unqueued(world, REGIONS) > 30


@pytest.mark.slow
def test_a_line_of_any_country_that_gets_no_sms_is_refused_before_anything_is_queued(real_world: World) -> None:
    """T45."""
    assert assert_refused_unqueued(real_world, sorted(phonenumbers.SUPPORTED_REGIONS)) > 500


@pytest.mark.parametrize("to", [*SHORT, *(f"+86{short}" for short in SHORT)])
def test_a_short_or_emergency_number_is_no_recipient(world: World, to: str) -> None:
    """T45."""
    world.with_rules(regions=frozenset({"*"}))
    with pytest.raises((InvalidRecipient, RecipientBlocked)):
        world.start(to)
    assert not ours(world)


# --- T52: names of keys -----------------------------------------------------------------------------------------------

STEERS = ("}{", "*", "{00}", "\x00", "a:b", "../", "\r\nFLUSHALL\r\n", "%7B00%7D", "é" * 500, "x" * 1_000_000)


@pytest.mark.parametrize("steer", STEERS, ids=lambda steer: ascii(steer[:12]))
def test_an_id_or_number_that_would_steer_a_key_finds_nothing_and_makes_none(world: World, steer: str) -> None:
    """T52: an id is asked for only where it is of our own form, a number only where it is one."""
    ver = f"ver_{steer}"
    calls = (
        lambda: world.start(steer),
        lambda: world.start(E164 + steer),
        lambda: world.start(purpose=steer),
        lambda: world.start(channel=steer),
        lambda: world.start(locale=steer),
        lambda: world.get(steer),
        lambda: world.get(ver),
        lambda: world.check(ver, "345678"),
        lambda: world.verifier.resend(SHOP, ver, ResendRequest()),
        lambda: world.verifier.cancel(SHOP, ver),
        lambda: world.verifier.lookup(SHOP, steer),
    )
    for call in calls:
        with pytest.raises(Problem) as refused:
            call()
        assert len(steer) < 5 or steer not in refused.value.detail
    assert not ours(world)


def test_an_id_of_our_form_that_we_never_gave_is_unknown(world: World) -> None:
    """T52: it names a partition and a key of our own kind, and there is nothing under it."""
    chance = random.Random(52)
    for _ in range(10):
        id = f"ver_{Base62(25).encode(chance.randbytes(25))}"
        with pytest.raises(NotFound):
            world.get(id)
        with pytest.raises(NotFound):
            world.check(id, "345678", idempotency=Idempotency(id, "/", b""))
    assert {kind_of(key) for key in ours(world)} <= {"claim"} < set(PATTERNS)


def test_no_two_spellings_of_an_id_are_one_verification(world: World) -> None:
    """T52: what caches, logs and idempotency see as another id is another id."""
    id = world.start().verification.id
    others = {
        id.upper(),
        id.swapcase(),
        f" {id}",
        f"{id} ",
        f"{id}\n",
        f"{id}\x00",
        id.replace("ver_", "VER_"),
        unicodedata.normalize("NFD", id + "\u00e9"),
        "".join(chr(ord(char) + 0xFEE0) for char in id),
    }
    for other in others:
        with pytest.raises(NotFound):
            world.get(other)
    assert world.get(id).id == id
