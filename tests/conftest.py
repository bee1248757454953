"""The stores that the suite runs on: fakeredis, and a real Valkey of the suite's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
from fakeredis import FakeAsyncRedis

from otp_service.store import connect, connect_async
from tests.cli.processes import valkey
from tests.world import Server, World

INSTALLATIONS = {
    "tests/cli/test_operating.py": "operating",
    "tests/cluster/test_connecting.py": "cluster",
    "tests/cluster/test_lost_in_part.py": "cluster",
    "tests/cluster/test_lost_masters.py": "replicated_cluster",
    "tests/cluster/test_moving_outboxes.py": "cluster",
    "tests/cluster/test_moving_slots.py": "cluster",
    "tests/cluster/test_nodes.py": "cluster",
    "tests/cluster/test_operators.py": "cluster",
    "tests/cluster/test_requests.py": "cluster",
    "tests/cluster/test_workers.py": "cluster",
    "tests/examples/test_django_login.py": "django_login",
    "tests/faults/test_durability.py": "replicas",
    "tests/reports/test_reports_over_http.py": "reports",
    "tests/service/test_answers_through_the_service.py": "answers",
    "tests/service/test_main_job.py": "service",
    "tests/service/test_schema.py": "service",
}
"""Files whose tests share processes that take seconds to start: one test process runs them, in their order."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup`, by the table above.

    The mark `xdist_group` has no effect: xdist 3.8 writes the group into a private attribute that pytest 9.2 does not
    have any more, and says nothing.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByInstallation(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return INSTALLATIONS.get(nodeid.partition("::")[0], nodeid)

    return ByInstallation(config, log)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, one a test process."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(params=["fakeredis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """An empty server of each kind; a test that takes it runs on both."""
    if request.param == "fakeredis":
        fake = fakeredis.FakeServer()
        yield Server(fakeredis.FakeRedis(server=fake), lambda: FakeAsyncRedis(server=fake))
        return
    yield from _real(request.getfixturevalue("valkey_url"))


@pytest.fixture
def real_server(valkey_url: str) -> Iterator[Server]:
    """For what only a real server can show: parallel connections, dumps, lost replies."""
    yield from _real(valkey_url)


def _real(url: str) -> Iterator[Server]:
    client = connect(url)
    client.flushall()
    yield Server(client, lambda: connect_async(url, block_seconds=1.0), url)
    client.close()


@pytest.fixture
def world(server: Server) -> World:
    return World(server)


@pytest.fixture
def real_world(real_server: Server) -> World:
    return World(real_server)


@pytest.fixture
def raw(server: Server) -> redis.Redis:
    return server.client


@pytest.fixture
def data() -> Path:
    return Path(__file__).parent / "data"
