"""A worker on a cluster: every partition of every master, and everything else that it does there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from otp_service.events import Webhook
from otp_service.keyring import PARTITIONS
from otp_service.ports import Fate, Outcome, Reason, TryResult
from otp_service.store import RedisEventLog, RedisHookQueue
from otp_service.store.reads import GROUP
from otp_service.verifier import ResendRequest
from tests.cluster.cluster_world import ClusterWorld, Heard, number, numbers_of_partitions, world_on
from tests.cluster.nodes import Cluster, slot_of
from tests.faults.hands import by_hand
from tests.reports.report_world import act, hear, row
from tests.world import KEYS, SHOP, until


@pytest.fixture
def world(masters: Cluster) -> Iterator[ClusterWorld]:
    with world_on(masters) as made:
        yield made


def start_in_every_partition(world: ClusterWorld) -> dict[int, str]:
    """Verifications by partition."""
    return {
        partition: world.start(numbers[0]).verification.id for partition, numbers in numbers_of_partitions().items()
    }


def states(world: ClusterWorld, ids: dict[int, str]) -> set[str]:
    return {world.get(id).delivery for id in ids.values()}


def test_delivers_the_sends_of_every_partition(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)

    world.deliver()

    assert sorted(world.gateways[0].codes) == sorted(world.code_of(id) for id in ids.values())
    assert states(world, ids) == {"accepted"}
    assert all(world.check(id, world.code_of(id)).token for id in ids.values())


def test_goes_over_to_the_second_channel(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)
    world.gateways[0].answers = [TryResult(Outcome.REJECTED, Reason.ACCOUNT, "no")] * PARTITIONS

    world.deliver()

    assert states(world, ids) == {"accepted"}
    assert len(world.gateways[1].inbox) >= PARTITIONS - len(world.gateways[0].inbox) + 1


def test_ends_what_is_due_in_every_partition(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)
    for id in ids.values():
        world.check(id, world.code_of(id))

    world.deliver(lambda: not any(world.server.client.zcard(KEYS.due(partition)) for partition in range(PARTITIONS)))

    assert world.gateways[0].inbox == []  # what was approved before it was sent is not sent


def test_takes_over_what_a_dead_worker_left(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)

    @by_hand(world, "dead", "living")
    async def _(dead, living):  # type: ignore[no-untyped-def]
        taken: list[str] = []
        while len(taken) < PARTITIONS:
            taken += [entry.id for entry in await dead.read()]
        left = await living.take_over()

        assert sorted(entry.id for entry in left) == sorted(taken) == sorted(ids.values())
        assert {entry.turn for entry in left} == {2}
        assert await dead.take_over(1 << 30) == []


def test_what_it_holds_is_renewed_for_as_long_as_it_lives(world: ClusterWorld) -> None:
    start_in_every_partition(world)

    @by_hand(world, "slow")
    async def _(slow):  # type: ignore[no-untyped-def]
        entries = []
        while len(entries) < PARTITIONS:
            entries += await slow.read()
        for entry in entries:
            await slow.fall_asleep(entry)
        await slow.outbox.renew(entries)
        idle = [world.server.client.xpending_range(KEYS.outbox(n), "workers", "-", "+", 9) for n in range(PARTITIONS)]

        assert all(one["time_since_delivered"] < 1 << 19 for [one] in idle)


def test_an_entry_that_nobody_can_read_is_put_aside(world: ClusterWorld) -> None:
    world.server.client.xadd(KEYS.outbox(7), {"what": "is this"})

    world.deliver()

    assert world.server.client.xlen(KEYS.dead(7)) == 1


def test_a_report_finds_its_try(world: ClusterWorld) -> None:
    world.reporting = {"primary"}
    ids = [world.start(number(n)).verification.id for n in range(8)]
    world.gateways[0].answers = [TryResult(Outcome.ACCEPTED, gateway_id=f"g{n}") for n in range(8)]
    world.deliver()
    arrived = [message.to for message in world.gateways[0].inbox]

    hear(world, *(row(gateway_id=f"g{n}", to=to) for n, to in enumerate(arrived)))

    assert {world.get(id).delivery for id in ids} == {"delivered"}
    act(world)  # nothing is left to act on
    assert world.server.client.xlen(KEYS.reports()) == 0


def test_a_report_that_comes_too_early_is_put_off_and_brought_back(world: ClusterWorld) -> None:
    hear(world, row(gateway_id="unknown"))

    assert world.server.client.zcard(KEYS.orphans()) == 1
    act(world)


def test_events_of_every_partition_are_queued_for_their_webhook_and_forgotten(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)
    for partition, id in ids.items():
        fields = {"type": "delivery.accepted", "id": id, "client": "shop", "purpose": "login", "at": 1, "send": 1}
        kid = world.keyring.current
        sealed = world.keyring.seal(kid, id, "mask", "+861••••8000")
        world.server.client.xadd(
            KEYS.events(partition), {**fields, "kid": kid, "mask": sealed, "channel": "", "reason": ""}
        )
    webhook = Webhook("shop", "https://shop.example.com/", (b"s" * 32,))

    async def work() -> None:
        client = world.server.make_async()
        log, queue = RedisEventLog(client), RedisHookQueue(client)
        await log.open()
        await log.open()
        await log.emit("channel.opened", {"channel": "primary"})
        await log.read(64)
        again = await log.reclaim(0, 64)
        assert len(again) == PARTITIONS + 1
        await queue.add(webhook, [one.event for one in again if one.event])
        await log.forget(again)
        claimed = await queue.claim(webhook, 64, 1000)
        assert len(claimed) == PARTITIONS + 1
        assert all([await queue.settle(webhook, hook, Fate.DONE) for hook in claimed])
        assert [state.queued for state in await queue.states([webhook])] == [0]
        await client.aclose()

    asyncio.run(work())
    assert not any(world.server.client.xlen(KEYS.events(n)) for n in range(PARTITIONS))


def test_a_stream_that_lost_its_group_is_read_again(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)

    async def work() -> None:
        async with world.working():
            await world.is_idle()
            for outbox in map(KEYS.outbox, ids):
                world.cluster.owner_of(slot_of(outbox)).client.xgroup_destroy(outbox, "workers")
            for id in ids.values():
                world.verifier.resend(SHOP, id, ResendRequest())
            await world.is_idle()

    asyncio.run(work())
    assert len(world.gateways[0].inbox) == 2 * PARTITIONS


def test_every_script_of_a_worker_stays_in_one_slot(masters: Cluster) -> None:
    heard = Heard()
    with world_on(masters, scripts=heard) as world:
        world.start()
        world.deliver()

    assert heard.names >= {"take", "record", "settle", "now", "note", "standing", "beat"}


def test_which_is_stopped_has_worked_on_all_that_it_was_given(world: ClusterWorld) -> None:
    ids = start_in_every_partition(world)

    async def work() -> None:
        async with world.working():
            await until(lambda: world.gateways[0].inbox or world.gateways[1].inbox)

    asyncio.run(work())
    ask = world.server.client
    assert [ask.xpending_range(KEYS.outbox(n), GROUP, "-", "+", 9) for n in ids] == [[]] * PARTITIONS


def test_which_has_nothing_to_do_asks_little(world: ClusterWorld) -> None:
    """A read of each partition that waits, as often as a read ends, and a look at what is due once a second."""
    block_seconds = 0.2

    async def work() -> tuple[dict[str, int], float]:
        worker, outbox = world.worker()
        worker._block_ms = round(block_seconds * 1000)
        running = asyncio.create_task(worker.run())
        await until(lambda: worker.ready)
        before, began = counts(world.cluster), time.monotonic()
        await asyncio.sleep(2 * block_seconds)
        after, seconds = counts(world.cluster), time.monotonic() - began
        worker.stop()
        await running
        await outbox.aclose()
        return {name: count - before.get(name, 0) for name, count in after.items()}, seconds

    asked, seconds = asyncio.run(work())
    reads = PARTITIONS * (seconds / block_seconds + 2)
    assert asked["xreadgroup"] <= reads
    assert sum(asked.values()) <= reads + 8 * PARTITIONS * (seconds + 2)


def counts(cluster: Cluster) -> dict[str, int]:
    """Commands that the masters have run, but those of their own talk and of this test."""
    total: dict[str, int] = {}
    for master in cluster.masters:
        for name, said in master.client.info("commandstats").items():
            total[name.removeprefix("cmdstat_")] = total.get(name.removeprefix("cmdstat_"), 0) + said["calls"]
    return {name: count for name, count in total.items() if name not in ("ping", "info", "role")}
