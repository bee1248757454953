"""F38, smaller: every fault once in a few minutes; nothing is broken by it, and nothing is held on to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.processes import until
from tests.soak.damage import FAULTS
from tests.soak.plant import Burden, Part, Plant
from tests.soak.soak import Soak
from tests.soak.watch import slope

FAULT_EVERY = 15.0


def test_a_drift_is_that_of_the_nearest_line() -> None:
    assert slope([0, 1, 2, 3], [5, 7, 9, 11]) == pytest.approx(2)
    assert slope([0, 1, 2], [1, 2, 1]) == pytest.approx(0)
    assert slope([1, 1], [2, 3]) == 0


@pytest.mark.slow
def test_every_fault_once_breaks_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Two APIs and two workers; the first of each lives through all of it, and is idle before and after."""
    with Plant(tmp_path, workers=2, apis=2) as plant:
        lasting = [plant.apis[0], plant.workers[0]]
        soak = Soak(plant, FAULT_EVERY)
        soak.run(20)  # all threads, connections and caches have come into being
        before = {part.name: part.burden() for part in lasting}
        soak.run(FAULT_EVERY * len(FAULTS))
        assert sorted(set(soak.happened)) == sorted(FAULTS)
        assert soak.wrong == []
        for part in lasting:
            until(lambda part=part: _is_no_more_than(part, before[part.name]), f"{part.name} holds what it held")
        print(*soak.watch.table(), sep="\n")


def _is_no_more_than(part: Part, before: Burden) -> bool:
    """A pool may have one connection more or less; a leak of one a request would be thousands."""
    now = part.burden()
    return now.threads <= before.threads + 4 and now.files <= before.files + 16 and now.sockets <= before.sockets + 16
