"""How a process finds its cluster: by some of its nodes, when it is first asked, with no more rights than it needs."""

from __future__ import annotations

import pytest
from redis.exceptions import RedisClusterException

from otp_service.ports import StoreDown
from otp_service.store import RedisStore, connect, lane_to
from otp_service.store.cluster_nodes import ClusterNodes
from otp_service.store.facts import ServerFacts, Unreachable
from tests.cli.processes import free_port
from tests.cluster.nodes import Cluster
from tests.world import KEYS


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
