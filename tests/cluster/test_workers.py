"""A worker on a cluster: every partition of every master, whichever way the slots lie."""

from __future__ import annotations

import pytest

from otp_service.keyring import PARTITIONS
from otp_service.store import connect, connect_async
from tests.cluster.nodes import Cluster
from tests.world import Server, World


@pytest.fixture
def world(masters: Cluster) -> World:
    return World(Server(connect(masters.url), lambda: connect_async(masters.url, 1.0), masters.url))


def numbers(world: World, each: int = 1) -> list[str]:
    """Of every partition."""
    found: dict[int, list[str]] = {}
    n = 0
    while len(found) < PARTITIONS or min(map(len, found.values())) < each:
        to = f"+86138{n:08d}"
        found.setdefault(world.keyring.partition(to[:-4]), []).append(to)
        n += 10000
    return [to for tos in found.values() for to in tos[:each]]
