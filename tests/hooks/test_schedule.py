"""When an event is sent again: the schedule of Standard Webhooks, with jitter, and no sooner than was asked for."""

from __future__ import annotations

import pytest

from otp_service.hooks.schedule import ATTEMPTS, delay_ms
from otp_service.store.redis_hooks import LIFE_MS

SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
"""Seconds, as the specification's table has them: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h."""


@pytest.mark.parametrize(("attempt", "seconds"), [*enumerate(SCHEDULE, start=1)])
def test_each_delay_is_that_of_the_specification_give_or_take_a_fifth(attempt: int, seconds: int) -> None:
    assert delay_ms(attempt, None, 0.5) == seconds * 1000
    assert delay_ms(attempt, None, 0.0) == pytest.approx(seconds * 800)
    assert delay_ms(attempt, None, 1.0) == pytest.approx(seconds * 1200)


def test_after_the_tenth_attempt_there_is_none() -> None:
    assert ATTEMPTS == 10
    assert delay_ms(10, None, 0.5) is None
    assert delay_ms(10, 60.0, 0.5) is None


def test_a_receiver_that_asks_for_more_time_gets_it() -> None:
    assert delay_ms(1, 120.0, 0.5) == 120_000
    assert delay_ms(4, 120.0, 0.5) == 7_200_000


def test_the_whole_schedule_ends_before_what_waits_is_forgotten() -> None:
    assert sum(SCHEDULE) * 1.2 * 1000 < LIFE_MS <= 5 * 86_400_000
