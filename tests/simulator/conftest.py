"""One simulator in its own process, as fresh as at its start for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulator_helpers import Simulator, a_simulator


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with a_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """The running simulator, as fresh as at its start."""
    assert running.http.post("/api/reset", json={}).status_code == 200
    return running
