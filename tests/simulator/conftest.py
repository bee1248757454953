"""One simulator in its own process, as fresh as at its start for every test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from simulator_helpers import Simulator


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    simulator = Simulator(line.removeprefix("simulator ").strip())
    try:
        yield simulator
    finally:
        simulator.http.close()
        process.terminate()
        process.wait(5)
        process.stdout.close()


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """The running simulator, as fresh as at its start."""
    assert running.http.post("/api/reset", json={}).status_code == 200
    return running
