"""A verification's life in any order: a machine that starts, resends, guesses, cancels, waits and delivers.

F37: against a model of a few lines. What the model does not know (windows to the millisecond, races) has tests of its
own; what it knows must hold after every step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from otp_service.errors import CodeMismatch, Ended, NotFound, Problem, RateLimited
from otp_service.policy import Limits, Window
from otp_service.ports import Begun, Candidate, NoChannel, Outcome, Reason, TryResult, Verdict
from otp_service.verification import OPEN_DELIVERIES, Status
from otp_service.verifier import ResendRequest
from tests.world import ACCEPTED, SHOP, Server, World, fields_of

# Small, so that a short run meets every limit.
TTL, COOLDOWN, ATTEMPTS, SENDS, FAILURES = 600, 30, 3, 3, 4
ANSWERS = {
    "accepted": ACCEPTED,
    "number": TryResult(Outcome.REJECTED, Reason.NUMBER),
    "account": TryResult(Outcome.REJECTED, Reason.ACCOUNT),
    "later": TryResult(Outcome.RETRYABLE, Reason.NETWORK),
    "unknown": TryResult(Outcome.UNKNOWN, Reason.TIMEOUT),
}
SCOPES = st.sampled_from([("login", None), ("login", "s"), ("signup", None)])
Scope = tuple[str, str | None]


def problem_of(call: Callable[[], object]) -> Problem | None:
    try:
        call()
    except Problem as problem:
        return problem
    return None


@dataclass
class Life:
    """What the model knows of one verification."""

    id: str
    scope: Scope
    born: int
    code: str
    wrong: int = 0
    sends: int = 1
    end: Status | None = None
    statuses: list[str] = field(default_factory=list)

    def status(self, now: int) -> Status:
        return self.end or (Status.EXPIRED if now >= self.born + TTL else Status.PENDING)


class Lives(RuleBasedStateMachine):
    """Time is frozen and moves in whole seconds, so that the model and the store agree on every edge."""

    rotate = False

    def make_server(self) -> Server:
        fake = FakeServer()
        return Server(FakeRedis(server=fake), lambda: FakeAsyncRedis(server=fake))

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            self.make_server(),
            Limits(recipient=(), prefix=(), failures=(Window(FAILURES, 600),), client_ip=()),
            resend="rotate" if self.rotate else "reuse",
            ttl=TTL,
            cooldown=(COOLDOWN,),
            max_attempts=ATTEMPTS,
            max_sends=SENDS,
        )
        self.world.freeze_clock()
        self.now = 0
        self.lives: list[Life] = []
        self.cool: dict[Scope, int] = {}
        self.failed_at: list[int] = []
        self.tokens: list[str] = []

    # --- what happens ---------------------------------------------------------------------------------------------

    def latest(self, scope: Scope) -> Life | None:
        return next((life for life in reversed(self.lives) if life.scope == scope), None)

    def pending(self, scope: Scope) -> Life | None:
        life = self.latest(scope)
        return life if life and life.status(self.now) is Status.PENDING else None

    @rule(scope=SCOPES)
    def start(self, scope: Scope) -> None:
        life = self.pending(scope)
        dying = life is not None and life.born + TTL - self.now < 60
        waits = {"cooldown": self.cool.get(scope, 0) - self.now}
        if life and not dying and life.sends >= SENDS:
            waits["sends"] = life.born + TTL - 60 - self.now + 1
        limit = max(waits, key=lambda name: waits[name])
        if waits[limit] > 0:
            with pytest.raises(RateLimited) as refused:
                self.world.start(purpose=scope[0], session=scope[1])
            assert refused.value.limit == limit
            return
        started = self.world.start(purpose=scope[0], session=scope[1])
        self.cool[scope] = self.now + COOLDOWN
        if life and not dying:
            assert not started.created
            assert started.verification.id == life.id
            life.sends += 1
            return
        assert started.created
        if life:
            life.end = Status.CANCELED
        self.lives.append(Life(started.verification.id, scope, self.now, self.world.code_of(started.verification.id)))

    @rule(scope=SCOPES, times=st.integers(2, 5))
    def insist(self, scope: Scope, times: int) -> None:
        """Whoever gets no message asks again as soon as it is allowed."""
        for _ in range(times):
            self.start(scope)
            self.tick(COOLDOWN)

    @rule()
    def fail_over(self) -> None:
        """A replica that has all of it takes over: it knows no script, and nobody is connected to it."""
        self.world.server.client.script_flush()
        self.world.server.client.connection_pool.disconnect()

    @rule(scope=SCOPES, times=st.integers(2, 5))
    def guess_on(self, scope: Scope, times: int) -> None:
        if life := self.latest(scope):
            for _ in range(times):
                self.judge(life, life.code, "password_reset", right=False)

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 10**6))
    def resend(self, pick: int) -> None:
        life = self.lives[pick % len(self.lives)]
        may = (
            life.status(self.now) is Status.PENDING
            and life.born + TTL - self.now >= 60
            and self.cool[life.scope] <= self.now
            and life.sends < SENDS
        )
        problem = problem_of(lambda: self.world.verifier.resend(SHOP, life.id, ResendRequest()))
        assert may == (problem is None), problem
        if may:
            life.sends += 1
            self.cool[life.scope] = self.now + COOLDOWN

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 10**6), kind=st.sampled_from(["wrong", "right", "other purpose"]))
    def check(self, pick: int, kind: str) -> None:
        life = self.lives[pick % len(self.lives)]
        code = life.code if kind != "wrong" else f"{(int(life.code) + 1) % 10**6:06d}"
        purpose = "password_reset" if kind == "other purpose" else None
        self.judge(life, code, purpose, right=kind == "right")

    def judge(self, life: Life, code: str, purpose: str | None, right: bool) -> None:
        """What the model expects of a check, and what then is true of it."""
        full = sum(at > self.now - 600 for at in self.failed_at) >= FAILURES
        status = life.status(self.now)
        ask = lambda: self.tokens.append(self.world.check(life.id, code, session=life.scope[1], purpose=purpose).token)  # noqa: E731
        problem = problem_of(ask)
        if status is not Status.PENDING:
            assert isinstance(problem, Ended)
            assert problem.verification is not None
            assert problem.verification.status == status
        elif full:
            assert isinstance(problem, RateLimited)
            assert problem.limit == "failures"
        elif right:
            assert problem is None
            life.end = Status.APPROVED
        else:
            assert isinstance(problem, CodeMismatch)
            life.wrong += 1
            self.failed_at.append(self.now)
            life.end = Status.EXHAUSTED if life.wrong == ATTEMPTS else None

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 10**6))
    def cancel(self, pick: int) -> None:
        life = self.lives[pick % len(self.lives)]
        status = life.status(self.now)
        problem = problem_of(lambda: self.world.verifier.cancel(SHOP, life.id))
        assert (problem is None) == (status in {Status.PENDING, Status.CANCELED})
        if problem is None:
            life.end = Status.CANCELED

    @rule(id=st.text(alphabet="0123456789abcdefghjk", min_size=33, max_size=33))
    def ask_for_nobody(self, id: str) -> None:
        with pytest.raises(NotFound):
            self.world.check(f"ver_{id}", "123456")

    @rule(seconds=st.sampled_from([1, 29, 30, 30, 30, 31, 60, 510, 540, 541, 570, 600]))
    def tick(self, seconds: int) -> None:
        self.world.move_clock(seconds)
        self.now += seconds

    @rule(answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=3))
    def deliver(self, answers: list[str]) -> None:
        asyncio.run(self._deliver([ANSWERS[name] for name in answers]))

    async def _deliver(self, answers: list[TryResult]) -> None:
        """What a worker does, step by step, without its waiting: due moments first, then every entry to its end."""
        _, outbox = self.world.worker()
        await outbox.open()
        while (await outbox.wake(64))[0]:
            pass
        for entry in await outbox.read(64, 0):
            channels = [Candidate("primary"), Candidate("backup")]
            verdict = Verdict.DONE
            while isinstance(step := await outbox.take(entry, "f", channels, "failover"), Begun):
                channels = [one for one in channels if one.channel != step.channel]
                result = answers[len(channels) % len(answers)]
                await outbox.record(entry, step, "f", result, 1)
                if result.outcome is Outcome.ACCEPTED:
                    break
            if isinstance(step, NoChannel):
                verdict = Verdict.LATER if step.retryable and step.left > 40_000 else Verdict.FAILED
            elif step == "stop":
                verdict = Verdict.FAILED
            await outbox.settle(entry, "f", verdict, 3000)
        await outbox.aclose()

    # --- what holds -----------------------------------------------------------------------------------------------

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        for life in self.lives[-4:]:
            seen = self.world.get(life.id)
            assert seen.status is life.status(self.now)
            assert seen.attempts_left == ATTEMPTS - life.wrong >= 0
            assert seen.sends == life.sends <= SENDS
            if not life.statuses or life.statuses[-1] != seen.status:
                life.statuses.append(seen.status)
            assert life.statuses in (["pending"], ["pending", seen.status], [seen.status])

    @invariant()
    def no_code_is_approved_twice_and_wrong_codes_keep_to_their_cap(self) -> None:
        assert len(self.tokens) == len(set(self.tokens)) == sum(life.end is Status.APPROVED for life in self.lives)
        for at in self.failed_at:
            assert sum(at - 600 < other <= at for other in self.failed_at) <= FAILURES

    @invariant()
    def every_key_has_a_ttl_or_is_listed_and_no_end_keeps_a_secret(self) -> None:
        client = self.world.server.client
        for key in client.keys("otp:*"):
            if client.pttl(key) == -1:
                assert key.endswith((b":outbox", b":due", b":later"))
        for record in client.keys("*:v:*"):
            fields = fields_of(client, record)
            if fields["status"] != b"pending":
                assert not {"seed", "to", "binding"} & fields.keys()
                assert not [name for name in fields if name[:1] == "d" and name[1:].isdigit()]

    def teardown(self) -> None:
        """When time has passed and a worker has run, every send has come to one end and nothing waits."""
        self.tick(1200)
        for _ in range(2):
            self.deliver(["accepted"])
        client = self.world.server.client
        for life in self.lives:
            seen = self.world.get(life.id)
            assert seen.status is not Status.PENDING
            assert seen.delivery not in OPEN_DELIVERIES, seen.delivery
        assert sum(client.xlen(key) for key in client.keys("*:outbox")) == 0
        assert sum(client.zcard(key) for key in client.keys("*:due")) == 0
        client.close()


class RotatingLives(Lives):
    """The same life where each resend has another code: the first one stays good until a gateway takes a later one."""

    rotate = True

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 10**6))
    def check(self, pick: int) -> None:
        """Only wrong codes: which are right depends on what gateways said, and has tests of its own."""
        life = self.lives[pick % len(self.lives)]
        codes = {life.code}
        if life.status(self.now) is Status.PENDING:
            codes = {self.world.code_of(life.id, counter) for counter in range(SENDS)}
        wrong = next(code for n in range(10) if (code := f"{n:06d}") not in codes)
        self.judge(life, wrong, purpose=None, right=False)


def run(machine: type[Lives], examples: int, steps: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    how: Any = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet)
    run_state_machine_as_test(machine, settings=how)


def on(server: Server, machine: type[Lives]) -> type[Lives]:
    """The machine on a real server, emptied for every run."""

    class OnReal(machine):  # type: ignore[misc, valid-type]
        def make_server(self) -> Server:
            server.client.flushall()
            return server

    return OnReal


def test_lives_in_any_order_agree_with_their_model() -> None:
    """F37, small."""
    run(Lives, examples=30, steps=25)


def test_rotating_lives_in_any_order_agree_with_their_model() -> None:
    """F37, small."""
    run(RotatingLives, examples=12, steps=25)


def test_lives_on_a_real_server_agree_with_their_model(real_server: Server) -> None:
    """F37, small."""
    run(on(real_server, Lives), examples=8, steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("machine", [Lives, RotatingLives])
def test_ten_thousand_lives_of_fifty_steps_agree_with_their_model(
    real_server: Server, machine: type[Lives], part: int
) -> None:
    """F37, in parts that are drawn apart and take minutes."""
    run(on(real_server, machine), examples=500, steps=50)
    print(f"F37 {machine.__name__} {part + 1}/10: 500 lives of up to 50 steps")
