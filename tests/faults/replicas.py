"""A master and its replica, each a real server of the tests' own, and what stops or kills one of them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from otp_service.store import connect, connect_async
from tests.cli.processes import free_port, server_program, until, valkey
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
        return server_at(self.master.url)

    def until_linked(self) -> None:
        until(lambda: self.replica.client.info("replication").get("master_link_status") == "up", "the replica follows")


def server_at(url: str) -> Server:
    """For a world; its client is this caller's own, with connections of its own."""
    return Server(connect(url), lambda: connect_async(url, 1.0), url)


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


MASTER_NAME = "mymaster"
_SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 6000
"""


@contextmanager
def sentinels(folder: Path, master: Node, replicas: int) -> Iterator[str]:
    """Three that watch a master and know so many replicas of it; the URL by which they are asked."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        for port in ports:
            home = folder / f"sentinel-{port}"
            home.mkdir()
            file = home / "sentinel.conf"
            file.write_text(_SENTINEL.format(port=port, folder=home, master=master.port, name=MASTER_NAME), "utf-8")
            command = [server_program(), str(file), "--sentinel"]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.kill)
        for port in ports:
            asked = redis.Redis(port=port)
            until(lambda asked=asked: _knows(asked, replicas), "a sentinel knows its servers")
        yield f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/{MASTER_NAME}"


def _knows(sentinel: redis.Redis, replicas: int) -> bool:
    try:
        state = sentinel.sentinel_master(MASTER_NAME)
    except redis.RedisError:
        return False
    return state["num-slaves"] >= replicas and state["num-other-sentinels"] >= 2
