"""A fleet of real processes, on a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import valkey
from tests.faults.installation import installation
from tests.faults.replicas import server_at
from tests.rolling.fleet import Fleet, fleet


@pytest.fixture
def rolled(tmp_path: Path) -> Iterator[Fleet]:
    with (
        valkey(tmp_path, "--appendonly", "yes") as url,
        installation(tmp_path, server_at(url)) as there,
        fleet(there) as rolled,
    ):
        yield rolled
