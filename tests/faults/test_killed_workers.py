"""F01: workers that are killed, at every point where it could matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from otp_service.verification import Delivery
from tests.faults.doomed_workers import POINTS
from tests.faults.hands import all_asleep
from tests.faults.installation import installation
from tests.world import Server


@pytest.mark.parametrize("times", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_f01_a_worker_that_is_killed_at_any_point_loses_nothing(
    tmp_path: Path, real_server: Server, times: int
) -> None:
    with installation(tmp_path, real_server) as there:
        with there.doomed() as kill_at, there.watched():
            for n, point in enumerate(list(POINTS) * times):
                there.start(n)
                kill_at(point)
        all_asleep(real_server.client)
        with there.watched(), there.worker():
            there.until_nothing_is_left()
        assert {there.get(id).delivery for id in there.ids} <= {Delivery.ACCEPTED, Delivery.TRYING}
        there.approve_all()
        checker = there.checker()
        assert checker.violations() == []
        totals = checker.totals()
        print(totals)
        assert (totals.sends, totals.kills, totals.lost) == (10 * times, 10 * times, 0)
        assert totals.unknown <= totals.kills
        assert totals.duplicates <= totals.unknown
        assert {seen.delivery for seen in checker.finals.values()} == {Delivery.UNCONFIRMED}
