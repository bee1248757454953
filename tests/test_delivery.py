"""What becomes of a send: fail-over, outcomes, ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from otp_service.ports import Message, Outcome, Reason, TryResult
from otp_service.recipient import parse
from otp_service.verification import Delivery, Status
from tests.world import NUMBER, SHOP, World, fields_of, refused, silent, until

UNKNOWN = TryResult(Outcome.UNKNOWN, Reason.ANSWER)
LATER = TryResult(Outcome.RETRYABLE, Reason.NETWORK)


def test_the_sms_that_a_worker_sends_holds_the_code_that_is_accepted(world: World) -> None:
    started = world.start()
    world.deliver()
    [message] = world.gateways[0].inbox
    assert message.to == NUMBER
    [code] = world.gateways[0].codes
    assert message.text == f"【今信科技】您的验证码是{code}，5分钟内有效，请勿告知他人。"
    seen = world.get(started.verification.id)
    assert (seen.delivery, [t.outcome for t in seen.tries]) == (Delivery.ACCEPTED, ["accepted"])
    assert world.check(started.verification.id, code).verification.status is Status.APPROVED
    assert world.get(started.verification.id).delivery is Delivery.UNCONFIRMED


def test_the_minutes_in_the_text_are_those_left_rounded_down(world: World) -> None:
    started = world.start()
    world.move_clock(61)
    world.start()
    world.deliver()
    assert "，3分钟内" in world.gateways[0].inbox[-1].text
    assert world.get(started.verification.id).sends == 2


def test_a_send_that_waited_tells_the_minutes_left_when_it_leaves(world: World) -> None:
    world.start()
    world.move_clock(100)
    world.deliver()
    assert "，3分钟内" in world.gateways[0].inbox[0].text


@pytest.mark.parametrize(
    "first", [refused(Reason.ACCOUNT), refused(Reason.BALANCE), refused(Reason.CONTENT), LATER, UNKNOWN]
)
def test_a_channel_that_fails_hands_the_same_code_to_the_next(world: World, first: TryResult) -> None:
    world.gateways[0].answers = [first]
    started = world.start()
    world.deliver()
    assert world.gateways[0].codes == world.gateways[1].codes
    assert world.get(started.verification.id).delivery is Delivery.ACCEPTED


def test_a_number_that_a_gateway_refuses_is_tried_nowhere_else(world: World) -> None:
    world.gateways[0].answers = [refused(Reason.NUMBER)]
    started = world.start()
    world.deliver()
    assert world.gateways[1].inbox == []
    assert world.get(started.verification.id).delivery is Delivery.FAILED


def after(inbox: list[Message], then: TryResult) -> Callable[[], Awaitable[TryResult]]:
    """An answer that comes once another gateway was asked."""

    async def answer() -> TryResult:
        await until(lambda: inbox)
        return then

    return answer


def test_a_silent_channel_is_passed_over_in_time_and_its_late_answer_is_still_recorded(world: World) -> None:
    world.gateways[0].answer_within = 0.05
    world.gateways[0].answers = [after(world.gateways[1].inbox, refused(Reason.CONTENT))]
    started = world.start()
    world.deliver()
    seen = world.get(started.verification.id)
    assert [(t.channel, t.outcome) for t in seen.tries] == [("primary", "rejected"), ("backup", "accepted")]
    assert seen.delivery is Delivery.ACCEPTED


def test_hold_waits_for_the_silent_channel_instead_of_sending_twice(world: World) -> None:
    world.on_unknown = "hold"
    world.gateways[0].answer_within = 0.05
    world.gateways[0].answers = [silent(0.2, UNKNOWN)]
    started = world.start()
    world.deliver()
    assert world.gateways[1].inbox == []
    assert world.get(started.verification.id).delivery is Delivery.TRYING


def test_when_no_channel_takes_it_the_delivery_has_failed(world: World) -> None:
    for gateway in world.gateways:
        gateway.answers = [refused(Reason.ACCOUNT)]
    started = world.start()
    world.deliver()
    assert world.get(started.verification.id).delivery is Delivery.FAILED


def test_gateways_that_say_later_are_asked_again_while_the_code_lives(world: World) -> None:
    for gateway in world.gateways:
        gateway.answers = [LATER]
    started = world.start()
    world.deliver()
    assert world.get(started.verification.id).delivery is Delivery.TRYING
    world.move_clock(10)
    world.deliver()
    assert world.get(started.verification.id).delivery is Delivery.ACCEPTED
    assert len(world.gateways[0].inbox) == 2


def test_what_waits_when_the_verification_ends_is_never_sent(world: World) -> None:
    started = world.start()
    world.verifier.cancel(SHOP, started.verification.id)
    world.deliver()
    assert world.gateways[0].inbox == []
    assert world.get(started.verification.id).delivery is Delivery.CANCELED


def test_what_waits_until_the_code_is_dead_ends_expired(world: World) -> None:
    started = world.start()
    world.move_clock(301)
    world.deliver()
    assert world.gateways[0].inbox == []
    seen = world.get(started.verification.id)
    assert (seen.status, seen.delivery) == (Status.EXPIRED, Delivery.EXPIRED)


def test_a_worker_ends_what_has_expired_and_the_seed_goes_with_it(world: World) -> None:
    started = world.start()
    world.deliver()
    world.move_clock(301)
    world.deliver()
    [record] = world.server.client.keys("*:v:*")
    fields = fields_of(world.server.client, record)
    assert fields["status"] == b"expired"
    assert not {"seed", "to", "binding", "d0"} & fields.keys()
    assert world.get(started.verification.id).delivery is Delivery.UNCONFIRMED


def test_nothing_is_left_in_the_outbox_when_the_work_is_done(world: World) -> None:
    world.start()
    world.deliver()
    assert [world.server.client.xlen(key) for key in world.server.client.keys("*:outbox")] == [0] * 32


def test_deliver_false_sends_nothing_and_looks_like_a_send_that_was_accepted(world: World) -> None:
    started = world.start(deliver=False)
    world.deliver()
    assert world.gateways[0].inbox == []
    assert world.get(started.verification.id).delivery is Delivery.ACCEPTED


def test_deliver_false_looks_like_a_send_of_the_same_moment_when_gateways_refuse(world: World) -> None:
    """T33: delivery states of an unknown account are those of a known one."""
    for gateway in world.gateways:
        gateway.answers = [refused(Reason.CONTENT)] * 64

    async def work() -> None:
        async with world.working():
            for n in range(40):
                world.start(f"+8613800{n:02d}8000")
            await world.is_idle()
            world.start("+8613900139000", deliver=False)
            await world.is_idle()

    asyncio.run(work())
    ends = {world.get(id).delivery for id in latest_ids(world, "+8613800008000", "+8613900139000")}
    assert ends == {Delivery.FAILED}


def latest_ids(world: World, *numbers: str) -> list[str]:
    found = []
    for number in numbers:
        to = parse(number, "")
        scope = world.keyring.scope("shop", "login", to.e164, None)
        found.append(world.store.latest(world.keyring.partition(to.prefix), scope))
    return found


def test_deliver_false_is_trying_while_a_gateway_is_slow(world: World) -> None:
    world.gateways[0].answers = [silent(0.2)] * 33

    async def work() -> None:
        async with world.working():
            for n in range(33):
                world.start(f"+8613800{n:02d}8000")
            await world.is_idle()
            began = time.monotonic()
            unknown = world.start("+8613900139000", deliver=False).verification.id
            # The worker shares this loop, and its sleep ends later than any of these looks.
            await until(lambda: world.get(unknown).delivery is Delivery.TRYING)
            await until(lambda: world.get(unknown).delivery is Delivery.ACCEPTED)
            assert time.monotonic() - began >= 0.2

    asyncio.run(work())
    assert len(world.gateways[0].inbox) == 33
