"""F01: workers that are killed, at every point where it could matter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.verification import Delivery
from tests.faults.doomed_workers import POINTS
from tests.faults.hands import all_asleep
from tests.faults.installation import installation
from tests.world import Server

AT_ONCE = 50


def batched(points: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(points), AT_ONCE):
        yield points[first : first + AT_ONCE]


@pytest.mark.parametrize("times", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_f01_a_worker_that_is_killed_at_any_point_loses_nothing(
    tmp_path: Path, real_server: Server, times: int
) -> None:
    with installation(tmp_path, real_server) as there, there.doomed() as kill_at:
        # A few at a time: on a slow machine five hundred workers don't begin and die within the life of a code.
        for points in batched(list(POINTS) * times):
            before = len(there.ids)
            with there.watched():
                for n, point in enumerate(points, before):
                    there.start(n)
                    kill_at(point)
            all_asleep(real_server.client)
            with there.watched(), there.worker():
                there.until_nothing_is_left()
            mine = list(there.ids)[before:]
            assert {there.get(id).delivery for id in mine} <= {Delivery.ACCEPTED, Delivery.TRYING}
            there.approve_all(after=before)
        checker = there.checker()
        assert checker.violations() == []
        totals = checker.totals()
        print(totals)
        assert (totals.sends, totals.kills, totals.lost) == (10 * times, 10 * times, 0)
        assert totals.unknown <= totals.kills
        assert totals.duplicates <= totals.unknown
        assert {seen.delivery for seen in checker.finals.values()} == {Delivery.UNCONFIRMED}
