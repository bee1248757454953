"""F36: many callers on the same verifications while answers are lost, and servers stop and die."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otp_service.errors import CodeMismatch, Ended, Unavailable
from otp_service.verification import Status
from otp_service.verifier import Idempotency
from tests.cli.processes import free_port, until, valkey
from tests.cluster.cluster_world import ClusterWorld, numbers_of_partitions, world_on
from tests.cluster.nodes import Node as ClusterNode
from tests.cluster.nodes import cluster, slot_of
from tests.cutting_proxy import CuttingProxy
from tests.faults.linear import ATTEMPTS, Operation, is_linearizable
from tests.faults.replicas import Node, server_at
from tests.world import KEYS, SHOP, UNLIMITED, Server, World

PATIENCE = 60.0
AMPLE_MS = 1500
"""A replica that runs has confirmed long before."""
KINDS = {"wrong": 5, "get": 3, "right": 1, "cancel": 1}


class TestTheChecker:
    def test_takes_what_could_have_been(self) -> None:
        """A second wrong code is answered before the first: they overlapped."""
        history = [
            Operation("wrong", "mismatch", 0, 5),
            Operation("wrong", "mismatch", 1, 2),
            Operation("get", "pending 1", 2.5, 3),
            Operation("right", "approved", 6, 7),
            Operation("cancel", "ended approved", 8, 9),
        ]
        assert is_linearizable(history)

    @pytest.mark.parametrize(
        "history",
        [
            [Operation("right", "approved", 0, 1), Operation("right", "approved", 2, 3)],
            [Operation("right", "approved", 0, 9), Operation("right", "approved", 1, 2)],
            [Operation("right", "approved", 0, 1), Operation("get", "pending 0", 2, 3)],
            [Operation("wrong", "mismatch", 0, 1), Operation("get", "pending 0", 2, 3)],
            [Operation("wrong", "mismatch", n, n + 0.5) for n in range(ATTEMPTS + 1)],
            [Operation("cancel", "canceled", 0, 1), Operation("right", "approved", 2, 3)],
            [Operation("get", "pending 1", 0, 1), Operation("wrong", "mismatch", 2, 3)],
        ],
        ids=str,
    )
    def test_refuses_what_could_not(self, history: list[Operation]) -> None:
        assert not is_linearizable(history)

    def test_lets_what_nobody_was_told_of_have_happened_or_not(self) -> None:
        for seen in ("pending 0", "approved 0"):
            assert is_linearizable([Operation("right", "", 0), Operation("get", seen, 1, 2)])
        assert not is_linearizable([Operation("get", "approved 0", 1, 2), Operation("right", "", 3)])


@dataclass
class Crowd:
    """Callers with connections of their own, each of whom does something to the same verifications in their order."""

    world: Callable[[], World]
    ids: list[str]
    codes: dict[str, tuple[str, str]]
    """The right one and a wrong one."""
    each: int
    """Operations of each caller on each verification."""
    before_each: Callable[[], None] = lambda: None
    seed: int = 0
    retried: int = 0
    histories: dict[str, list[Operation]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    @contextmanager
    def at_work(self, callers: int) -> Iterator[Callable[[], bool]]:
        """Yields whether anybody still is; ends when nobody is."""
        self.histories = {id: [] for id in self.ids}
        threads = [threading.Thread(target=self._call, args=(n,), name=f"caller {n}") for n in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield lambda: any(thread.is_alive() for thread in threads)
        finally:
            for thread in threads:
                thread.join()

    def _call(self, nth: int) -> None:
        rng, world = random.Random(f"{self.seed} {nth}"), self.world()
        try:
            for id, n in itertools.product(self.ids, range(self.each)):
                self.before_each()
                self._one(world, rng.choices(list(KINDS), list(KINDS.values()))[0], id, f"{nth} {n}")
        except Exception as error:
            self.troubles.append(repr(error))

    def _one(self, world: World, kind: str, id: str, key: str) -> None:
        """Asked until there is an answer: it is one operation, as it has one Idempotency-Key."""
        call = time.monotonic()
        while True:
            try:
                told = self._told(world, kind, id, f"{id} {key}")
                break
            except Unavailable:
                self.retried += 1
                if time.monotonic() > call + PATIENCE:
                    self.troubles.append(f"{kind} was never answered")
                    return
                time.sleep(0.01)
        self.histories[id].append(Operation(kind, told, call, time.monotonic()))

    def _told(self, world: World, kind: str, id: str, key: str) -> str:
        try:
            if kind == "get":
                seen = world.get(id)
                return f"{seen.status} {ATTEMPTS - seen.attempts_left}"
            if kind == "cancel":
                return str(world.verifier.cancel(SHOP, id).status)
            code = self.codes[id][kind == "wrong"]
            world.check(id, code, idempotency=Idempotency(key, id, code.encode()))
        except CodeMismatch:
            return "mismatch"
        except Ended as error:
            return f"ended {error.verification and error.verification.status}"
        return str(Status.APPROVED)

    def impossible(self) -> list[str]:
        return [id for id, history in self.histories.items() if not is_linearizable(history)]

    def count(self) -> int:
        return sum(map(len, self.histories.values()))


def crowd(server: Server, url: str, verifications: int, each: int) -> Crowd:
    world = World(server, UNLIMITED)
    ids = [world.start(to=f"+86138{n:08d}").verification.id for n in range(verifications)]
    codes = {id: (world.code_of(id), world.wrong_code(id)) for id in ids}
    return Crowd(lambda: World(server_at(url), UNLIMITED), ids, codes, each)


def test_answers_that_are_lost_leave_one_history(real_server: Server) -> None:
    """The script has run, its answer is gone, and it is asked again."""
    with CuttingProxy(real_server.url) as proxy:
        callers = crowd(real_server, proxy.url, verifications=4, each=2)
        callers.before_each = lambda: proxy.lose("EVALSHA", 2)
        with callers.at_work(6):
            pass
        assert proxy.cut
    assert callers.troubles == []
    assert callers.impossible() == []
    assert callers.count() == 4 * 2 * 6


@pytest.mark.slow
def test_at_full_size_with_stops_pauses_and_lost_answers(tmp_path: Path) -> None:
    """16 callers, 500 operations each."""
    with valkey(tmp_path) as url, CuttingProxy(url) as proxy:
        node, rng = Node.at(url), random.Random(0)
        callers = crowd(server_at(url), proxy.url, verifications=250, each=2)
        with callers.at_work(16) as is_going_on:
            while is_going_on():
                fault = rng.randrange(3)
                if fault == 0:
                    proxy.lose("EVALSHA", 40)
                elif fault == 1:
                    node.client.execute_command("CLIENT", "PAUSE", 200, "ALL")
                else:
                    with node.frozen():
                        time.sleep(rng.choice((0.1, 0.3, 2.5)))  # the last is longer than anybody waits
                time.sleep(0.2)
        _judge(callers, f"lost answers {proxy.cut}")


@pytest.mark.slow
def test_at_full_size_with_a_server_that_is_killed(tmp_path: Path) -> None:
    """16 callers, 500 operations each; with `appendfsync always` nothing that was answered is lost."""
    port, kills = free_port(), 0
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with valkey(tmp_path, *options, port=port) as url:
        callers = crowd(server_at(url), url, verifications=250, each=2)
        os.kill(Node.at(url).pid, signal.SIGKILL)
    with callers.at_work(16) as is_going_on:
        while is_going_on():
            with valkey(tmp_path, *options, port=port):
                end = time.monotonic() + 0.6
                while is_going_on() and time.monotonic() < end:
                    time.sleep(0.02)
            kills += 1
    _judge(callers, f"killed {kills} times")


@pytest.mark.slow
def test_at_full_size_with_masters_that_die_and_are_followed(tmp_path: Path) -> None:
    """16 callers, 500 operations each, on three masters and their replicas, with `durability = "wait"`: whatever
    somebody was told of stands on the master that follows."""
    with cluster(tmp_path, replicas=True) as there, world_on(there, wait_ms=AMPLE_MS) as world:
        slot, failovers = slot_of(KEYS.outbox(0)), 0
        callers = Crowd(lambda: ClusterWorld(there, wait_ms=AMPLE_MS), *_begun(world, 250), each=2)
        with callers.at_work(16) as is_going_on:
            while is_going_on():
                time.sleep(1.0)
                gone = there.owner_of(slot)
                replica = there.replica_of(gone)
                gone.kill()
                until(lambda replica=replica: replica.is_master, "its replica follows")  # type: ignore[misc]
                # The new master confirms nothing before it has a replica.
                gone.begin()
                until(lambda gone=gone: _is_replica(gone), "the old one follows the new one")  # type: ignore[misc]
                failovers += 1
        _judge(callers, f"failovers {failovers}")
        assert failovers


def _begun(world: World, verifications: int) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """All of one partition, and so of the master that dies."""
    numbers = numbers_of_partitions()[0][0][:-4]
    ids = [world.start(to=f"{numbers}{n:04d}").verification.id for n in range(verifications)]
    return ids, {id: (world.code_of(id), world.wrong_code(id)) for id in ids}


def _is_replica(node: ClusterNode) -> bool:
    return node.answers() and node.client.info("replication").get("master_link_status") == "up"


def _judge(callers: Crowd, faults: str) -> None:
    assert callers.troubles == []
    assert callers.impossible() == []
    assert callers.count() == 16 * 500
    print(f"F36: {callers.count()} operations, asked again {callers.retried} times, {faults}, linearizable")
