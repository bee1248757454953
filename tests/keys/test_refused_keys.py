"""T65: whatever is not a key of this installation is refused, alike and in the same time."""

from __future__ import annotations

import math
import random
import statistics
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import pytest

from otp_service.api_keys import ApiKey, ClientKeys, new_key
from otp_service.errors import Unauthorized
from otp_service.revocation import HeededKeys
from tests.keys.callers import Callers, FakeRevocations
from tests.world import BANK, SHOP, World

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CONTROL_T = 4.5
"""The bound on Welch's t that tests for leaks use (Goodwill et al. 2011, TVLA)."""
_GAP_NS = 50_000
"""50 µs: below what a network's jitter leaves to be seen in any number of requests that the limits allow."""


def with_checksum(unchecked: str) -> str:
    crc = zlib.crc32(unchecked.encode())
    return unchecked + "".join(_ALPHABET[crc >> shift & 31] for shift in range(25, -1, -5))


def random_keys(seed: int, id: str = "") -> Iterator[str]:
    """Well-formed keys, as fast as they can be made; of one id, or of any."""
    chance = random.Random(seed)
    while True:
        drawn = "".join(chance.choices(_ALPHABET, k=40 - len(id)))
        yield with_checksum(f"otp_{id}{drawn}")


def refusal(keys: ClientKeys | HeededKeys, text: str) -> tuple[object, ...]:
    """Everything that an answer is made of."""
    with pytest.raises(Unauthorized) as refused:
        keys.client_for(f"Bearer {text}")
    return refused.value.name, refused.value.title, refused.value.detail


def test_the_keys_that_are_drawn_here_are_spelt_as_real_ones() -> None:
    key = new_key()
    assert with_checksum(key.text[:44]) == key.text
    assert all(text.startswith("otp_01234567") for text in islice(random_keys(1, "01234567"), 10))


class TestOneAnswer:
    """Through the API: status, body and headers."""

    def answers(self, world: World) -> dict[str, object]:
        callers = Callers(world)
        callers.revocations.revoke(callers.old.id, "ann@ops")
        api = callers.process()
        foreign = new_key()
        # An installation of its own, in which this very key is good.
        assert HeededKeys(ClientKeys([(SHOP, [foreign.hash])]), FakeRevocations()).client_for(f"Bearer {foreign.text}")
        return {
            "random": api.lookup(next(random_keys(1))),
            "right id, wrong secret": api.lookup(next(random_keys(2, callers.new.id))),
            "revoked": api.lookup(callers.old),
            "of another environment": api.lookup(foreign),
            "its id with another client's secret": api.lookup(
                with_checksum(callers.new.text[:12] + callers.other.text[12:44])
            ),
        }

    def test_is_given_to_every_key_that_is_not_of_this_installation(self, world: World) -> None:
        """T65."""
        answers = self.answers(world)
        first = answers["random"]
        assert first.status == 401  # type: ignore[attr-defined]
        assert answers == dict.fromkeys(answers, first)

    def test_is_given_to_everything_that_is_no_key(self, world: World) -> None:
        """T65: the case, a blank or a lost character are told by the checksum, which everybody can compute."""
        callers = Callers(world)
        api = callers.process()
        text = callers.new.text
        mixed = "".join(char.upper() if n % 2 else char for n, char in enumerate(text))
        answers = [api.lookup(wrong) for wrong in (text.upper(), mixed, text[:-1], f"{text[:20]} {text[20:]}", "x")]
        assert {answer.status for answer in answers} == {401}
        assert answers == [answers[0]] * len(answers)
        assert text not in str(answers)

    @pytest.mark.parametrize("name", ["key", "api_key", "access_token", "token", "Authorization"])
    def test_does_not_look_at_the_query(self, world: World, name: str) -> None:
        """T65: addresses are logged on their way. RFC 6750 §2.3 has `access_token`; we don't."""
        callers = Callers(world)
        api = callers.process()
        with_key = api.lookup(None, query=f"?{name}={callers.new.text}")
        assert with_key == api.lookup(None)
        assert with_key.status == 401
        assert callers.new.text not in str(with_key)

    def test_does_not_look_at_other_headers(self, world: World) -> None:
        """T65: one place for a key, which every proxy knows to keep out of its log."""
        callers = Callers(world)
        api = callers.process()
        for name in ("X-Api-Key", "Api-Key", "Cookie", "Proxy-Authorization", "X-Authorization"):
            assert api.lookup(None, **{name: f"Bearer {callers.new.text}"}) == api.lookup(None)


