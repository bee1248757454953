"""A cluster whose masters have replicas, as callers see it when one dies, hangs, or was not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.errors import AlreadyApproved, Unavailable
from otp_service.verification import Status
from otp_service.verifier import Idempotency, TokenRequest
from tests.cli.processes import until
from tests.cluster.cluster_world import ClusterWorld, world_on
from tests.cluster.nodes import Cluster, Node, cluster
from tests.cluster.test_requests import number
from tests.faults.load import answered
from tests.world import NUMBER, SHOP

pytestmark = pytest.mark.slow
AMPLE_MS = 1500
"""A replica that runs has confirmed long before."""
COUNT = 40
"""Verifications, and so partitions of all masters."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("replicated"), replicas=True) as running:
        yield running


@pytest.fixture
def replicated(made: Cluster) -> Iterator[Cluster]:
    made.until_ok()
    made.clear()
    yield made
    for node in made.nodes:
        if not node.answers():
            node.begin()
    made.until_ok()
    until(lambda: _all_followed(made), "each master has its replica")


def _all_followed(made: Cluster) -> bool:
    return all(node.client.info("replication")["connected_slaves"] == 1 for node in made.masters)


class Lives:
    """Some pend, some are approved with a token that is used, some with one that is not; a replica has them all."""

    def __init__(self, world: ClusterWorld) -> None:
        self.ids = [world.start(number(n)).verification.id for n in range(COUNT)]
        self.codes = [world.code_of(id) for id in self.ids]
        self.tokens = {n: world.check(self.ids[n], self.codes[n]).token for n in range(0, COUNT, 2)}

    def slots_of(self, node: Node) -> set[int]:
        said = [one for one in node.ask("CLUSTER SLOTS") if one[2][1] == node.port]
        return {slot for first, last, *_ in said for slot in range(first, last + 1)}

    def are_whole(self, world: ClusterWorld) -> None:
        for n, id in enumerate(self.ids):
            if n in self.tokens:
                assert answered(lambda id=id: world.get(id)).status is Status.APPROVED
                with pytest.raises(AlreadyApproved):
                    world.check(id, self.codes[n])
                use = TokenRequest(self.tokens[n], "login", number(n), consume=True)
                assert answered(lambda use=use: world.verifier.verify_token(SHOP, use))
            else:
                assert answered(lambda id=id, n=n: world.check(id, self.codes[n])).token


def test_what_somebody_was_told_of_stands_on_the_masters_replica(replicated: Cluster) -> None:
    with world_on(replicated, wait_ms=AMPLE_MS) as world:
        id = world.start(idempotency=Idempotency("k", "/", b"")).verification.id
        assert world.check(id, world.code_of(id)).token
        held = [node for node in replicated.nodes if node.client.keys(f"*:v:{id}")]
        assert sorted(node.is_master for node in held) == [False, True]


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_a_masters_replica_takes_over_and_nothing_that_was_told_is_forgotten(replicated: Cluster, how: str) -> None:
    with world_on(replicated, wait_ms=AMPLE_MS) as world:
        lives = Lives(world)
    with world_on(replicated) as world:
        assert world.get(lives.ids[0])
        gone = replicated.owner_of(world.slot(lives.ids[0]))
        if how == "dies":
            gone.kill()
            lives.are_whole(world)
        else:
            with gone.frozen():
                lives.are_whole(world)


def test_checks_elsewhere_go_on_where_the_cluster_need_not_be_whole(replicated: Cluster) -> None:
    for node in replicated.nodes:
        node.client.config_set("cluster-require-full-coverage", "no")
    with world_on(replicated) as world:
        lives = Lives(world)
        gone = replicated.owner_of(world.slot(lives.ids[1]))
        theirs = lives.slots_of(gone)
        gone.kill()
        elsewhere = [n for n, id in enumerate(lives.ids) if n not in lives.tokens and world.slot(id) not in theirs]
        assert elsewhere
        assert all(world.check(lives.ids[n], lives.codes[n]).token for n in elsewhere)
    for node in replicated.nodes:
        if node is not gone:
            node.client.config_set("cluster-require-full-coverage", "yes")


def test_the_old_master_that_comes_back_is_no_longer_asked(replicated: Cluster) -> None:
    with world_on(replicated) as world:
        id = world.start().verification.id
        gone = replicated.owner_of(world.slot(id))
        gone.kill()
        answered(lambda: world.get(id))
        gone.begin()
        replicated.until_ok()
        assert not gone.is_master
        code = answered(lambda: world.code_of(id))
        assert world.check(id, code).token
        assert world.get(id).status is Status.APPROVED


def test_a_process_that_began_before_its_cluster_serves_once_that_is_there(tmp_path: Path) -> None:
    with cluster(tmp_path) as late:
        for node in late.nodes:
            node.kill()
        with world_on(late) as world:
            for _ in range(3):
                with pytest.raises(Unavailable) as refused:
                    world.start(NUMBER)
                assert refused.value.retry_after
            assert not world.verifier.store_is_up()
            for node in late.nodes:
                node.begin()
            assert answered(lambda: world.start(NUMBER)).verification.id
            assert world.verifier.store_is_up()
