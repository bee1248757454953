"""A master and its replica, each a real server of the tests' own, and what stops or kills one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.cli.processes import until, valkey
from tests.world import Server


@dataclass
class Node:
    """One server. Threads may share it."""

    url: str
    client: redis.Redis
    pid: int

    @classmethod
    def at(cls, url: str) -> Node:
        client = redis.Redis.from_url(url)
        return cls(url, client, client.info("server")["process_id"])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    @property
    def port(self) -> int:
        return int(self.client.connection_pool.connection_kwargs["port"])


@dataclass
class Pair:
    master: Node
    replica: Node

    def server(self) -> Server:
        """The master, for a world. Its client is this caller's own, with connections of its own."""
        from otp_service.store import connect, connect_async

        url = self.master.url
        return Server(connect(url), lambda: connect_async(url, 1.0), url)

    def until_linked(self) -> None:
        until(lambda: self.replica.client.info("replication").get("master_link_status") == "up", "the replica follows")


def follow(master: Node) -> tuple[str, ...]:
    """Options of a server that is its replica from its start."""
    return "--replicaof", f"127.0.0.1 {master.port}"


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    for name in ("master", "replica"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    at_once = ("--repl-diskless-sync-delay", "0", "--enable-debug-command", "local")
    with valkey(folder / "master", *at_once) as url:
        master = Node.at(url)
        with valkey(folder / "replica", *follow(master)) as replica:
            two = Pair(master, Node.at(replica))
            two.until_linked()
            yield two
