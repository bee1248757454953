"""The demo's Valkey: what it answered is there again after a kill."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from otp_service.cli import embedded_valkey
from tests.cli.processes import environment, until

PROGRAM = (
    "import sys; from pathlib import Path; from otp_service.cli import embedded_valkey as valkey;"
    "valkey.run(valkey.binary(), Path(sys.argv[1]), Path(sys.argv[2]))"
)


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    """Of a server that runs as it does in the demo; its folder has a short name, as sockets want it."""
    with tempfile.TemporaryDirectory() as folder:
        path = embedded_valkey.socket_path(Path(folder))
        arguments = [sys.executable, "-c", PROGRAM, str(Path(folder, "data")), str(path)]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=environment()) as server:
            until(lambda: embedded_valkey.listens(path), "the server listens")
            with redis.Redis(unix_socket_path=str(path)) as client:
                yield client
            server.kill()


def test_no_answer_overtakes_its_write_while_the_disk_is_slow(client: redis.Redis) -> None:
    """With `everysec` a write waits up to 2 s for a running fsync; a kill -9 in that time loses what was answered."""
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("appendfsync") == {"appendfsync": "no"}
