"""A world on a cluster. Its clock is the masters' own: what moves it elsewhere lies in one slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

from otp_service.keyring import PARTITIONS, Keyring
from otp_service.store import connect, connect_async
from otp_service.store.scripts import SCRIPTS, Script
from tests.cluster.nodes import Cluster, slot_of
from tests.world import FINGERPRINT, KEYS, SECRET, UNLIMITED, Server, World


class Heard(dict[str, Script]):
    """The scripts, and which of them were run."""

    def __init__(self) -> None:
        super().__init__(SCRIPTS)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Script:
        self.names.add(name)
        return super().__getitem__(name)


class ClusterWorld(World):
    scripts: Mapping[str, Script] = SCRIPTS

    def __init__(self, cluster: Cluster, *, wait_ms: int = 0, scripts: Mapping[str, Script] = SCRIPTS) -> None:
        self.cluster = cluster
        self.scripts = scripts
        super().__init__(server_of(cluster), UNLIMITED, cooldown=(0,), resend="same")
        if wait_ms:
            self.with_replica(wait_ms)

    def slot(self, id: str) -> int:
        """Where a verification lies, and all that changes with it."""
        parsed = self.keyring.parse_id(id)
        assert parsed
        return slot_of(KEYS.outbox(parsed.partition))

    def waiting(self) -> int:
        """In one trip to each master: whoever asks keeps a worker waiting that runs beside it."""
        pipeline = self.server.client.pipeline()
        for partition in range(PARTITIONS):
            pipeline.xlen(KEYS.outbox(partition))
        return sum(pipeline.execute())


def server_of(cluster: Cluster) -> Server:
    """Its client is this caller's own."""
    return Server(connect(cluster.url), lambda: connect_async(cluster.url, 1.0), cluster.url)


def number(n: int) -> str:
    """Of a neighbourhood of its own, and so most likely of another partition."""
    return f"+86138{n:04d}8000"


@cache
def numbers_of_partitions(each: int = 3) -> dict[int, list[str]]:
    """Some of every partition, as every world has them."""
    keyring = Keyring([("a", SECRET)], FINGERPRINT)
    found: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
    for n in count():
        if min(map(len, found.values())) >= each:
            break
        found[keyring.partition(number(n)[:-4])].append(number(n))
    return found


@contextmanager
def world_on(cluster: Cluster, **more: Any) -> Iterator[ClusterWorld]:
    world = ClusterWorld(cluster, **more)
    try:
        yield world
    finally:
        world.server.client.close()
