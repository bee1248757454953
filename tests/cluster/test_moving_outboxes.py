"""A worker while slots move, and while a master is silent: nothing is lost, nothing is asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from otp_service.keyring import PARTITIONS, Keyring
from otp_service.ports import Entry, StoreDown
from otp_service.store import RedisOutbox, Trips, connect_async, trips_to
from otp_service.store.cluster_trips import ClusterTrips
from otp_service.store.scripts import SCRIPTS
from otp_service.store.slots import slot_of as slot_of_command
from tests.cluster.cluster_world import ClusterWorld, numbers_of_partitions, world_on
from tests.cluster.nodes import Cluster, Node, slot_of
from tests.world import FINGERPRINT, KEYS, SECRET, until

PARTITION = 5
OUTBOX = KEYS.outbox(PARTITION)
SLOT = slot_of(OUTBOX)
ENDLESS_MS = 60_000
"""A read that waits so long ends in no test."""


@pytest.fixture
def world(masters: Cluster) -> Iterator[ClusterWorld]:
    with world_on(masters) as made:
        yield made


def start_in(world: ClusterWorld, partition: int, n: int = 0) -> str:
    """The n-th verification of a partition."""
    return world.start(numbers_of_partitions()[partition][n]).verification.id


def at_once(world: ClusterWorld, url: str = "") -> Callable[[Callable[[Trips], Awaitable[None]]], None]:
    """Decorates what is done by a worker whose client has all patience."""

    def do(work: Callable[[Trips], Awaitable[None]]) -> None:
        async def run() -> None:
            client = connect_async(url or world.cluster.url, ENDLESS_MS / 1000)
            try:
                await work(trips_to(client, SCRIPTS))
            finally:
                await client.aclose()

        asyncio.run(run())

    return do


def other(cluster: Cluster, slot: int = SLOT) -> Node:
    return cluster.other_than(cluster.owner_of(slot))


def test_an_entry_comes_to_who_waits_for_it_wherever_its_slot_has_gone(world: ClusterWorld) -> None:
    """Each read that waits is sent after its stream."""
    cluster = world.cluster

    @at_once(world)
    async def _(trips: Trips) -> None:
        outbox = await opened(trips)
        for n in range(3):
            reading = asyncio.create_task(outbox.read(8, ENDLESS_MS))
            await until(lambda: len(blocked(cluster)) == PARTITIONS)
            await asyncio.to_thread(cluster.move, SLOT, other(cluster))
            id = await asyncio.to_thread(start_in, world, PARTITION, n)
            assert [entry.id for entry in await reading] == [id]


def test_what_a_read_brings_that_nobody_asked_for_comes_with_the_next(world: ClusterWorld) -> None:
    @at_once(world)
    async def _(trips: Trips) -> None:
        outbox = await opened(trips)
        reading = asyncio.create_task(outbox.read(8, ENDLESS_MS))
        await until(lambda: len(blocked(world.cluster)) == PARTITIONS)
        ids = {partition: await asyncio.to_thread(start_in, world, partition) for partition in (1, 2, 3)}
        await until(lambda: len(blocked(world.cluster)) == PARTITIONS - 3)
        found = list(await reading)
        while len(found) < 3:
            found += await outbox.read(8, ENDLESS_MS)
        assert {entry.partition: entry.id for entry in found} == ids


def test_whoever_reads_no_more_is_given_what_its_last_reads_bring(world: ClusterWorld) -> None:
    @at_once(world)
    async def _(trips: Trips) -> None:
        outbox = await opened(trips)
        reading = asyncio.create_task(outbox.read(8, ENDLESS_MS))
        await until(lambda: len(blocked(world.cluster)) == PARTITIONS)
        first = await asyncio.to_thread(start_in, world, 1)
        assert [entry.id for entry in await reading] == [first]
        ids = {partition: await asyncio.to_thread(start_in, world, partition) for partition in (2, 3)}
        await until(lambda: len(blocked(world.cluster)) == PARTITIONS - 3)
        await outbox.renew(())  # what is kept is renewed with what is worked on
        ending = asyncio.create_task(outbox.last())
        for master, client in blocked(world.cluster):
            master.ask("CLIENT UNBLOCK", client)
        assert {entry.partition: entry.id for entry in await ending} == ids
        assert await outbox.last() == []
        assert await outbox.read(8, 0) == []


def test_one_silent_master_keeps_nobody_from_the_entries_of_the_others(world: ClusterWorld) -> None:
    silent = world.cluster.owner_of(SLOT)
    awake = [n for n in range(PARTITIONS) if world.cluster.owner_of(slot_of(KEYS.outbox(n))) is not silent]
    ids = [start_in(world, partition) for partition in (*awake, PARTITION)]

    @at_once(world)
    async def _(trips: Trips) -> None:
        outbox = await opened(trips)
        with silent.frozen():
            found = await read_all(outbox, len(awake))
            assert {entry.partition for entry in found} == set(awake)
        found += await read_all(outbox, 1)
        assert sorted(entry.id for entry in found) == sorted(ids)


async def opened(trips: Trips) -> RedisOutbox:
    keyring = Keyring([("a", SECRET)], FINGERPRINT)
    outbox = RedisOutbox(None, "w1", keyring, trips=trips)  # type: ignore[arg-type]
    await outbox.open()
    return outbox


def blocked(cluster: Cluster) -> list[tuple[Node, int]]:
    """Clients that wait in a read, and where."""
    listed = [(master, client) for master in cluster.masters for client in master.client.client_list()]
    return [(master, int(client["id"])) for master, client in listed if "b" in client["flags"]]


async def read_all(outbox: RedisOutbox, count: int) -> list[Entry]:
    found: list[Entry] = []
    while len(found) < count:
        found += await outbox.read(8, 200)
    return found


class TestTrips:
    """Commands while their slot is on its way."""

    def test_follow_what_has_moved(self, world: ClusterWorld) -> None:
        @at_once(world)
        async def _(trips: Trips) -> None:
            for n in range(4):
                assert await trips.command("INCRBY", OUTBOX, 2) == 2 * n + 2
                await asyncio.to_thread(world.cluster.move, SLOT, other(world.cluster))

    def test_ask_where_a_key_has_gone_and_don_t_remember_it(self, world: ClusterWorld) -> None:
        @at_once(world)
        async def _(trips: Trips) -> None:
            await trips.command("SET", OUTBOX, "there")
            with world.cluster.moving(SLOT, other(world.cluster)) as move:
                move.take(OUTBOX)
                assert await trips.command("GET", OUTBOX) == b"there"
                # A script that the other master has never seen.
                assert int(await trips.script("now", [OUTBOX], [])) > 0
                assert await trips.command("GET", OUTBOX) == b"there"

    def test_wait_for_keys_that_are_on_both_sides(self, world: ClusterWorld) -> None:
        both = [OUTBOX + ":a", OUTBOX + ":b"]

        @at_once(world)
        async def _(trips: Trips) -> None:
            for key in both:
                await trips.command("SET", key, key)
            with world.cluster.moving(SLOT, other(world.cluster)) as move:
                move.take(both[0])
                asked = asyncio.create_task(trips.command("MGET", *both))
                await until(lambda: refusals(move.source, "TRYAGAIN") > 0)
                assert not asked.done()
            assert await asked == [key.encode() for key in both]

    def test_of_many_commands_each_goes_where_its_slot_is(self, world: ClusterWorld) -> None:
        @at_once(world)
        async def _(trips: Trips) -> None:
            keys = [f"{KEYS.outbox(n % PARTITIONS)}:{n}" for n in range(1000)]
            await asyncio.gather(*(trips.command("SET", key, n) for n, key in enumerate(keys)))
            replies = await asyncio.gather(*(trips.command("GET", key) for key in keys))
            assert [int(reply) for reply in replies] == list(range(1000))

    def test_that_may_have_run_are_not_repeated(self, world: ClusterWorld) -> None:
        silent = world.cluster.owner_of(SLOT)

        @at_once(world)
        async def _(trips: Trips) -> None:
            await trips.command("SET", OUTBOX, 0)
            await lose_patience(trips)
            with silent.frozen():
                asked = asyncio.create_task(trips.command("INCR", OUTBOX))
                with pytest.raises(StoreDown):
                    await asked
            assert await trips.command("GET", OUTBOX) == b"1"  # it was only not heard of

    def test_find_the_cluster_where_a_node_of_the_url_is_dead(self, world: ClusterWorld) -> None:
        url = world.cluster.url.replace("redis+cluster://", "redis+cluster://127.0.0.1:1,")

        @at_once(world, url)
        async def _(trips: Trips) -> None:
            assert await trips.command("SET", OUTBOX, 1) == b"OK"

    def test_raise_where_no_node_answers(self, world: ClusterWorld) -> None:
        @at_once(world, "redis+cluster://127.0.0.1:1,127.0.0.1:2")
        async def _(trips: Trips) -> None:
            for ask in (trips.command, trips.alone):
                with pytest.raises(StoreDown, match="who has a slot"):
                    await ask("GET", OUTBOX)

    @pytest.mark.parametrize(
        ("words", "key"),
        [
            (("EVALSHA", "sha", 2, "k1", "k2", "a"), "k1"),
            (("EVAL", "text", 1, b"k1", "a"), "k1"),
            (("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "BLOCK", 5, "STREAMS", "k1", ">"), "k1"),
            (("XGROUP", "CREATE", "k1", "g", "0", "MKSTREAM"), "k1"),
            (("XADD", "k1", "*", "f", "v"), "k1"),
        ],
    )
    def test_know_the_slot_of_a_command(self, words: tuple[str | bytes | int, ...], key: str) -> None:
        assert slot_of_command(words) == slot_of(key)

    def test_refuse_a_script_without_a_key(self, world: ClusterWorld) -> None:
        @at_once(world)
        async def _(trips: Trips) -> None:
            with pytest.raises(ValueError, match="without a key"):
                await trips.script("now", [], [])


async def lose_patience(trips: Trips) -> None:
    """With the connection that it has to the master of our slot."""
    assert isinstance(trips, ClusterTrips)
    pool = (await trips.cluster.owner(SLOT)).client.connection_pool
    connection = await pool.get_connection()
    connection.socket_timeout = 0.05
    await pool.release(connection)


def refusals(node: Node, kind: str) -> int:
    said = node.client.info("errorstats").get(f"errorstat_{kind}")
    return int(said["count"]) if said else 0
