"""The clusters of these tests: begun once for all that one test process runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.conftest import Command
from tests.cluster.desk import Desk
from tests.cluster.nodes import Cluster, cluster


@pytest.fixture(scope="session")
def three_masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def masters(three_masters: Cluster) -> Cluster:
    """Three, with nothing in them. Where the slots are is what the test before has left."""
    three_masters.until_ok()
    three_masters.clear()
    return three_masters


@pytest.fixture
def desk(
    masters: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OTP_")]:
        monkeypatch.delenv(name)
    yield Desk(Command(capsys, monkeypatch), masters)
    structlog.reset_defaults()
