"""One Idempotency-Key, one effect, one answer: whatever dies, races or comes back later."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from otp_service.errors import (
    AlreadyApproved,
    Canceled,
    CodeMismatch,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    Problem,
    RateLimited,
    TokenInvalid,
    TokenUsed,
    Unavailable,
)
from otp_service.policy import Limits, Window
from otp_service.ports import Store, StoreDown
from otp_service.verification import Status
from otp_service.verifier import CheckRequest, Idempotency, ResendRequest, StartRequest, TokenRequest, Verifier
from tests.world import BANK, NUMBER, SHOP, Server, World


def key(name: str = "k", path: str = "/v1/verifications", body: bytes = b"{}") -> Idempotency:
    return Idempotency(name, path, body)


class Died(BaseException):
    """A node that stops in the middle: nothing after it is done."""


class Faulty:
    """The store, but for one method, which fails as often as told; `after` has done its work by then."""

    def __init__(self, store: Store, method: str, error: BaseException, times: int = 1, after: bool = False) -> None:
        self._store, self._method, self._error, self._times, self._after = store, method, error, times, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def failing(*arguments: Any) -> Any:
            if not self._times:
                return method(*arguments)
            self._times -= 1
            if self._after:
                method(*arguments)
            raise self._error

        return failing


def with_fault(world: World, method: str, error: BaseException | None = None, **how: Any) -> Verifier:
    return Verifier(Faulty(world.store, method, error or StoreDown("cut"), **how), world.keyring, world.rules)


def queued(world: World) -> int:
    client = world.server.client
    return sum(int(client.xlen(name)) for name in client.keys("*:outbox"))


def mismatch(call: Callable[[], object]) -> CodeMismatch:
    with pytest.raises(CodeMismatch) as refused:
        call()
    return refused.value


# --- the same answer --------------------------------------------------------------------------------------------------


def test_a_start_with_the_same_key_is_answered_the_same_and_sent_once(world: World) -> None:
    first = world.start(metadata={"a": "ü"}, idempotency=key())
    world.move_clock(7)
    again = world.start(metadata={"a": "ü"}, idempotency=key())
    assert (first.replayed, again.replayed) == (False, True)
    assert again.verification == first.verification
    assert again.created
    assert queued(world) == 1


def test_a_resend_with_the_same_key_is_sent_once(world: World) -> None:
    id = world.start().verification.id
    world.move_clock(60)
    first = world.verifier.resend(SHOP, id, ResendRequest(), key())
    world.move_clock(60)
    again = world.verifier.resend(SHOP, id, ResendRequest(), key())
    assert again == replace(first, replayed=True)
    assert queued(world) == 2


def test_a_start_that_sent_the_pending_one_again_is_replayed_as_that(world: World) -> None:
    world.start()
    world.move_clock(60)
    first = world.start(idempotency=key())
    again = world.start(idempotency=key())
    assert again == replace(first, replayed=True)
    assert not again.created
    assert again.verification.sends == 2


def test_an_approval_can_be_fetched_again_with_the_identical_token(world: World) -> None:
    """T32."""
    id = world.start(session="s").verification.id
    code = world.code_of(id)
    first = world.check(id, code, session="s", idempotency=key())
    for _ in range(5):
        world.move_clock(100)
        again = world.check(id, code, session="s", idempotency=key())
        assert again == replace(first, replayed=True)
        assert again.token == first.token
    with pytest.raises(AlreadyApproved):
        world.check(id, code, session="s", idempotency=key("another"))
    with pytest.raises(AlreadyApproved):
        world.check(id, code, session="s")


def test_a_wrong_code_with_the_same_key_counts_once(world: World) -> None:
    id = world.start().verification.id
    wrong = world.wrong_code(id)
    answers = [mismatch(lambda: world.check(id, wrong, idempotency=key())) for _ in range(4)]
    assert [answer.replayed for answer in answers] == [False, True, True, True]
    assert {answer.verification.attempts_left for answer in answers if answer.verification} == {4}
    assert {answer.detail for answer in answers} == {answers[0].detail}
    assert world.get(id).attempts_left == 4


def test_the_last_wrong_code_is_replayed_as_a_wrong_code_not_as_the_end(world: World) -> None:
    id = world.start().verification.id
    wrong = world.wrong_code(id)
    for n in range(5):
        last = mismatch(lambda n=n: world.check(id, wrong, idempotency=key(str(n))))
    again = mismatch(lambda: world.check(id, wrong, idempotency=key("4")))
    assert again.verification == last.verification
    assert again.verification is not None
    assert (again.verification.attempts_left, again.verification.status) == (0, Status.EXHAUSTED)


def test_a_check_by_recipient_and_a_token_check_are_replayed_too(world: World) -> None:
    id = world.start().verification.id
    asked = CheckRequest(code=world.code_of(id), to=NUMBER, purpose="login")
    first = world.verifier.check_by_recipient(SHOP, asked, key("c"))
    assert world.verifier.check_by_recipient(SHOP, asked, key("c")) == replace(first, replayed=True)
    use = TokenRequest(first.token, "login", NUMBER, consume=True)
    used = world.verifier.verify_token(SHOP, use, key("t"))
    assert world.verifier.verify_token(SHOP, use, key("t")) == replace(used, replayed=True)
    with pytest.raises(TokenUsed):
        world.verifier.verify_token(SHOP, use, key("u"))


def test_an_answer_outlives_the_end_of_its_verification(world: World) -> None:
    first = world.start(idempotency=key())
    world.verifier.cancel(SHOP, first.verification.id)
    again = world.start(idempotency=key())
    assert again == replace(first, replayed=True)
    assert again.verification.status is Status.PENDING


def test_an_answer_is_kept_for_two_hours(world: World) -> None:
    world.start(idempotency=key())
    [claim] = world.server.client.keys("*:i:*")
    assert 7_100_000 < world.server.client.pttl(claim) <= 7_200_000
    world.server.client.delete(claim)
    with pytest.raises(RateLimited):
        world.start(idempotency=key())


# --- whose key it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [key(body=b"{ }"), key(path="/v1/verifications/"), key(body=b""), key(path="", body=b"/v1/verifications{}")],
)
def test_the_same_key_for_another_request_is_refused_and_does_nothing(world: World, other: Idempotency) -> None:
    """T66."""
    world.start(idempotency=key())
    with pytest.raises(IdempotencyMismatch):
        world.start(purpose="signup", idempotency=other)
    assert queued(world) == 1
    assert world.start(idempotency=key()).replayed


def test_a_look_up_has_no_answer_of_its_own_to_keep_and_takes_nobody_elses_key(world: World) -> None:
    started = world.start(idempotency=key())
    with pytest.raises(IdempotencyMismatch):
        world.verifier.lookup(SHOP, NUMBER, key(path="/v1/verifications/lookup"))
    for _ in range(2):
        found = world.verifier.lookup(SHOP, NUMBER, key("look", path="/v1/verifications/lookup"))
        assert [one.id for one in found] == [started.verification.id]
    assert world.start(purpose="signup", idempotency=key("look")).created


def test_a_token_of_no_key_of_ours_takes_nobody_elses_key_either(world: World) -> None:
    world.start(idempotency=key())
    asked = TokenRequest("x.y.z", "login", NUMBER)
    with pytest.raises(IdempotencyMismatch):
        world.verifier.verify_token(SHOP, asked, key(path="/v1/tokens/verify"))
    with pytest.raises(TokenInvalid):
        world.verifier.verify_token(SHOP, asked, key("free", path="/v1/tokens/verify"))


def test_another_clients_key_is_its_own(world: World) -> None:
    """T66."""
    ours = world.start(idempotency=key())
    theirs = world.start(client=BANK, idempotency=key())
    assert theirs.verification.id != ours.verification.id
    assert not theirs.replayed


@pytest.mark.parametrize("name", ["K", "k ", "k:", "*", "i:k", "{k}", "k" * 255])
def test_keys_that_look_alike_are_different_keys(world: World, name: str) -> None:
    world.start(idempotency=key())
    assert not world.start(purpose="signup", idempotency=key(name)).replayed


# --- what is not kept -------------------------------------------------------------------------------------------------


def claims(world: World) -> int:
    return len(world.server.client.keys("*:i:*"))


def test_a_refused_request_leaves_its_key_free_for_any_other(world: World) -> None:
    """400, 404, 410 and 429 changed nothing: the key may be used again, with another body as well."""
    id = world.start().verification.id
    code = world.code_of(id)
    refusals: list[tuple[type[Problem], Callable[[Idempotency], object]]] = [
        (RateLimited, lambda k: world.start(idempotency=k)),
        (InvalidRequest, lambda k: world.check(id, "1", idempotency=k)),
        (InvalidRequest, lambda k: world.check(id, "12345678", idempotency=k)),
        (InvalidRequest, lambda k: world.check(id, code, session="s", idempotency=k)),
        (NotFound, lambda k: world.check("ver_" + "0" * 40, code, idempotency=k)),
        (NotFound, lambda k: world.verifier.resend(SHOP, "ver_" + "0" * 40, ResendRequest(), k)),
        (NotFound, lambda k: world.check(id, code, client=BANK, idempotency=k)),
    ]
    for problem, call in refusals:
        for body in (b"1", b"2"):
            with pytest.raises(problem) as refused:
                call(key(body=body))
            assert not refused.value.replayed
        assert claims(world) == 0
    world.verifier.cancel(SHOP, id)
    for end in (
        lambda k: world.check(id, code, idempotency=k),
        lambda k: world.verifier.resend(SHOP, id, ResendRequest(), k),
    ):
        with pytest.raises(Canceled):
            end(key())
        assert claims(world) == 0


def test_a_full_outbox_leaves_the_key_free(world: World) -> None:
    world.with_rules(outbox_max=0)
    with pytest.raises(Unavailable):
        world.start(idempotency=key())
    assert claims(world) == 0
    assert not world.with_rules(outbox_max=9).start(idempotency=key(body=b"other")).replayed


def test_after_a_429_the_same_key_sends_once_there_is_room(world: World) -> None:
    world.start()
    with pytest.raises(RateLimited):
        world.start(idempotency=key())
    world.move_clock(60)
    assert world.start(idempotency=key()).verification.sends == 2


def test_while_failures_is_full_a_check_keeps_nothing_and_the_retry_is_judged_anew(world: World) -> None:
    world.with_rules(limits=Limits(failures=(Window(1, 100),)))
    id = world.start().verification.id
    mismatch(lambda: world.check(id, world.wrong_code(id)))
    with pytest.raises(RateLimited):
        world.check(id, world.code_of(id), idempotency=key())
    world.move_clock(101)
    assert world.check(id, world.code_of(id), idempotency=key()).token


# --- what dies in the middle ------------------------------------------------------------------------------------------

FAULTS = [StoreDown("the reply of keep was lost"), Died()]


def retried(
    world: World, fault: BaseException, method: str, call: Callable[[Verifier], Any], after: bool = False
) -> Any:
    """`call` on a node that fails at `method`, then again on one that works."""
    with pytest.raises((Unavailable, Died)):
        call(with_fault(world, method, fault, after=after))
    return call(world.verifier)


@pytest.mark.parametrize("after", [False, True], ids=["not kept", "kept, but its reply lost"])
@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "died"])
def test_a_start_whose_keep_was_lost_is_answered_and_not_sent_again(
    world: World, fault: BaseException, after: bool
) -> None:
    """T66: after a crash, the stored answer."""
    request = {"to": NUMBER, "purpose": "login"}
    world.with_rules(limits=Limits(recipient=(Window(1, 3600),), client_ip=(Window(1, 3600),)))

    def start(verifier: Verifier) -> Any:
        return verifier.start(SHOP, StartRequest(**request, client_ip="192.0.2.1"), key())

    answer = retried(world, fault, "keep", start, after)
    assert answer.created
    assert answer.replayed
    assert queued(world) == 1
    assert world.get(answer.verification.id).sends == 1
    assert start(world.verifier) == answer


@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "died"])
@pytest.mark.parametrize("ended", [False, True], ids=["still pending", "ended meanwhile"])
def test_a_resend_whose_keep_was_lost_is_answered_and_not_sent_again(
    world: World, fault: BaseException, ended: bool
) -> None:
    id = world.start().verification.id
    world.move_clock(60)
    with pytest.raises((Unavailable, Died)):
        with_fault(world, "keep", fault).resend(SHOP, id, ResendRequest(), key())
    if ended:
        world.verifier.cancel(SHOP, id)
    answer = world.verifier.resend(SHOP, id, ResendRequest(), key())
    assert answer.verification.sends == 2
    assert answer.verification.status is Status.PENDING
    assert queued(world) == 2


@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "died"])
def test_an_approval_whose_keep_was_lost_can_still_be_fetched(world: World, fault: BaseException) -> None:
    """I7: an error never hides an approval that can't be fetched again."""
    id = world.start().verification.id
    asked = CheckRequest(code=world.code_of(id))
    answer = retried(world, fault, "keep", lambda verifier: verifier.check(SHOP, id, asked, key()))
    assert answer.verification.status is Status.APPROVED
    assert world.verifier.verify_token(SHOP, TokenRequest(answer.token, "login", NUMBER)).verification_id == id
    assert world.check(id, asked.code, idempotency=key()).token == answer.token


