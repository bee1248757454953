"""While slots move from one master to another: what is asked meanwhile is answered once, or not done at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from otp_service.errors import CodeMismatch, TokenUsed, Unavailable
from otp_service.store.cluster_lane import ClusterLane
from otp_service.verification import Status
from otp_service.verifier import TokenRequest
from tests.cli.processes import until
from tests.cluster.cluster_world import ClusterWorld, world_on
from tests.cluster.nodes import Cluster, Move, Node
from tests.cluster.test_requests import number
from tests.world import KEYS, NUMBER, PATIENCE, SHOP


@pytest.fixture
def world(masters: Cluster) -> Iterator[ClusterWorld]:
    with world_on(masters) as made:
        yield made


def asked_for(world: ClusterWorld, seconds: float) -> None:
    """How long it asks again where a slot is on its way."""
    client = world.server.client
    client.lane = ClusterLane(client.nodes, seconds)
    world._rebuild()


def other(world: ClusterWorld, slot: int) -> Node:
    return world.cluster.other_than(world.cluster.owner_of(slot))


def take_all(move: Move) -> None:
    """All keys are there, and the slot is not yet."""
    while keys := move.keys():
        move.take(*keys)


def record(world: ClusterWorld, id: str) -> str:
    parsed = world.keyring.parse_id(id)
    assert parsed
    return KEYS.record(parsed.partition, id)


def test_who_has_an_old_table_is_sent_to_the_new_owner(world: ClusterWorld) -> None:
    id = world.start().verification.id
    code, slot = world.code_of(id), world.slot(id)

    world.cluster.move(slot, other(world, slot))

    with pytest.raises(CodeMismatch):
        world.check(id, "0" * 6 if code != "0" * 6 else "1" * 6)
    assert world.check(id, code).token
    assert world.get(id).attempts_left == 4


def test_what_has_gone_ahead_is_asked_where_it_is(world: ClusterWorld) -> None:
    """Also a script that the new owner has never heard of."""
    id = world.start().verification.id
    token, slot = world.check(id, world.code_of(id)).token, world.slot(id)
    use = TokenRequest(token, "login", NUMBER, consume=True)
    to = other(world, slot)
    to.client.script_flush()

    with world.cluster.moving(slot, to) as move:
        assert world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER)), "it is here still"
        move.take(record(world, id))
        assert world.verifier.verify_token(SHOP, use)
    with pytest.raises(TokenUsed):
        world.verifier.verify_token(SHOP, use)


def test_keys_on_both_sides_are_waited_for_until_they_are_on_one(world: ClusterWorld) -> None:
    id = world.start().verification.id
    code, slot = world.code_of(id), world.slot(id)
    asked_for(world, PATIENCE)

    with ThreadPoolExecutor() as pool, world.cluster.moving(slot, other(world, slot)) as move:
        move.take(record(world, id))
        checked = pool.submit(world.check, id, code)
        move.finish()
        assert checked.result(PATIENCE).token


@pytest.mark.parametrize("how_far", ["nothing", "the record", "everything"])
def test_what_is_refused_for_too_long_was_not_done(world: ClusterWorld, how_far: str) -> None:
    """Some keys of a check are always missing, and a slot that moves key by key refuses for these."""
    id = world.start().verification.id
    code, slot = world.code_of(id), world.slot(id)
    asked_for(world, 0.0)

    with world.cluster.moving(slot, other(world, slot)) as move:
        if how_far == "the record":
            move.take(record(world, id))
        elif how_far == "everything":
            take_all(move)
        with pytest.raises(Unavailable) as refused:
            world.check(id, code)
        assert refused.value.retry_after
    assert world.get(id).status is Status.PENDING
    assert world.check(id, code).token


def test_a_slot_that_moves_as_a_whole_is_hardly_missed(world: ClusterWorld) -> None:
    id = world.start().verification.id
    code, slot = world.code_of(id), world.slot(id)
    source = world.cluster.owner_of(slot)
    to = world.cluster.other_than(source)
    asked_for(world, PATIENCE)

    source.ask("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)
    seen = [world.get(id).status]
    until(lambda: seen.append(world.get(id).status) or world.cluster.owner_of(slot) is to, "it has moved")

    assert set(seen) == {Status.PENDING}
    assert world.check(id, code).token


def test_the_partitions_of_others_are_served_meanwhile(world: ClusterWorld) -> None:
    id = world.start().verification.id
    slot = world.slot(id)
    elsewhere = [one for n in range(20) if world.slot(one := world.start(number(n)).verification.id) != slot]
    asked_for(world, 0.0)

    with world.cluster.moving(slot, other(world, slot)):
        assert all(world.check(one, world.code_of(one)).token for one in elsewhere)


def test_slots_that_move_under_way_change_no_answer(world: ClusterWorld) -> None:
    """Each verification approves once, with its one send, whatever moves between its start and its check."""
    asked_for(world, PATIENCE)
    started = [world.start(number(n)).verification.id for n in range(10)]
    slots, stop = {world.slot(id) for id in started}, threading.Event()

    def move() -> int:
        moved = 0
        while not stop.is_set() or not moved:
            for slot in slots:
                world.cluster.move(slot, other(world, slot))
                moved += 1
        return moved

    with ThreadPoolExecutor() as pool:
        moved = pool.submit(move)
        try:
            for n in range(10, 30):
                started.append(world.start(number(n % 10), purpose="signup", session=str(n)).verification.id)
            seen = [world.get(id).sends for id in started]
        finally:
            stop.set()
        assert moved.result(PATIENCE)
    assert seen == [1] * len(started)
    for n, id in enumerate(started):
        assert world.check(id, world.code_of(id), session=str(n) if n >= 10 else None).token
