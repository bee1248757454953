"""`/readyz` is asked every second by whoever stops to send requests where it is late: Redis must not make it late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from otp_service.web.pulse import Pulse

PATIENCE = 30


@pytest.mark.parametrize("answer", [True, False])
def test_what_redis_says_is_said(answer: bool) -> None:
    assert Pulse(lambda: answer, PATIENCE)() is answer


def test_each_call_asks_anew() -> None:
    answers = iter([True, False, True])
    pulse = Pulse(lambda: next(answers), PATIENCE)
    assert [pulse(), pulse(), pulse()] == [True, False, True]


def test_a_redis_that_hangs_is_down_within_a_moment_and_is_asked_once_by_all() -> None:
    goes_on, asked = threading.Event(), []

    def hanging() -> bool:
        asked.append(1)
        return goes_on.wait(PATIENCE)

    pulse = Pulse(hanging, 0.01)
    with ThreadPoolExecutor(8) as pool:
        try:
            assert list(pool.map(lambda _: pulse(), range(8))) == [False] * 8
            assert len(asked) == 1
        finally:
            goes_on.set()


def test_a_redis_that_goes_on_is_up_again() -> None:
    goes_on = threading.Event()
    pulse = Pulse(lambda: goes_on.wait(PATIENCE), 0.01)
    assert not pulse()
    goes_on.set()
    while not pulse():
        pass


def test_a_mistake_of_ours_is_no_answer_of_redis() -> None:
    def broken() -> bool:
        raise ValueError("a mistake of ours")

    pulse = Pulse(broken, PATIENCE)
    for _ in range(2):
        with pytest.raises(ValueError, match="a mistake"):
            pulse()