@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "died"])
def test_a_wrong_code_whose_keep_was_lost_counts_once(world: World, fault: BaseException) -> None:
    id = world.start().verification.id
    asked = CheckRequest(code=world.wrong_code(id))
    with pytest.raises((Unavailable, Died)):
        with_fault(world, "keep", fault).check(SHOP, id, asked, key())
    mismatch(lambda: world.check(id, world.wrong_code(id)))
    answer = mismatch(lambda: world.verifier.check(SHOP, id, asked, key()))
    assert answer.verification is not None
    assert answer.verification.attempts_left == 4
    assert world.get(id).attempts_left == 3


@pytest.mark.parametrize("fault", FAULTS, ids=["lost", "died"])
def test_a_token_that_was_used_up_as_the_node_died_is_used_up_for_its_asker(world: World, fault: BaseException) -> None:
    id = world.start().verification.id
    token = world.check(id, world.code_of(id)).token
    asked = TokenRequest(token, "login", NUMBER, consume=True)
    assert retried(world, fault, "keep", lambda verifier: verifier.verify_token(SHOP, asked, key())).replayed
    with pytest.raises(TokenUsed):
        world.verifier.verify_token(SHOP, asked)


@pytest.mark.parametrize("after", [False, True], ids=["before it ran", "after it ran"])
@pytest.mark.parametrize("method", ["claim", "charge", "start"])
def test_a_start_that_is_lost_at_any_step_is_sent_once_by_its_retry(world: World, method: str, after: bool) -> None:
    world.with_rules(limits=Limits(recipient=(Window(1, 3600),), client_ip=(Window(1, 3600),)))
    asked = StartRequest(to=NUMBER, purpose="login", client_ip="192.0.2.1")
    answer = retried(world, StoreDown("cut"), method, lambda verifier: verifier.start(SHOP, asked, key()), after)
    assert answer.created
    assert queued(world) == 1
    assert world.get(answer.verification.id).sends == 1


