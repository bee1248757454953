"""Races on a real server: whatever runs in parallel, one approval, counted attempts, one send."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from otp_service.errors import Problem, RateLimited
from otp_service.policy import Limits, Window
from otp_service.store.fields import RECORD
from otp_service.verification import Status
from otp_service.verifier import ResendRequest, TokenRequest
from tests.world import NUMBER, SHOP, UNLIMITED, Server, World

CONNECTIONS = 32


def outcome(call: Callable[[], Any]) -> str:
    """What a caller was told: `ok`, or the problem's name, with the limit's."""
    try:
        call()
    except RateLimited as refused:
        return f"rate_limited {refused.limit}"
    except Problem as refused:
        return refused.name
    return "ok"


def together(calls: Sequence[Callable[[], Any]], threads: int = CONNECTIONS) -> Counter[str]:
    """All calls, begun at one moment on as many connections as there are threads."""
    gate = threading.Barrier(min(threads, len(calls)))

    def first_wait(n: int) -> str:
        if n < gate.parties:
            gate.wait()
        return outcome(calls[n])

    with ThreadPoolExecutor(gate.parties) as pool:
        return Counter(pool.map(first_wait, range(len(calls))))


@pytest.fixture
def unlimited(real_server: Server) -> World:
    return World(real_server, UNLIMITED, cooldown=(0,))


# --- checks -----------------------------------------------------------------------------------------------------------


def test_parallel_guesses_over_many_verifications_share_the_recipients_failures(real_server: Server) -> None:
    """T05, T06: ten an hour is ten, however many verifications are guessed at together."""
    world = World(real_server, Limits(recipient=(), failures=(Window(10, 3600),)))
    ids = [world.start(session=str(n)).verification.id for n in range(8)]
    calls = [
        lambda id=id, n=n, wrong=wrong: world.check(id, wrong, session=str(n))
        for n, id in enumerate(ids)
        for wrong in [world.wrong_code(id)]
        for _ in range(5)
    ]
    said = together(calls)
    assert said["code_mismatch"] == 10
    assert said["rate_limited failures"] + said["exhausted"] == 30


def test_a_token_that_fifty_present_at_once_is_used_up_by_one(unlimited: World) -> None:
    """T27."""
    id = unlimited.start().verification.id
    token = unlimited.check(id, unlimited.code_of(id)).token
    use = TokenRequest(token, "login", NUMBER, consume=True)
    said = together([lambda: unlimited.verifier.verify_token(SHOP, use)] * 50)
    assert said == {"ok": 1, "token_used": 49}


# --- starts -----------------------------------------------------------------------------------------------------------


def queued(world: World) -> int:
    client = world.server.client
    return sum(int(client.xlen(name)) for name in client.keys("*:outbox"))


def test_parallel_starts_of_one_scope_are_one_verification_and_one_send(real_world: World) -> None:
    said = together([real_world.start] * 64)
    assert said == {"ok": 1, "rate_limited cooldown": 63}
    assert queued(real_world) == 1
    assert len(real_world.server.client.keys("*:v:*")) == 1


def test_parallel_starts_after_the_cooldown_are_one_resend(real_world: World) -> None:
    id = real_world.start().verification.id
    real_world.move_clock(60)
    by_id = lambda: real_world.verifier.resend(SHOP, id, ResendRequest())  # noqa: E731
    said = together([real_world.start, by_id] * 32)
    assert said == {"ok": 1, "rate_limited cooldown": 63}
    assert real_world.get(id).sends == 2
    assert queued(real_world) == 2


@pytest.mark.parametrize("resend", ["reuse", "rotate"])
def test_parallel_sends_never_pass_max_sends(real_server: Server, resend: str) -> None:
    world = World(real_server, UNLIMITED, cooldown=(0,), max_sends=4, resend=resend)
    id = world.start().verification.id
    said = together([world.start, lambda: world.verifier.resend(SHOP, id, ResendRequest())] * 16)
    assert said["ok"] + said["unavailable"] + said["rate_limited sends"] == 32
    assert world.get(id).sends == said["ok"] + 1 <= 4
    assert queued(world) == said["ok"] + 1


def test_a_recipients_window_lets_exactly_its_count_through(real_server: Server) -> None:
    world = World(real_server, Limits(recipient=(Window(5, 3600),)))
    said = together([lambda n=n: world.start(session=str(n)) for n in range(64)])
    assert said == {"ok": 5, "rate_limited recipient": 59}


def test_an_addresss_window_never_lets_more_through_than_its_count(real_server: Server) -> None:
    """Its key lies elsewhere: it is charged first, so it may count too much for a moment, never too little."""
    world = World(real_server, Limits(recipient=(), client_ip=(Window(5, 3600),)))
    said = together([lambda n=n: world.start(f"+861380013{n:04d}", client_ip="192.0.2.1") for n in range(64)])
    assert said == {"ok": 5, "rate_limited client_ip": 59}


def test_starts_with_other_contexts_leave_one_pending_and_the_rest_canceled(unlimited: World) -> None:
    calls = [lambda n=n: unlimited.start(context={"n": str(n)}) for n in range(24)]
    said = together(calls, threads=8)
    assert said["ok"] + said["unavailable"] == 24
    statuses = Counter(
        unlimited.server.client.hget(record, RECORD["status"]) for record in unlimited.server.client.keys("*:v:*")
    )
    assert statuses[b"pending"] == 1
    assert statuses[b"canceled"] == said["ok"] - 1


def test_start_cancel_and_check_at_once_end_each_verification_in_one_way(unlimited: World) -> None:
    for n in range(8):
        session = str(n)
        id = unlimited.start(session=session).verification.id
        code, wrong = unlimited.code_of(id), unlimited.wrong_code(id)
        right = lambda id=id, code=code, s=session: unlimited.check(id, code, session=s)  # noqa: E731
        guess = lambda id=id, wrong=wrong, s=session: unlimited.check(id, wrong, session=s)  # noqa: E731
        cancel = lambda id=id: unlimited.verifier.cancel(SHOP, id)  # noqa: E731
        again = lambda s=session: unlimited.start(session=s)  # noqa: E731
        approvals: list[str] = []
        told = together([lambda r=right, a=approvals: a.append(r().token), guess, cancel, again] * 6, threads=24)
        status = unlimited.get(id).status
        assert status in {Status.APPROVED, Status.CANCELED, Status.EXHAUSTED}
        assert len(approvals) == (status is Status.APPROVED)
        assert told["code_mismatch"] <= 5
