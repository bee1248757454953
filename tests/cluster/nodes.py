"""A Redis Cluster of the tests' own: its nodes are real servers, its slots move, its masters die and come back."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from otp_service.cli.processes import die_with_parent
from tests.cli.processes import PATIENCE, free_port, server_program, until

SLOTS = 16384
FOLLOWED_MS = 2000
"""Where there are replicas: a silent master has lost its slots to its own after this, an election and some gossip."""
ALONE_MS = 60_000
"""Where there are none: a master that a test stops, or that a busy machine does, is not given up."""
_PAGE = 100
"""Keys that one MIGRATE takes along."""


@dataclass
class Node:
    """One server. What asks it here follows no redirection."""

    folder: Path
    port: int
    bus: int
    timeout_ms: int
    client: Any = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def id(self) -> str:
        return str(self._said("CLUSTER", "MYID"))

    @property
    def is_master(self) -> bool:
        return bool(self.client.role()[0] == b"master")

    def begin(self) -> None:
        """With what its folder holds: who it is, whom it knows, and its data as far as the log has them."""
        arguments = [server_program(), "--port", str(self.port), "--bind", "127.0.0.1"]
        arguments += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--dir", str(self.folder)]
        arguments += ["--cluster-node-timeout", str(self.timeout_ms), "--cluster-replica-validity-factor", "0"]
        arguments += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, preexec_fn=_with(os.getpid()))
        until(self.answers, "a node listens")

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        """As kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.client.connection_pool.disconnect()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def is_ok(self, masters: int, nodes: int) -> bool:
        """Whether it says that the cluster is, with so many of them."""
        try:
            said = self.client.execute_command("CLUSTER INFO")
        except RedisError:
            return False
        counts = (said["cluster_state"], int(said["cluster_size"]), int(said["cluster_known_nodes"]))
        return counts == ("ok", masters, nodes)

    def owner_of(self, slot: int) -> int | None:
        """The port of the master that has it, as this node knows it."""
        said = self.ask("CLUSTER SLOTS")
        return next((master[1] for first, last, master, *_ in said if first <= slot <= last), None)

    def ask(self, *words: str | int) -> Any:
        return self.client.execute_command(*words)

    def _said(self, *words: str) -> str:
        said = self.client.execute_command(*words)
        return said.decode() if isinstance(said, bytes) else said


def _with(parent: int) -> Any:
    """A node must not outlive a test process that is killed."""
    return lambda: die_with_parent(parent)


@dataclass
class Cluster:
    nodes: list[Node]
    """Three masters, and then their replicas in the same order, if it has any."""

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    @property
    def masters(self) -> list[Node]:
        """Those that answer and say that they are."""
        return [node for node in self.nodes if node.answers() and node.is_master]

    def clear(self) -> None:
        for node in self.masters:
            node.client.flushall()
            node.client.config_resetstat()

    def until_ok(self) -> None:
        """All that answer agree that every slot is served, and no master is missing."""
        alive = [node for node in self.nodes if node.answers()]
        until(lambda: all(node.is_ok(3, len(self.nodes)) for node in alive), "the cluster is ok")

    # --- slots ----------------------------------------------------------------------------------------------------

    def owner_of(self, slot: int) -> Node:
        """As the masters that answer know it."""
        for node in self.masters:
            if node.owner_of(slot) == node.port:
                return node
        raise LookupError(f"no master that answers has slot {slot}")

    def replica_of(self, master: Node) -> Node:
        return next(node for node in self.nodes if node.client.role()[1:3] == [b"127.0.0.1", master.port])

    def other_than(self, node: Node) -> Node:
        """Another master."""
        return next(other for other in self.masters if other.port != node.port)

    @contextmanager
    def moving(self, slot: int, to: Node) -> Iterator[Move]:
        """A slot on its way: of its keys those have arrived that `take` took along, until the end takes the rest.

        Meanwhile its old owner answers ASK for a key that it doesn't have (any more), and TRYAGAIN for a command with
        keys on both sides.
        """
        until(self._agree, "each master has an epoch of its own, and all know the latest")
        move = Move(self, slot, self.owner_of(slot), to)
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", move.source.id)
        move.source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        try:
            yield move
        finally:
            move.finish()

    def _agree(self) -> bool:
        """Else the new owner of a slot might take an epoch that its old one has already.

        Of two masters with one epoch, one takes another, and with it claims once more what it was to give away: the
        new owner believes it, and throws the keys away that it was just given.
        """
        said = [node.ask("CLUSTER INFO") for node in self.masters]
        own, latest = ({one[name] for one in said} for name in ("cluster_my_epoch", "cluster_current_epoch"))
        return len(own) == len(said) and len(latest) == 1

    def move(self, slot: int, to: Node) -> None:
        """All of a slot. Nothing is done where `to` has it."""
        if self.owner_of(slot).port != to.port:
            with self.moving(slot, to):
                pass


@dataclass
class Move:
    cluster: Cluster
    slot: int
    source: Node
    to: Node

    def keys(self, count: int = _PAGE) -> list[bytes]:
        """Some that are still where they were."""
        keys: list[bytes] = self.source.ask("CLUSTER GETKEYSINSLOT", self.slot, count)
        return keys

    def take(self, *keys: str | bytes) -> None:
        if keys:
            host, port = self.to.address
            patience_ms = round(PATIENCE * 1000)
            self.source.ask("MIGRATE", host, port, "", 0, patience_ms, "REPLACE", "KEYS", *keys)

    def finish(self) -> None:
        """The new owner is told first: it must know that the slot is its own before anybody is sent there."""
        while keys := self.keys():
            self.take(*keys)
        for node in (self.to, self.source):
            node.ask("CLUSTER SETSLOT", self.slot, "NODE", self.to.id)
        until(self._is_known, "all masters know whose slot it is")

    def _is_known(self) -> bool:
        """Nodes speak of their slots among themselves, and what one says late may overrule what it was told."""
        wrong = [node for node in self.cluster.masters if node.owner_of(self.slot) != self.to.port]
        for node in wrong:
            node.ask("CLUSTER SETSLOT", self.slot, "NODE", self.to.id)
        return not wrong


def slot_of(key: str) -> int:
    return int(key_slot(key.encode()))


@contextmanager
def cluster(folder: Path, replicas: bool = False) -> Iterator[Cluster]:
    """Three masters, each with a third of the slots."""
    count = 6 if replicas else 3
    patience = FOLLOWED_MS if replicas else ALONE_MS
    nodes = [Node(folder / f"node-{n}", free_port(), free_port(), patience) for n in range(count)]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.kill)
            node.begin()
        made = Cluster(nodes)
        _introduce(nodes)
        if replicas:
            made.until_ok()
            for master, replica in zip(nodes[:3], nodes[3:], strict=True):
                replica.ask("CLUSTER REPLICATE", master.id)
            for replica in nodes[3:]:
                until(lambda replica=replica: _is_linked(replica), "a replica follows")
        made.until_ok()
        yield made


def _introduce(nodes: Sequence[Node]) -> None:
    for n, node in enumerate(nodes):
        # Else two that claim the same epoch have it out, which takes its time.
        node.ask("CLUSTER SET-CONFIG-EPOCH", n + 1)
        if n < 3:
            node.ask("CLUSTER ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
    for one, other in itertools.combinations(nodes, 2):
        one.ask("CLUSTER MEET", *other.address, other.bus)


def _is_linked(replica: Node) -> bool:
    return replica.client.info("replication").get("master_link_status") == "up"
