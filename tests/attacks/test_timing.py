"""What the time of an answer tells, measured through HTTP on a process of its own: two classes, interleaved."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import NamedTuple

import pytest

from otp_service.api_keys import is_well_formed, new_key
from otp_service.store.fields import RECORD
from tests.attacks.conftest import Apis
from tests.attacks.wire import Answer, Line, never_given, post
from tests.world import World

pytestmark = pytest.mark.xdist_group("apis")

ENOUGH = 10_000
"""Calls a class from which on times are judged: fewer say more of the machine than of the service."""
MOST_T = 4.5
"""The bound of test vector leakage assessment (Goodwill et al., 2011): beyond it a difference is no chance."""
MOST_GAP = 50e-6
"""Seconds. Smaller ones drown in any network (Crosby, Wallach and Riedi, 2009: 20 µs over the Internet, at best)."""
_TRIMMED = 0.05
_ROUNDS = 100
"""Rounds after which the store is emptied and everything is prepared anew, so that nothing grows."""

Pair = tuple[bytes, bytes]
"""A request of each class."""


class Welch(NamedTuple):
    t: float
    gap: float
    """Of the means, in seconds."""


def welch(ones: Sequence[float], others: Sequence[float]) -> Welch:
    """Of the quicker 95 % of each: the rest is what the machine did meanwhile."""
    one, other = (sorted(times)[: int(len(times) * (1 - _TRIMMED))] for times in (ones, others))
    gap = fmean(one) - fmean(other)
    return Welch(gap / sqrt(variance(one) / len(one) + variance(other) / len(other)), gap)


@dataclass
class Scene:
    """What the cases below need to make their requests."""

    apis: Apis
    world: World

    def start(self, number: int, deliver: bool) -> bytes:
        body = {"to": f"+86138{number:08d}", "purpose": "password_reset", "deliver": deliver}
        return post("/v1/verifications", self.apis.shop, body)

    def check(self, id: str, code: str, key: str = "") -> bytes:
        return post(f"/v1/verifications/{id}/check", key or self.apis.shop, {"code": code})

    def patient(self, number: int, deliver: bool = True) -> str:
        """A verification that bears as many wrong codes as are asked for."""
        id = self.world.start(f"+86138{number:08d}", deliver=deliver).verification.id
        [record] = self.world.server.client.keys(f"*:v:{id}")
        self.world.server.client.hset(record, RECORD["max_attempts"], 10 * _ROUNDS)
        return id


def starts(scene: Scene) -> Iterator[Pair]:
    for n in range(0, 2 * _ROUNDS, 2):
        yield scene.start(n, True), scene.start(n + 1, False)


def refused_starts(scene: Scene) -> Iterator[Pair]:
    """Both within their cooldown."""
    pair = scene.start(1, True), scene.start(2, False)
    with Line(scene.apis.addresses[0]) as line:
        assert [line.ask(request).status for request in pair] == [201, 201]
    yield from [pair] * _ROUNDS


def guesses(scene: Scene) -> Iterator[Pair]:
    known, unknown = (scene.check(scene.patient(n, n == 1), "000000") for n in (1, 2))
    yield from [(known, unknown)] * _ROUNDS


def near_guesses(scene: Scene) -> Iterator[Pair]:
    """All digits right but the last, and none right."""
    id = scene.patient(1)
    right = scene.world.code_of(id)
    wrong = "".join(str((int(digit) + 5) % 10) for digit in right)
    yield from [(scene.check(id, right[:-1] + wrong[-1]), scene.check(id, wrong))] * _ROUNDS


def strange_ids(scene: Scene) -> Iterator[Pair]:
    """Another client's, and one that was never given."""
    id = scene.patient(1)
    foreign, unknown = (scene.check(one, "000000", scene.apis.bank) for one in (id, never_given(id)))
    yield from [(foreign, unknown)] * _ROUNDS


def bad_keys(scene: Scene) -> Iterator[Pair]:
    """A known key's id with another secret, and an id that nobody has."""
    strange = new_key().text
    unchecked = scene.apis.shop[:12] + strange[12:44]
    crc = zlib.crc32(unchecked.encode())
    forged = unchecked + "".join("0123456789abcdefghjkmnpqrstvwxyz"[crc >> shift & 31] for shift in range(25, -1, -5))
    assert is_well_formed(forged)
    known, unknown = (scene.check("ver_0", "000000", key) for key in (forged, strange))
    yield from [(known, unknown)] * _ROUNDS


CASES = [starts, refused_starts, guesses, near_guesses, strange_ids, bad_keys]


def shape(answer: Answer) -> tuple[object, ...]:
    """What two answers must have in common, whatever their moments and ids."""
    return answer.status, len(answer.body), [(name, len(value)) for name, value in answer.headers]


def measured(scene: Scene, case: Callable[[Scene], Iterator[Pair]], calls: int) -> tuple[list[float], list[float]]:
    """Seconds of each call of the two classes; every round asks one of each, in an order drawn anew."""
    times: tuple[list[float], list[float]] = ([], [])
    while len(times[0]) < calls:
        scene.world.server.client.flushdb()
        pairs = list(case(scene))
        with Line(scene.apis.addresses[0]) as line:
            for pair in pairs:
                shapes = {}
                for which in random.sample((0, 1), 2):
                    began = time.perf_counter()
                    answer = line.ask(pair[which])
                    times[which].append(time.perf_counter() - began)
                    shapes[which] = shape(answer)
                assert shapes[0] == shapes[1]
    return times


@pytest.mark.parametrize("calls", [_ROUNDS, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_no_time_tells_what_the_answer_does_not(
    apis: Apis, unlimited: World, case: Callable[[Scene], Iterator[Pair]], calls: int
) -> None:
    """T34: Welch's |t| < 4.5, or a gap of less than 50 µs, beside a control of one class halved by chance."""
    ones, others = measured(Scene(apis, unlimited), case, calls)
    found = welch(ones, others)
    halves = random.sample(ones, len(ones))
    control = welch(halves[::2], halves[1::2])
    print(
        f"{case.__name__}: {len(ones)} calls a class, t = {found.t:.2f}, gap = {found.gap * 1e6:.2f} µs; "
        f"control t = {control.t:.2f}, gap = {control.gap * 1e6:.2f} µs; mean {fmean(ones) * 1e6:.0f} µs",
        flush=True,
    )
    if calls >= ENOUGH:
        assert abs(control.t) < MOST_T
        assert abs(found.t) < MOST_T or abs(found.gap) < MOST_GAP
