"""What an operator sees of the installation, read from Redis by name."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from otp_service.keyring import VerificationId
from otp_service.policy import Limits, Window
from otp_service.ports import Installation, Origin, Reason, RecipientLimits, StoreDown, TooManyPauses, WorkerSign
from otp_service.store import RedisOperations, RedisPresence, Trips, connect
from otp_service.store.figures import SPAN_SECONDS, in_the_last_hour, spans
from otp_service.store.operations import MOST_PAUSES
from otp_service.verification import Delivery
from tests.world import MOVABLE, NUMBER, World, refused, until

HOUR = 3_600_000


def look(world: World) -> Installation:
    return world.operations.look([gateway.name for gateway in world.gateways])


def wake(world: World) -> None:
    """Queue what is due, while no worker takes it."""

    async def work() -> None:
        _, outbox = world.worker()
        await outbox.wake(64)
        await outbox.aclose()

    asyncio.run(work())


def test_an_empty_installation_shows_nothing_and_fails_nowhere(world: World) -> None:
    seen = look(world)
    assert (seen.workers, seen.pauses) == ([], [])
    assert (seen.queue.depth, seen.queue.oldest_ms, seen.queue.later, seen.queue.dead) == (0, 0, 0, 0)
    assert [(one.name, one.p50_ms, one.words) for one in seen.channels] == [("primary", None, ""), ("backup", None, "")]


def test_the_queue_shows_how_many_wait_and_since_when(world: World) -> None:
    world.freeze_clock()
    world.start()
    world.move_clock(40)
    world.start("+8613912345678")
    queue = look(world).queue
    assert (queue.depth, queue.oldest_ms, queue.later) == (2, 40_000, 0)


def test_a_send_that_is_put_off_keeps_its_age(world: World) -> None:
    """It is queued anew each time; the person has waited all the while."""
    world.start()
    world.operations.pause_sends("region:CN", HOUR, "a@b")
    for _ in range(2):
        world.deliver()
        queue = look(world).queue
        assert (queue.depth, queue.later) == (0, 1)
        world.move_clock(40)
    wake(world)
    queue = look(world).queue
    assert (queue.depth, queue.later) == (1, 0)
    assert queue.oldest_ms >= 80_000


def test_a_send_that_met_paused_channels_leaves_soon_after_a_resume(world: World) -> None:
    """An operator may end a pause at any time: the send looks again, and is not given up for the hour that was said."""
    id = world.start().verification.id
    for gateway in world.gateways:
        world.operations.pause_channel(gateway.name, HOUR, "a@b")

    world.deliver()
    assert look(world).queue.later == 1
    for gateway in world.gateways:
        world.operations.resume_channel(gateway.name)
    world.move_clock(9)
    world.deliver()
    assert world.get(id).delivery is Delivery.ACCEPTED


def test_workers_are_shown_while_they_live_and_no_longer(world: World) -> None:
    """One that stops in order is gone at once; one that dies, after ten seconds."""

    async def live() -> None:
        client = world.server.make_async()
        presence = RedisPresence(Trips(client, MOVABLE))
        await presence.beat(WorkerSign("host-1-a", "1.0", 5000, 2, 7))
        await presence.beat(WorkerSign("host-2-b", "1.0", 0, 0, 0))
        await presence.leave("host-2-b")
        await client.aclose()

    asyncio.run(live())
    [sign] = look(world).workers
    assert replace(sign, seen=0) == WorkerSign("host-1-a", "1.0", 5000, 2, 7)
    assert world.server.client.pttl("otp:worker:host-1-a") <= 10_000
    world.move_clock(11)
    assert look(world).workers == []


def test_a_dead_worker_is_dropped_by_the_next_that_speaks(world: World) -> None:
    """The set of workers has no TTL; so it is as large as the fleet."""

    async def live() -> None:
        client = world.server.make_async()
        presence = RedisPresence(Trips(client, MOVABLE))
        await presence.beat(WorkerSign("dead", "1.0", 0, 0, 0))
        world.move_clock(11)
        await presence.beat(WorkerSign("alive", "1.0", 0, 0, 0))
        await client.aclose()

    asyncio.run(live())
    assert world.server.client.zrange("otp:workers", 0, -1) == [b"alive"]


def test_a_running_worker_says_what_it_does_and_takes_its_leave(world: World) -> None:
    world.start()

    async def work() -> None:
        async with world.working():
            await world.is_idle()
            await until(lambda: look(world).workers)
            assert [one.name for one in look(world).workers] == ["w1"]

    asyncio.run(work())
    assert look(world).workers == []


def test_a_channel_shows_its_outcomes_and_the_gateways_words(world: World) -> None:
    world.gateways[0].answers = [refused(Reason.BALANCE)]
    world.start()
    world.deliver()
    primary, backup = look(world).channels
    assert (primary.outcomes, backup.outcomes) == ({"rejected:balance": 1}, {"accepted": 1})
    assert primary.words == "no"
    assert primary.words_at > 0
    assert primary.p50_ms is not None


def test_a_channel_shows_what_was_said_of_its_balance(world: World) -> None:
    world.server.client.hset("otp:c:{backup}", mapping={"balance": "12.5", "balance_at": 1000})
    assert [(one.balance, one.balance_at) for one in look(world).channels] == [("", 0), ("12.5", 1000)]


@pytest.mark.parametrize(
    ("steps", "median", "high"),
    [({0: 10}, 1, 1), ({14: 95, 20: 5}, 108, 108), ({14: 94, 20: 6}, 108, 861), ({}, None, None)],
)
def test_latencies_are_told_to_a_fifth(steps: dict[int, int], median: int | None, high: int | None) -> None:
    """A step is half a power of two: 2^7 ms lies in step 14, 2^10 in step 20."""
    figures = [{f"ms:{step}".encode(): str(count).encode() for step, count in steps.items()}]
    assert in_the_last_hour(figures) == ({}, median, high)


def test_the_last_hour_is_six_spans_the_running_one_included() -> None:
    assert spans(10 * SPAN_SECONDS + 1) == [10, 9, 8, 7, 6, 5]
    assert in_the_last_hour([{b"accepted:": b"2"}, {b"accepted:": b"3", b"unknown:answer:unmapped": b"1"}])[0] == {
        "accepted": 5,
        "unknown:answer:unmapped": 1,
    }


class TestPauses:
    def test_show_what_is_held_back_by_whom_and_until_when(self, world: World) -> None:
        world.freeze_clock()
        now = world.store.now()
        world.operations.pause_sends("prefix:+86139", HOUR, "ann@ops")
        world.operations.pause_channel("backup", HOUR, "bob@ops")
        shown = [(one.what, one.until - now, one.since - now, one.by) for one in look(world).pauses]
        assert shown == [("prefix:+86139", HOUR, 0, "ann@ops"), ("channel:backup", HOUR, 0, "bob@ops")]

    def test_end_by_themselves_by_the_clock_of_redis(self, world: World) -> None:
        world.operations.pause_sends("sends", HOUR, "ann@ops")
        world.operations.pause_channel("backup", HOUR, "ann@ops")
        assert look(world).holds_everything
        world.move_clock(3601)
        assert look(world).pauses == []

    def test_end_when_told_and_say_which(self, world: World) -> None:
        for what in ("sends", "region:CN", "prefix:+1"):
            world.operations.pause_sends(what, HOUR, "ann@ops")
        world.operations.pause_channel("backup", HOUR, "ann@ops")
        assert world.operations.resume_sends("region:CN") == ["region:CN"]
        assert world.operations.resume_sends("region:CN") == []
        assert world.operations.resume_sends("") == ["prefix:+1", "sends"]
        assert [world.operations.resume_channel("backup") for _ in range(2)] == [True, False]
        assert look(world).pauses == []

    def test_are_bounded_and_the_ended_make_room(self, world: World) -> None:
        """The hash has no TTL: it holds what operators wrote, and no more than a bound."""
        for n in range(MOST_PAUSES):
            world.operations.pause_sends(f"prefix:+{n}", HOUR, "ann@ops")
        with pytest.raises(TooManyPauses):
            world.operations.pause_sends("region:CN", HOUR, "ann@ops")
        world.operations.pause_sends("prefix:+1", HOUR, "ann@ops")
        world.move_clock(3601)
        world.operations.pause_sends("region:CN", HOUR, "ann@ops")
        assert world.server.client.hkeys("otp:pauses") == [b"region:CN"]

    def test_of_before_are_read_as_well(self, world: World) -> None:
        """A hash that holds the moment alone."""
        world.server.client.hset("otp:pauses", "region:CN", world.store.now() + HOUR)
        [pause] = look(world).pauses
        assert (pause.what, pause.since, pause.by) == ("region:CN", 0, "")


class TestHindrances:
    def origin(self, world: World) -> Origin:
        partition = world.keyring.partition(NUMBER[:-4])
        recipient, prefix = world.keyring.recipient(NUMBER), world.keyring.prefix(NUMBER[:-4])
        return Origin("shop", partition, recipient, world.keyring.owner("shop", recipient), prefix)

    def test_name_every_limit_that_is_full_and_when_it_has_room(self, world: World) -> None:
        windows = (Window(1, 60), Window(2, 3600))
        world.with_rules(
            limits=Limits(recipient=windows, failures=(Window(1, 60),)),
            channels=tuple(replace(rule, recipient_windows=windows) for rule in world.rules.channels),
        )
        world.freeze_clock()
        id = world.start().verification.id
        with pytest.raises(Exception, match="wrong"):
            world.check(id, world.wrong_code(id))
        world.deliver()
        world.store.suppress(self.origin(world).partition, self.origin(world).owner)
        limits = RecipientLimits(windows, (Window(1, 60),), channels={"primary": windows, "backup": windows})
        now, found = world.operations.hindrances(self.origin(world), limits)
        told = {one.limit: one.until - now for one in found}
        assert told == {"suppressed": -now, "recipient": 60_000, "failures": 60_000, "channel:primary": 60_000}
        world.move_clock(60)
        assert [one.limit for one in world.operations.hindrances(self.origin(world), limits)[1]] == ["suppressed"]

    def test_are_found_by_an_id_without_the_number(self, world: World) -> None:
        id = world.keyring.parse_id(world.start().verification.id)
        assert id is not None
        assert world.operations.client_of(id) == "shop"
        origin = self.origin(world)
        assert (id.partition, id.recipient, id.prefix) == (origin.partition, origin.recipient, origin.prefix)

    def test_of_an_unknown_id_are_none(self, world: World) -> None:
        assert world.operations.client_of(VerificationId("ver_" + "0" * 34, "A" * 16, 0, "0" * 16, "0" * 10)) is None


def test_without_redis_everything_says_so() -> None:
    operations = RedisOperations(connect("redis://127.0.0.1:1/0"))
    for ask in (
        lambda: operations.look(["primary"]),
        lambda: operations.pause_channel("primary", 1, "a@b"),
        lambda: operations.resume_sends(""),
    ):
        with pytest.raises(StoreDown):
            ask()


def test_looking_asks_by_name_only(real_world: World) -> None:
    """No SCAN, no KEYS: a large installation is looked at as cheaply as a small one."""
    client = real_world.server.client
    client.config_resetstat()
    look(real_world)
    used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert not used & {"scan", "keys", "hscan", "zscan"}
