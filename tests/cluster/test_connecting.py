"""How a process finds its cluster: by some of its nodes, when it is first asked, with no more rights than it needs."""

from __future__ import annotations

import pytest
from redis.exceptions import MovedError, RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.keyring import PARTITIONS
from otp_service.ports import StoreDown
from otp_service.store import RedisStore, connect, lane_to
from otp_service.store.cluster_nodes import ClusterNodes
from otp_service.store.facts import ServerFacts, Unreachable
from tests.cli.processes import free_port
from tests.cluster.nodes import Cluster, slot_of
from tests.world import KEYS

EVER = 3600.0
SLOT = slot_of(KEYS.due(0))


def nobody() -> str:
    return f"127.0.0.1:{free_port()}"


def test_nothing_is_dialled_before_somebody_asks() -> None:
    client = connect(f"redis+cluster://{nobody()},{nobody()}")
    store = RedisStore(client, lane=lane_to(client))

    for ask in (store.now, lambda: store.failed(0, "x"), lambda: store.sky(["primary"])):
        with pytest.raises(StoreDown):
            ask()
    client.pipeline().get("x")
    client.close()


def test_one_node_that_answers_is_enough(masters: Cluster) -> None:
    client = connect(f"redis+cluster://{nobody()},127.0.0.1:{masters.nodes[1].port}")
    assert len(client.masters()) == 3
    client.close()


def test_a_process_that_asked_in_vain_asks_again(masters: Cluster) -> None:
    """What is configured is asked where nobody is known, or nobody who is known answers."""
    nodes = ClusterNodes([("127.0.0.1", free_port())], {})
    with pytest.raises(RedisClusterException):
        nodes.look()
    nodes._first = [masters.nodes[0].address]
    assert len(nodes.all()) == 3
    nodes.close()


class TestASilentMaster:
    """Threads that all waited for it would be missing where the others are asked."""

    def nodes(self, masters: Cluster, silent_for: float) -> ClusterNodes:
        nodes = ClusterNodes([masters.nodes[0].address], {}, silent_for)
        nodes.lost(nodes.of(SLOT), silent=True)
        return nodes

    def test_is_asked_nothing_until_it_has_answered(self, masters: Cluster) -> None:
        nodes = self.nodes(masters, EVER)
        with pytest.raises(RedisTimeoutError):
            nodes.of(SLOT)
        [silent] = [one for one in nodes.all() if one.name.endswith(f":{masters.owner_of(SLOT).port}")]
        nodes.answers(silent)
        assert nodes.of(SLOT) is silent

    def test_keeps_nobody_from_the_others(self, masters: Cluster) -> None:
        nodes, silent = self.nodes(masters, EVER), masters.owner_of(SLOT)
        slots = [slot_of(KEYS.due(partition)) for partition in range(PARTITIONS)]
        assert nodes.of(next(slot for slot in slots if masters.owner_of(slot) is not silent)).client.ping()
        assert nodes.of(None).client.ping()
        assert not nodes.of(None).name.endswith(f":{silent.port}")

    def test_is_asked_again_by_one_when_it_is_time(self, masters: Cluster) -> None:
        nodes = self.nodes(masters, 0.0)
        assert nodes.of(SLOT).client.ping()

    def test_whose_slots_have_gone_to_another_is_in_nobodys_way(self, masters: Cluster) -> None:
        nodes = self.nodes(masters, EVER)
        masters.move(SLOT, masters.other_than(masters.owner_of(SLOT)))
        nodes.moved(MovedError(f"{SLOT} 127.0.0.1:{masters.owner_of(SLOT).port}"))
        assert nodes.of(SLOT).client.ping()


def test_a_server_that_is_no_cluster_is_said_so(valkey_url: str) -> None:
    client = connect(valkey_url.replace("redis://", "redis+cluster://"))
    with pytest.raises(Unreachable, match="as one of a cluster"):
        ServerFacts.ask(client)
    client.close()


def test_a_user_needs_to_ask_for_the_slots_and_for_no_more_of_the_cluster(masters: Cluster) -> None:
    for node in masters.masters:
        rights = ("+@all", "-cluster", "+cluster|slots")
        node.client.execute_command("ACL", "SETUSER", "lean", "on", ">x", "~otp:*", *rights)
    client = connect(masters.url.replace("//", "//lean:x@"))
    store = RedisStore(client, lane=lane_to(client))
    assert store.failed(0, "x") == 0
    store.suppress(31, "x")
    assert client.get(KEYS.suppressed(31, "x")) == b"1"
    client.close()
    with pytest.raises(StoreDown):
        RedisStore(connect(masters.url.replace("//", "//lean:wrong@"))).now()