def let_in(keys: HeededKeys, count: int, own: ApiKey) -> int:
    """How many of `count` random keys were let in; half of them have the id of a real one."""
    found = 0
    for drawn in (random_keys(3), random_keys(4, own.id)):
        for text in islice(drawn, count // 2):
            try:
                keys.client_for(f"Bearer {text}")
                found += 1
            except Unauthorized:
                continue
    return found


def installation(clients: int) -> tuple[HeededKeys, ApiKey, ApiKey]:
    """Keys of many clients, one of them, and one that is revoked."""
    made = [new_key() for _ in range(clients)]
    directory = ClientKeys([(SHOP, [made[0].hash, made[1].hash]), *((BANK, [key.hash]) for key in made[2:])])
    keys = HeededKeys(directory, FakeRevocations({made[1].id}))
    assert keys.client_for(f"Bearer {made[0].text}") is SHOP
    return keys, made[0], made[1]


def test_a_thousand_random_keys_open_nothing() -> None:
    """T65, small."""
    keys, own, _ = installation(100)
    assert let_in(keys, 1000, own) == 0


@pytest.mark.slow
def test_a_million_random_keys_open_nothing() -> None:
    """T65."""
    keys, own, _ = installation(100)
    opened = let_in(keys, 1_000_000, own)
    print(f"T65: 1,000,000 random keys, {opened} let in")
    assert opened == 0


# --- timing -----------------------------------------------------------------------------------------------------------


def took(keys: HeededKeys, header: str) -> int:
    begun = time.perf_counter_ns()
    with suppress(Unauthorized):
        keys.client_for(header)
    return time.perf_counter_ns() - begun


def measured(keys: HeededKeys, classes: dict[str, Iterator[str]], rounds: int) -> dict[str, list[int]]:
    """One of each class a round, in an order that is drawn anew: what slows the machine slows all of them.

    All are drawn before the first is measured, and come from the same place in the same form.
    """
    chance = random.Random(5)
    drawn_keys = [(name, text) for name, drawn in classes.items() for text in islice(drawn, rounds)]
    chance.shuffle(drawn_keys)
    times: dict[str, list[int]] = {name: [] for name in classes}
    for name, text in drawn_keys:
        times[name].append(took(keys, "Bearer " + text))
    return times


def trimmed(times: list[int]) -> list[int]:
    """Without the slowest tenth: interruptions by others, which hide what there is to see."""
    return sorted(times)[: len(times) * 9 // 10]


def welch(one: list[int], other: list[int]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return abs(statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


@pytest.mark.slow
def test_no_refusal_takes_longer_than_another() -> None:
    """T65: flat timing. Welch's t below 4.5, or a gap below 50 µs; the control is two classes that are one."""
    keys, own, revoked = installation(1000)
    # One id, asked for again and again, is found sooner than ever new ones, whether or not it is anybody's.
    classes = {
        "unknown id": random_keys(6, new_key().id),
        "another unknown id": random_keys(7, new_key().id),
        "right id": random_keys(8, own.id),
        "revoked id": random_keys(9, revoked.id),
        "revoked": iter(lambda: revoked.text, ""),
    }
    measured(keys, {"warm": random_keys(10)}, 1000)
    times = {name: trimmed(some) for name, some in measured(keys, classes, 20_000).items()}
    baseline = times.pop("unknown id")
    for name, some in times.items():
        t, gap = welch(baseline, some), abs(statistics.fmean(baseline) - statistics.fmean(some))
        print(f"T65 {name}: t = {t:.2f}, gap = {gap:.0f} ns")
        assert t < _CONTROL_T or gap < _GAP_NS, (name, t, gap)
