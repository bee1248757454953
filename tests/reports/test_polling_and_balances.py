"""Who asks gateways: one worker of the installation, and nothing that was handed out is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from otp_service import metrics
from otp_service.delivery.crew import Crew
from otp_service.errors import RecipientBlocked
from otp_service.ports import Balance, Call, Change, ChannelError, Judgement, NoBalance, Reply, StoreDown, Wish
from otp_service.reports import Rounds, Watched, wish
from otp_service.verification import Delivery
from otp_service.wiring.announcing import Announcer
from tests.reports.report_world import Desk, TalkingGateway, act, at_a_desk, row, sent
from tests.world import ACCEPTED, BANK, NUMBER, SHOP, World


def test_a_poll_writes_down_what_it_is_given_before_anybody_acts(world: World) -> None:
    world.reporting = {"primary"}
    gateway, seen = TalkingGateway(said=[[row()]]), sent(world)
    at_a_desk(world, lambda desk: desk.poller(gateway).step())
    assert world.get(seen.id).delivery is Delivery.ACCEPTED
    assert world.server.client.xlen("otp:{reports}:heard") == 1
    act(world)
    assert world.get(seen.id).delivery is Delivery.DELIVERED


def test_one_worker_asks_and_another_takes_over_when_it_has_left(world: World) -> None:
    first, second = TalkingGateway(), TalkingGateway()

    async def work(desk: Desk) -> None:
        other = desk.poller(second)
        one = desk.poller(first)
        other._holder = "w2"
        await one.step()
        await other.step()
        assert (first.asked, second.asked) == (1, 0)
        await one.leave()
        await other.step()
        assert (first.asked, second.asked) == (1, 1)

    at_a_desk(world, work)


def test_a_channel_whose_rows_are_each_worker_s_own_is_asked_by_each(world: World) -> None:
    first, second = TalkingGateway(), TalkingGateway()

    async def work(desk: Desk) -> None:
        for gateway in (first, second):
            await desk.poller(gateway, alone=False).step()

    at_a_desk(world, work)
    assert (first.asked, second.asked) == (1, 1)


def test_it_asks_often_while_something_is_expected_and_once_a_minute_otherwise(world: World) -> None:
    world.freeze_clock()
    gateway = TalkingGateway()

    async def work(desk: Desk) -> None:
        poller = desk.poller(gateway)
        for _ in range(3):
            assert await poller.step() == 5.0
        assert gateway.asked == 1
        poller._asked -= 60
        await poller.step()
        assert gateway.asked == 2
        await desk.standings.note(Call("primary", Judgement.GOOD, ACCEPTED, 10))
        for _ in range(3):
            await poller.step()
        assert gateway.asked == 5
        world.move_clock(901)
        await poller.step()
        assert gateway.asked == 5

    at_a_desk(world, work)


def test_what_redis_does_not_take_is_written_down_later(world: World) -> None:
    gateway = TalkingGateway(said=[[row()]])

    async def work(desk: Desk) -> None:
        poller, keep = desk.poller(gateway), desk.log.keep

        async def lost(rows: Any) -> None:
            raise StoreDown("ConnectionError")

        desk.log.keep = lost  # type: ignore[method-assign]
        with pytest.raises(StoreDown):
            await poller._ask("reports", poller._reports)
        desk.log.keep = keep  # type: ignore[method-assign]
        await poller.leave()

    at_a_desk(world, work)
    assert world.server.client.xlen("otp:{reports}:heard") == 1


def test_a_gateway_that_gives_no_reports_is_said_to_once_a_minute(world: World) -> None:
    gateway = TalkingGateway(said=[ChannelError("密码错了")] * 3)

    async def work(desk: Desk) -> None:
        poller = desk.poller(gateway, alone=False)
        for _ in range(3):
            await poller.step()

    with capture_logs() as logs:
        at_a_desk(world, work)
    assert [line["error"] for line in logs] == ["密码错了"]


def untold(world: World, channel: str = "primary") -> list[tuple[str, str]]:
    [seen] = world.operations.look([channel]).channels
    assert all(one.since > 0 for one in seen.untold)
    return [(one.what, one.words) for one in seen.untold]


def test_an_operator_sees_that_no_reports_are_told_until_they_are(world: World) -> None:
    """Masked, as all that gateways say."""
    gateway = TalkingGateway(said=[ChannelError("密码错了 13800138000"), [], ChannelError("密码错了")])
    shown = []

    async def work(desk: Desk) -> None:
        poller = desk.poller(gateway, alone=False)
        for _ in range(3):
            await poller.step()
            shown.append(untold(world))

    at_a_desk(world, work)
    assert shown == [[("reports", "密码错了 ****")], [], [("reports", "密码错了")]]


def test_what_another_worker_found_meanwhile_is_not_taken_for_known(world: World) -> None:
    """Who has lost the lease says anew what it finds when it has it again."""
    gateway = TalkingGateway(said=[ChannelError("no"), [], ChannelError("no")])

    async def work(desk: Desk) -> None:
        first, second = desk.poller(gateway, interval=0.0), replace(desk, holder="w2").poller(gateway, interval=0.0)
        await first.step()
        await first.leave()
        await second.step()
        assert untold(world) == []
        await first.step()
        await second.leave()
        first._asked = float("-inf")
        await first.step()
        assert untold(world) == [("reports", "no")]

    at_a_desk(world, work)


# --- replies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["退订", " 退订回T ", "T", "td", "N", "ｎ", "取消", "Stop!", "UNSUBSCRIBE", "quit.", "退 订"]
)
def test_a_word_that_asks_to_stop_is_known_however_it_is_written(text: str) -> None:
    assert wish(text) is Wish.STOP


@pytest.mark.parametrize(("text", "wanted"), [("START", Wish.START), ("恢复", Wish.START), ("yes", Wish.START)])
def test_a_word_that_asks_to_start_again_is_known(text: str, wanted: Wish) -> None:
    assert wish(text) is wanted


@pytest.mark.parametrize("text", ["", "你好", "don't stop", "123456", "T" * 33, "no", "谁发的?"])
def test_any_other_reply_is_nobody_s_wish(text: str) -> None:
    assert wish(text) is None


def reply(world: World, *said: Reply, **ear: Any) -> None:
    async def work(desk: Desk) -> None:
        gateway = TalkingGateway(replied=[said])
        await desk.poller(gateway, ear=desk.ear(**ear)).step()
        await desk.actor().step()

    at_a_desk(world, work)


def blocked(world: World) -> set[str]:
    found = set()
    for client in (SHOP, BANK):
        try:
            world.start(client=client, purpose="signup")
        except RecipientBlocked:
            found.add(client.name)
    return found


def test_stop_is_for_the_client_whose_message_was_answered(world: World) -> None:
    world.reporting = {"primary"}
    sent(world)
    reply(world, Reply(NUMBER, "退订", "93390617"))
    assert blocked(world) == {"shop"}


def test_stop_to_a_port_number_is_for_whose_it_is(world: World) -> None:
    reply(world, Reply(NUMBER, "T", extno="106901"), extnos={"shop": "02", "bank/login": "01"})
    assert blocked(world) == {"bank"}


def test_stop_of_which_nothing_else_is_known_is_for_all_clients_of_the_channel(world: World) -> None:
    reply(world, Reply(NUMBER, "TD"))
    assert blocked(world) == {"shop", "bank"}


def test_t57_a_reply_that_names_another_s_message_stops_nothing_of_the_other(world: World) -> None:
    world.reporting = {"primary"}
    sent(world)
    reply(world, Reply("+8613912345678", "TD", "93390617"))
    assert blocked(world) == set()


def test_start_lifts_it(world: World) -> None:
    reply(world, Reply(NUMBER, "STOP"))
    reply(world, Reply(NUMBER, "恢复"))
    assert blocked(world) == set()


def test_a_reply_is_counted_and_its_text_and_number_are_nowhere(world: World) -> None:
    with capture_logs() as logs:
        reply(world, Reply(NUMBER, "谁发的"), Reply(NUMBER, "STOP"))
    assert "13800138000" not in str(logs)
    assert "谁发的" not in str(world.server.client.keys("*")) + str(logs)
    assert metrics.REPLIES.labels("primary", "other")._value.get() >= 1


# --- balances ---------------------------------------------------------------------------------------------------------


def told(world: World) -> list[bytes]:
    return [fields[b"type"] for _, fields in world.server.client.xrange("otp:events")]


def test_a_balance_is_shown_by_all_and_told_once_a_crossing(world: World) -> None:
    gateway = TalkingGateway(left=Balance("100"))

    async def work(desk: Desk) -> None:
        for left in ("100", "9", "8", "12.5", "-3"):
            gateway.left = Balance(left)
            await desk.watch(Watched(gateway, 10.0)).step()

    with capture_logs():
        at_a_desk(world, work)
    assert told(world) == [b"balance.low", b"balance.low"]
    kept = world.server.client.hgetall("otp:c:{primary}")
    assert (kept[b"balance"], kept[b"balance_low"]) == (b"-3", b"1")
    assert int(kept[b"balance_at"]) > 0
    assert metrics.CHANNEL_BALANCE.labels("primary")._value.get() == -3


def test_one_worker_asks_for_balances_and_the_others_show_what_it_heard(world: World) -> None:
    gateway, others = TalkingGateway(left=Balance("7")), TalkingGateway()
    at_a_desk(world, lambda desk: desk.watch(Watched(gateway)).step())
    metrics.CHANNEL_BALANCE.labels("primary").set(0)
    at_a_desk(world, lambda desk: desk.watch(Watched(others)).step(), "w2")
    assert (gateway.asked, others.asked) == (1, 0)
    assert metrics.CHANNEL_BALANCE.labels("primary")._value.get() == 7


@pytest.mark.parametrize("error", [NoBalance("none"), ChannelError("no")])
def test_a_channel_without_a_balance_hinders_none(world: World, error: ChannelError) -> None:
    mute, other = TalkingGateway("mute", left=error), TalkingGateway("other", left=Balance("5"))
    at_a_desk(world, lambda desk: desk.watch(Watched(mute), Watched(other)).step())
    assert world.server.client.hget("otp:c:{other}", "balance") == b"5"
    # One that has no such question is no trouble.
    assert untold(world, "mute") == ([] if isinstance(error, NoBalance) else [("balance", "no")])
    assert untold(world, "other") == []


def test_a_channel_that_opens_or_closes_is_told_without_keeping_its_send_waiting(world: World) -> None:
    async def work(desk: Desk) -> None:
        announcer = Announcer(desk.events)
        for change in (Change.OPENED, Change.CLOSED):
            announcer("primary", change)
            await announcer.aclose()

    at_a_desk(world, work)
    assert told(world) == [b"channel.opened", b"channel.closed"]


# --- the crew ---------------------------------------------------------------------------------------------------------


def test_a_fault_in_one_step_of_the_worker_ends_none_of_its_loops(world: World) -> None:
    async def work() -> None:
        worker, outbox = world.worker()
        wake, faults, fell = outbox.wake, [ValueError("a fault of ours")], asyncio.Event()

        async def falls(count: int) -> Any:
            if faults:
                fell.set()
                raise faults.pop()
            return await wake(count)

        outbox.wake = falls  # type: ignore[method-assign]
        running = asyncio.create_task(worker.run())
        world.start()
        await world.is_idle()
        await fell.wait()
        worker.stop()
        assert await running
        await outbox.aclose()

    with capture_logs() as logs:
        asyncio.run(work())
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a step of the worker failed"]
    assert len(world.gateways[0].inbox) == 1


def test_a_worker_that_is_cancelled_leaves_no_loop_running(real_world: World) -> None:
    """On a real server: fakeredis swallows a cancel that comes while it blocks."""
    world = real_world

    async def work() -> set[asyncio.Task[Any]]:
        worker, outbox = world.worker()
        running = asyncio.create_task(worker.run())
        while not worker.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        # A cancel that comes within a call of Redis may be lost: whoever means it says it again.
        for _ in range(200):
            running.cancel()
            if (await asyncio.wait({running}, timeout=0.1))[0]:
                break
        _, unfinished = await asyncio.wait(left, timeout=20)
        await outbox.aclose()
        return unfinished

    assert asyncio.run(work()) == set()


class Fragile:
    """Falls twice, then works until it is stopped."""

    ready = True

    def __init__(self, falls: int = 0) -> None:
        self.falls = falls
        self.runs = 0
        self.stopped = asyncio.Event()
        self.works = asyncio.Event()

    def stop(self) -> None:
        self.stopped.set()

    async def run(self, drain_seconds: float) -> bool:
        self.runs += 1
        if self.runs <= self.falls:
            raise RuntimeError("a fault")
        self.works.set()
        await self.stopped.wait()
        return True


def test_a_member_that_falls_is_begun_anew_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otp_service.delivery.crew.AGAIN_SECONDS", 0.01)

    async def run() -> tuple[bool, int, int]:
        leader, other = Fragile(), Fragile(falls=2)
        crew = Crew(leader, {"other": other})
        running = asyncio.create_task(crew.run(1))
        await other.works.wait()
        crew.stop()
        return await running, leader.runs, other.runs

    with capture_logs() as logs:
        assert asyncio.run(run()) == (True, 1, 3)
    assert [line["part"] for line in logs] == ["other", "other"]


def test_a_step_that_fails_is_done_again_and_one_under_way_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otp_service.reports.rounds.AFTER_A_FAULT_SECONDS", 0.01)
    done: list[str] = []

    async def run() -> bool:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def step() -> float:
            done.append("began")
            if len(done) < 3:
                raise [StoreDown("x"), ValueError("13800138000")][len(done) - 1]
            began.set()
            await go_on.wait()
            done.append("ended")
            return 60.0

        async def leave() -> None:
            done.append("left")

        rounds = Rounds("r", step, leave)
        running = asyncio.create_task(rounds.run(5))
        await began.wait()
        rounds.stop()
        go_on.set()
        return await running

    with capture_logs() as logs:
        assert asyncio.run(run())
    assert done == ["began", "began", "began", "ended", "left"]
    assert "13800138000" not in str(logs)
