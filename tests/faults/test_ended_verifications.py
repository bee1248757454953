"""Nothing leaves after a verification has ended, wherever its send was at that moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otp_service.errors import Problem
from otp_service.ports import Begun, Outcome, Reason, TakeEnd, TryResult, Verdict
from otp_service.verification import Delivery
from otp_service.verifier import ResendRequest
from tests.faults.hands import Hands, by_hand
from tests.world import SHOP, World, refused

LATER = TryResult(Outcome.RETRYABLE, Reason.NETWORK)


def approve(world: World, id: str) -> None:
    world.check(id, world.code_of(id))


def cancel(world: World, id: str) -> None:
    world.verifier.cancel(SHOP, id)


def exhaust(world: World, id: str) -> None:
    wrong = world.wrong_code(id)
    for _ in range(5):
        with pytest.raises(Problem):
            world.check(id, wrong)


def send_again(world: World, id: str) -> None:
    world.move_clock(60)
    world.verifier.resend(SHOP, id, ResendRequest())


End = Callable[[World, str], None]
ENDS = pytest.mark.parametrize("end", [approve, cancel, exhaust])


def asked(world: World) -> list[int]:
    return [len(gateway.inbox) for gateway in world.gateways]


@ENDS
def test_nothing_leaves_when_it_ends_while_the_send_is_queued(world: World, end: End) -> None:
    id = world.start().verification.id
    end(world, id)
    world.deliver()
    assert asked(world) == [0, 0]
    assert world.get(id).delivery is Delivery.CANCELED


@ENDS
def test_nothing_more_leaves_when_it_ends_while_the_send_waits_for_its_gateways(world: World, end: End) -> None:
    for gateway in world.gateways:
        gateway.answers = [LATER]
    id = world.start().verification.id
    world.deliver()
    assert asked(world) == [1, 1]
    end(world, id)
    world.move_clock(40)
    world.deliver()
    assert asked(world) == [1, 1]
    assert world.get(id).delivery is Delivery.CANCELED
    assert not any(world.server.client.zcard(key) for key in world.server.client.keys("*:later"))


@ENDS
def test_nothing_more_leaves_when_it_ends_while_a_gateway_is_asked(world: World, end: End) -> None:
    """The first refuses after the end: the second is not asked."""
    id = world.start().verification.id

    async def ends_meanwhile() -> TryResult:
        end(world, id)
        return refused(Reason.ACCOUNT)

    world.gateways[0].answers = [ends_meanwhile]
    world.deliver()
    assert asked(world) == [1, 0]
    assert world.get(id).delivery is Delivery.UNCONFIRMED


@pytest.mark.parametrize("end", [approve, cancel, exhaust, send_again])
def test_the_try_of_a_worker_that_died_is_unknown_although_the_end_came_before_anybody_took_over(
    world: World, end: End
) -> None:
    """The SMS had left; else the trail would say for ever that there is no answer yet. A worker that was only thought
    dead still says what it came to."""
    id = world.start().verification.id

    @by_hand(world, "dead", "heir")
    async def _(dead: Hands, heir: Hands) -> None:
        [entry] = await dead.read()
        assert isinstance(await dead.take(entry), Begun)
        end(world, id)
        for left in await heir.take_over():
            if left.send == 1:
                assert await heir.take(left) is TakeEnd.OVER
                await heir.settle(left, Verdict.DONE)
        assert world.get(id).tries[0].outcome == "unknown"
        assert await dead.record(entry)
        assert world.get(id).tries[0].outcome == "accepted"
        assert not await dead.record(entry, LATER)
