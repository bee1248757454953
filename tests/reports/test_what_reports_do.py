"""F28 and T57: a report settles its try once, whenever and however often it comes, and nothing else ever does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from otp_service.policy import Limits
from otp_service.ports import Outcome, Reason, TryResult
from otp_service.reports.actor import GAPS
from otp_service.routes import ChannelRule
from otp_service.store.tries import named
from otp_service.verification import Delivery, Status
from tests.reports.report_world import Desk, act, at_a_desk, counted, hear, row, sent
from tests.world import FakeGateway, Server, World


@pytest.fixture
def world(server: Server) -> World:
    world = World(server, Limits(recipient=()))
    world.reporting = {"primary", "backup"}
    return world


def state(world: World, id: str) -> tuple[str, list[str | None]]:
    seen = world.get(id)
    return seen.delivery, [one.report for one in seen.tries]


def counting(*ends: str) -> Callable[[], list[float]]:
    before = [counted(end) for end in ends]
    return lambda: [counted(end) - old for end, old in zip(ends, before, strict=True)]


def test_a_report_says_that_it_arrived_and_speaks_for_its_channel(world: World) -> None:
    seen, news = sent(world), counting("delivered")
    hear(world, row())
    assert state(world, seen.id) == (Delivery.DELIVERED, ["delivered"])
    assert news() == [1]
    standing = at_a_desk(world, lambda desk: desk.standings.look(["primary"])).standings["primary"]
    assert (standing.reported, standing.delivered) == (pytest.approx(1), pytest.approx(1))


def test_an_unknown_try_is_settled_by_its_report(world: World) -> None:
    world.gateways[0].answers = [TryResult(Outcome.UNKNOWN, Reason.ANSWER, gateway_id="77")]
    world.gateways[1].answers = [TryResult(Outcome.REJECTED, Reason.ACCOUNT)]
    id = world.start().verification.id
    world.deliver()
    assert world.get(id).delivery is Delivery.TRYING
    hear(world, row(gateway_id="77"))
    assert world.get(id).delivery is Delivery.DELIVERED


def test_an_unknown_try_that_did_not_arrive_is_undelivered_where_no_other_channel_is_left(world: World) -> None:
    world.gateways[0].answers = [TryResult(Outcome.UNKNOWN, Reason.ANSWER, gateway_id="77")]
    world.gateways[1].answers = [TryResult(Outcome.REJECTED, Reason.ACCOUNT)]
    id = world.start().verification.id
    world.deliver()
    hear(world, row(delivered=False, gateway_id="77"))
    assert state(world, id) == (Delivery.UNDELIVERED, ["undelivered", None])


def test_a_send_is_undelivered_when_its_last_channel_refuses_after_the_report_of_the_first(world: World) -> None:
    world.gateways[0].answers = [TryResult(Outcome.UNKNOWN, Reason.ANSWER, gateway_id="77")]
    id = world.start().verification.id

    async def refuses() -> TryResult:
        await asyncio.to_thread(hear, world, row(delivered=False, gateway_id="77"))
        assert world.get(id).delivery is Delivery.TRYING
        return TryResult(Outcome.REJECTED, Reason.ACCOUNT)

    world.gateways[1].answers = [refuses]
    world.deliver()
    assert state(world, id) == (Delivery.UNDELIVERED, ["undelivered", None])


def test_hold_waits_no_longer_for_what_a_report_calls_undelivered(world: World) -> None:
    world.on_unknown = "hold"
    world.gateways[0].answers = [TryResult(Outcome.UNKNOWN, Reason.ANSWER, gateway_id="77")]
    id = world.start().verification.id
    world.deliver()
    assert (world.gateways[1].inbox, world.get(id).delivery) == ([], Delivery.TRYING)
    hear(world, row(delivered=False, gateway_id="77"))
    world.deliver()
    assert world.gateways[0].codes == world.gateways[1].codes
    assert state(world, id) == (Delivery.ACCEPTED, ["undelivered", None])


def test_what_was_not_delivered_is_tried_by_one_more_channel_with_the_same_code_and_only_once(world: World) -> None:
    world.gateways[1].answers = [TryResult(Outcome.ACCEPTED, gateway_id="78")]
    seen = sent(world)
    hear(world, row(delivered=False))
    world.deliver()
    assert world.gateways[0].codes == world.gateways[1].codes
    assert [one.channel for one in world.get(seen.id).tries] == ["primary", "backup"]
    hear(world, row(delivered=False, gateway_id="78"), channel="backup")
    world.deliver()
    assert state(world, seen.id) == (Delivery.UNDELIVERED, ["undelivered", "undelivered"])
    assert [len(gateway.inbox) for gateway in world.gateways] == [1, 1]


def test_of_three_channels_a_report_brings_in_one_and_no_third(world: World) -> None:
    world.gateways.append(FakeGateway("third"))
    world.with_rules(channels=(*world.rules.channels, ChannelRule("third", priority=2)))
    world.gateways[1].answers = [TryResult(Outcome.ACCEPTED, gateway_id="78")]
    seen = sent(world)
    hear(world, row(delivered=False))
    world.deliver()
    hear(world, row(delivered=False, gateway_id="78"), channel="backup")
    world.deliver()
    assert state(world, seen.id) == (Delivery.UNDELIVERED, ["undelivered", "undelivered"])
    assert [len(gateway.inbox) for gateway in world.gateways] == [1, 1, 0]


def test_f28_a_report_that_comes_before_the_answer_waits_for_it(world: World) -> None:
    news = counting("delivered", "orphan")
    # Else a slow machine looks a second time before the answer is there.
    world.freeze_clock()
    hear(world, row())
    assert world.server.client.zcard("otp:{reports}:orphans") == 1
    seen = sent(world)
    act(world)
    assert world.get(seen.id).delivery is Delivery.ACCEPTED
    world.move_clock(GAPS[0] + 0.1)
    act(world)
    assert world.get(seen.id).delivery is Delivery.DELIVERED
    assert news() == [1, 0]


def test_f28_a_report_that_nobody_ever_asked_for_is_given_up_after_four_minutes(world: World) -> None:
    news = counting("orphan")
    assert sum(GAPS) >= 240
    hear(world, row())
    for gap in GAPS:
        assert news() == [0]
        world.move_clock(gap + 0.1)
        act(world)
    assert news() == [1]
    assert world.server.client.zcard("otp:{reports}:orphans") == world.server.client.xlen("otp:{reports}:heard") == 0


def test_f28_a_report_that_comes_twice_counts_once(world: World) -> None:
    seen, news = sent(world), counting("delivered", "duplicate")
    hear(world, row(), row())
    hear(world, row())
    assert state(world, seen.id) == (Delivery.DELIVERED, ["delivered"])
    assert news() == [1, 2]
    standing = at_a_desk(world, lambda desk: desk.standings.look(["primary"])).standings["primary"]
    assert standing.reported == pytest.approx(1)


@pytest.mark.parametrize("first", [True, False])
def test_f28_the_first_of_two_contradictory_reports_counts(world: World, first: bool) -> None:
    """T57: DELIVERED → FAILED and the reverse are no news, and somebody is told."""
    world.with_rules(channels=world.rules.channels[:1])
    seen, news = sent(world), counting("contradiction")
    hear(world, row(delivered=first))
    with capture_logs() as logs:
        hear(world, row(delivered=not first))
    ends = (Delivery.DELIVERED, ["delivered"]) if first else (Delivery.UNDELIVERED, ["undelivered"])
    assert state(world, seen.id) == ends
    assert news() == [1]
    [line] = [line for line in logs if line["log_level"] == "warning"]
    assert (line["end"], line["channel"], line["id"]) == ("contradiction", "primary", seen.id)


def test_f28_reports_of_two_sends_may_come_in_any_order(world: World) -> None:
    world.gateways[0].answers = [TryResult(Outcome.ACCEPTED, gateway_id=name) for name in ("first", "second")]
    seen = sent(world)
    world.move_clock(61)
    world.start()
    world.deliver()
    hear(world, row(gateway_id="second"))
    assert world.get(seen.id).delivery is Delivery.DELIVERED
    hear(world, row(delivered=False, gateway_id="first"))
    assert state(world, seen.id) == (Delivery.DELIVERED, ["undelivered", "delivered"])


def test_f28_a_report_after_the_end_is_kept_beside_its_try_and_moves_nothing(world: World) -> None:
    seen, news = sent(world), counting("late")
    world.check(seen.id, world.code_of(seen.id))
    hear(world, row())
    after = world.get(seen.id)
    assert (after.status, after.delivery) == (Status.APPROVED, Delivery.UNCONFIRMED)
    assert [one.report for one in after.tries] == ["delivered"]
    assert news() == [1]


def test_f28_a_report_72_hours_late_finds_its_try_although_the_verification_is_gone(world: World) -> None:
    seen, news = sent(world), counting("late", "orphan")
    world.check(seen.id, world.code_of(seen.id))
    client = world.server.client
    client.delete(*client.keys("*:v:*"))
    hear(world, row())
    [tries] = client.keys("*:t:*")
    assert named(client.lindex(tries, 0))["report"] == "delivered"
    client.delete(tries)
    hear(world, row())
    assert news() == [1, 1]


def test_t57_a_report_of_another_number_changes_nothing_and_is_not_tried_again(world: World) -> None:
    """T57."""
    seen, news = sent(world), counting("orphan")
    hear(world, row(to="+8613912345678"))
    assert state(world, seen.id) == (Delivery.ACCEPTED, [None])
    assert news() == [1]
    assert world.server.client.zcard("otp:{reports}:orphans") == 0


def test_t57_a_report_of_another_channel_changes_nothing(world: World) -> None:
    """T57."""
    seen = sent(world)
    hear(world, row(), channel="backup")
    assert state(world, seen.id) == (Delivery.ACCEPTED, [None])


def test_a_row_that_was_kept_and_not_acted_on_is_taken_over(world: World) -> None:
    """The worker dies between the two: the row pends, and acting on it again is a duplicate at the worst."""
    seen = sent(world)

    async def dies(desk: Desk) -> None:
        await desk.log.open()
        await desk.log.keep(desk.ear().reports([row()]))
        assert len(await desk.log.read(10)) == 1

    async def takes_over(desk: Desk) -> None:
        await desk.actor().act(await desk.log.reclaim(0, 10))
        assert list(await desk.log.reclaim(0, 10)) == []

    at_a_desk(world, dies)
    at_a_desk(world, takes_over, "w2")
    assert world.get(seen.id).delivery is Delivery.DELIVERED


def test_acting_twice_on_one_row_changes_nothing(world: World) -> None:
    seen, news = sent(world), counting("delivered", "duplicate")

    async def twice(desk: Desk) -> None:
        await desk.log.open()
        await desk.log.keep(desk.ear().reports([row()]))
        kept = await desk.log.read(10)
        await desk.actor().act(kept)
        await desk.actor().act(kept)

    at_a_desk(world, twice)
    assert state(world, seen.id) == (Delivery.DELIVERED, ["delivered"])
    assert news() == [1, 1]


def test_rows_at_rest_hold_no_number_no_id_and_no_code(world: World) -> None:
    async def keep(desk: Desk) -> None:
        await desk.log.keep(desk.ear().reports([row(words="DELIVRD 13800138000 to 123456")]))

    at_a_desk(world, keep)
    kept = str(world.server.client.xrange("otp:{reports}:heard"))
    assert "DELIVRD" in kept
    assert not any(secret in kept for secret in ("13800138000", "93390617", "123456"))


def test_a_row_that_nobody_can_read_stops_nobody(world: World) -> None:
    seen = sent(world)
    world.server.client.xadd("otp:{reports}:heard", {"row": "?"})
    world.server.client.xadd("otp:{reports}:heard", {"other": "1"})
    hear(world, row())
    assert world.get(seen.id).delivery is Delivery.DELIVERED
    assert world.server.client.xlen("otp:{reports}:heard") == 0