def test_a_refusal_whose_release_is_lost_fails_closed_and_its_retry_is_judged_anew(world: World) -> None:
    world.start()
    asked = StartRequest(to=NUMBER, purpose="login")
    with pytest.raises(Unavailable):
        with_fault(world, "release").start(SHOP, asked, key())
    world.move_clock(60)
    assert world.verifier.start(SHOP, asked, key()).verification.sends == 2


# --- in parallel ------------------------------------------------------------------------------------------------------


def in_parallel(count: int, call: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_fifty_parallel_starts_with_one_key_are_one_send(real_world: World) -> None:
    """T66."""
    answers = in_parallel(50, lambda _: real_world.start(idempotency=key()))
    assert len({answer.verification.id for answer in answers}) == 1
    assert all(answer.created for answer in answers)
    assert queued(real_world) == 1
    assert real_world.get(answers[0].verification.id).sends == 1


def test_fifty_parallel_resends_with_one_key_are_one_send(real_world: World) -> None:
    """T66."""
    id = real_world.start().verification.id
    real_world.move_clock(60)
    answers = in_parallel(50, lambda _: real_world.verifier.resend(SHOP, id, ResendRequest(), key()))
    assert {answer.verification.sends for answer in answers} == {2}
    assert queued(real_world) == 2


def test_fifty_parallel_checks_with_one_key_are_one_approval_and_one_token(real_world: World) -> None:
    """T66."""
    id = real_world.start().verification.id
    code = real_world.code_of(id)
    tokens = in_parallel(50, lambda _: real_world.check(id, code, idempotency=key()).token)
    assert len(set(tokens)) == 1


def test_fifty_parallel_wrong_codes_with_one_key_are_one_attempt(real_world: World) -> None:
    """T66."""
    id = real_world.start().verification.id
    wrong = real_world.wrong_code(id)
    answers = in_parallel(50, lambda _: mismatch(lambda: real_world.check(id, wrong, idempotency=key())))
    assert {answer.verification.attempts_left for answer in answers} == {4}
    assert real_world.get(id).attempts_left == 4


def test_one_key_with_two_bodies_in_parallel_has_the_effect_of_one(real_server: Server) -> None:
    """T66."""
    world = World(real_server)

    def start(n: int) -> str:
        try:
            return world.start(
                purpose=("login", "signup")[n % 2], idempotency=key(body=b"%d" % (n % 2))
            ).verification.id
        except IdempotencyMismatch:
            return ""

    assert len(set(in_parallel(40, start)) - {""}) == 1
    assert queued(world) == 1
