"""The clusters of these tests: begun once for all that one test process runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
