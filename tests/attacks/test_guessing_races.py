"""Guessing in parallel, on a real server: one approval, and no more comparisons than attempts."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.attacks.conftest import Apis
from tests.world import World

pytestmark = pytest.mark.xdist_group("apis")

MAX_ATTEMPTS = 5


def guesses(right: str, count: int, seed: int) -> list[str]:
    """All different, the right one at a random place."""
    chance = random.Random(seed)
    wrong = {f"{chance.randrange(10**6):06d}" for _ in range(count * 2)} - {right}
    codes = [*sorted(wrong)[: count - 1], right]
    chance.shuffle(codes)
    return codes


def assert_fair(said: Counter[str], count: int) -> None:
    """Comparisons are the approvals and the mismatches, and there are no more than allowed."""
    assert said["ok"] <= 1
    assert said["ok"] + said["code_mismatch"] <= MAX_ATTEMPTS
    assert said["code_mismatch"] == MAX_ATTEMPTS or said["ok"] == 1
    assert said["ok"] + said["code_mismatch"] + said["already_approved"] + said["exhausted"] == count


# 10⁴ runs, a thousand at a time: each takes minutes.
@pytest.mark.parametrize(
    "runs",
    [range(2), *(pytest.param(range(n, n + 1000), marks=pytest.mark.slow) for n in range(0, 10_000, 1000))],
    ids=lambda runs: f"{runs.start}-{runs.stop}",
)
def test_two_hundred_guesses_released_together_are_compared_no_more_often_than_allowed(
    apis: Apis, unlimited: World, runs: range
) -> None:
    """T02: 200 guesses at two processes over 32 connections, their last bytes sent together."""
    compared = Counter[int]()
    for run in runs:
        unlimited.server.client.flushdb()
        id = unlimited.start().verification.id
        answers = apis.guess_together(id, guesses(unlimited.code_of(id), 200, seed=run))
        said = Counter(answer.outcome for answer in answers)
        assert_fair(said, 200)
        compared[said["ok"] + said["code_mismatch"]] += 1
    print(f"T02: {len(runs)} runs, by how many guesses were compared: {dict(sorted(compared.items()))}")


@pytest.mark.parametrize("runs", [3, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_right_code_64_times_at_once_is_one_approval(apis: Apis, unlimited: World, runs: int) -> None:
    """T03: at two processes over 32 connections, their last bytes sent together."""
    for _ in range(runs):
        unlimited.server.client.flushdb()
        id = unlimited.start().verification.id
        answers = apis.guess_together(id, [unlimited.code_of(id)] * 64)
        assert Counter(answer.outcome for answer in answers) == {"ok": 1, "already_approved": 63}
    print(f"T03: {runs} runs, one approval each")
