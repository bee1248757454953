"""Starts that must show that a person asks: which they are, that one token starts one, and that doubt keeps it shut."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from otp_service.api_keys import ClientKeys, new_key
from otp_service.challenge import Challenge, Suspect, nobody
from otp_service.errors import (
    ChallengeRequired,
    CodeMismatch,
    IdempotencyMismatch,
    Problem,
    RateLimited,
    RecipientBlocked,
    Unavailable,
)
from otp_service.policy import Client, Limits, TestNumber, Window
from otp_service.ports import CaptchaDown, CaptchaRefused, StoreDown
from otp_service.recipient import Recipient
from otp_service.store import RedisSpentTokens
from otp_service.store.redis_captchas import SPENT_SECONDS
from otp_service.verifier import Idempotency, ResendRequest, StartRequest
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.world import BANK, NUMBER, SHOP, UNLIMITED, Server, World

ALWAYS = replace(SHOP, challenge="always")
NEVER = replace(SHOP, challenge="never")
TOKEN = "0.token-of-a-person"
OTHERS = [f"+86139{n:08d}" for n in range(16)]


@dataclass
class FakeCaptchas:
    """A service that takes a token as often as it comes, as the worst of them may; `down` is raised in its place."""

    good: set[str] = field(default_factory=lambda: {TOKEN})
    down: CaptchaDown | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    verifier: str = "turnstile"
    site_key: str = "site-key"

    def identity(self, token: str) -> str:
        return token.strip()

    def verify(self, token: str, client_ip: str | None) -> None:
        self.asked.append((token, client_ip))
        if self.down:
            raise self.down
        if token.strip() not in self.good:
            raise CaptchaRefused("It was not accepted.")

    def close(self) -> None: ...


class Suspicion:
    """Stands for the guards that mistrust a prefix or a client: it knows nothing else of a start."""

    def __init__(self, *prefixes: str) -> None:
        self.prefixes = prefixes

    def __call__(self, client: Client, to: Recipient) -> str | None:
        return "pumping" if to.prefix in self.prefixes else None


@pytest.fixture
def captchas() -> FakeCaptchas:
    return FakeCaptchas()


@pytest.fixture
def world(server: Server, captchas: FakeCaptchas) -> World:
    """With the limits of the contract, so that what is counted shows."""
    return challenged(World(server), captchas)


def challenged(world: World, captchas: FakeCaptchas, suspect: Suspect = nobody, **more: Any) -> World:
    spent = more.pop("spent", RedisSpentTokens(world.server.client))
    return world.with_challenge(Challenge(captchas, spent, world.keyring.captcha, **more), suspect)


def refused(start: Callable[[], object]) -> ChallengeRequired:
    with pytest.raises(ChallengeRequired) as required:
        start()
    return required.value


def key(name: str = "k", body: bytes = b"{}") -> Idempotency:
    return Idempotency(name, "/v1/verifications", body)


def written(world: World) -> list[bytes]:
    return sorted(name for name in world.server.client.keys("*") if not name.startswith(b"test:"))


# --- which starts -----------------------------------------------------------------------------------------------------


def test_a_client_that_challenges_everybody_starts_nothing_without_a_token(world: World) -> None:
    """Nothing is counted and nothing kept, and the caller learns which widget to show."""
    required = refused(lambda: world.start(client=ALWAYS, client_ip="192.0.2.1"))
    assert (required.reason, required.verifier, required.site_key) == ("client", "turnstile", "site-key")
    assert "captcha_token" in required.detail
    assert written(world) == []
    assert world.start(client=ALWAYS, captcha_token=TOKEN, client_ip="192.0.2.1").created


def test_the_service_is_told_the_address_where_it_is_known(world: World, captchas: FakeCaptchas) -> None:
    world.start(client=ALWAYS, captcha_token=TOKEN, client_ip="192.0.2.1")
    assert captchas.asked == [(TOKEN, "192.0.2.1")]


def test_a_suspicious_start_is_challenged_and_its_neighbours_are_not(world: World, captchas: FakeCaptchas) -> None:
    challenged(world, captchas, Suspicion("+861380013"))
    assert refused(lambda: world.start(NUMBER)).reason == "suspicious"
    assert world.start("+8613900139000").created
    assert world.start(NUMBER, captcha_token=TOKEN).created


def test_a_client_that_never_challenges_is_not_asked_however_suspicious(world: World, captchas: FakeCaptchas) -> None:
    challenged(world, captchas, Suspicion("+861380013"))
    assert world.start(client=NEVER).created
    assert captchas.asked == []


def test_a_client_that_always_challenges_says_so_of_a_suspicious_start_too(
    world: World, captchas: FakeCaptchas
) -> None:
    """So the answer does not tell what the guards think."""
    challenged(world, captchas, Suspicion("+861380013"))
    assert refused(lambda: world.start(client=ALWAYS)).reason == "client"


def test_a_token_that_nobody_asked_for_is_neither_looked_at_nor_spent(world: World, captchas: FakeCaptchas) -> None:
    world.start(captcha_token=TOKEN)
    assert captchas.asked == []
    assert world.start("+8613900139000", client=ALWAYS, captcha_token=TOKEN).created


def test_a_start_that_sends_again_needs_a_token_of_its_own_and_a_resend_by_id_none(world: World) -> None:
    id = world.start(client=ALWAYS, captcha_token=TOKEN).verification.id
    world.move_clock(61)
    refused(lambda: world.start(client=ALWAYS))
    assert world.verifier.resend(ALWAYS, id, ResendRequest()).verification.sends == 2


def test_sending_nothing_looks_the_same(world: World, captchas: FakeCaptchas) -> None:
    """With `deliver: false` the same is asked, in the same words: no account is told by its CAPTCHA."""
    said = [refused(lambda deliver=deliver: world.start(client=ALWAYS, deliver=deliver)) for deliver in (True, False)]
    assert said[0].__dict__ == said[1].__dict__
    assert world.start(client=ALWAYS, deliver=False, captcha_token=TOKEN).created
    assert refused(lambda: world.start(OTHERS[0], client=ALWAYS, deliver=False, captcha_token=TOKEN)).reason == "client"


def test_a_test_number_needs_no_token(world: World, captchas: FakeCaptchas) -> None:
    """Nothing is sent to it, and a caller's CI solves no CAPTCHA."""
    world.with_rules(test_numbers={NUMBER: TestNumber(NUMBER, "424242", date(9999, 12, 31))})
    assert world.start(client=ALWAYS).created
    assert captchas.asked == []


def test_what_is_not_admitted_costs_no_token(world: World, captchas: FakeCaptchas) -> None:
    with pytest.raises(RecipientBlocked):
        world.start("+4915112345678", client=ALWAYS, captcha_token=TOKEN)
    assert captchas.asked == []


def test_without_a_verifier_what_needs_a_token_is_refused(server: Server) -> None:
    """A program that brings its own configuration fails closed, too."""
    world = World(server)
    with pytest.raises(Unavailable, match=r"\[challenge\]"):
        world.start(client=ALWAYS, captcha_token=TOKEN)
    assert world.start().created


# --- one token, one start ---------------------------------------------------------------------------------------------


def test_a_token_starts_one_verification_even_where_its_service_would_take_it_again(
    world: World, captchas: FakeCaptchas
) -> None:
    """Neither another number, nor another client, nor another spelling makes it good again; nobody is asked."""
    world.start(client=ALWAYS, captcha_token=TOKEN)
    asked = len(captchas.asked)
    others = [(OTHERS[0], ALWAYS, TOKEN), (NUMBER, replace(BANK, challenge="always"), TOKEN)]
    for to, client, token in [*others, (OTHERS[0], ALWAYS, f" {TOKEN} ")]:
        again = refused(lambda to=to, client=client, token=token: world.start(to, client=client, captcha_token=token))
        assert "used before" in again.detail
    assert len(captchas.asked) == asked


def test_a_token_that_comes_16_times_at_once_starts_one_verification(
    real_server: Server, captchas: FakeCaptchas
) -> None:
    world = challenged(World(real_server), captchas)

    def start(to: str) -> str:
        try:
            return "started" if world.start(to, client=ALWAYS, captcha_token=TOKEN).created else "resent"
        except Problem as problem:
            return problem.name

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(start, OTHERS))
    assert sorted(set(said)) == ["challenge_required", "started"]
    assert said.count("started") == 1


def test_a_wrong_token_starts_nothing_and_asks_for_a_new_one(world: World) -> None:
    wrong = refused(lambda: world.start(client=ALWAYS, captcha_token="wrong"))
    assert wrong.detail.startswith("It was not accepted.")
    assert "captcha_token" in wrong.detail
    assert "wrong" not in wrong.detail
    assert written(world) == []


def test_a_limit_does_not_give_a_token_back(world: World, captchas: FakeCaptchas) -> None:
    """Its service has burned it by then: the next start needs a new one."""
    world.with_rules(limits=Limits(recipient=(Window(1, 3600),)))
    captchas.good |= {"second", "third"}
    world.start(client=ALWAYS, captcha_token=TOKEN)
    with pytest.raises(RateLimited):
        world.start(client=ALWAYS, purpose="signup", captcha_token="second")
    refused(lambda: world.start(OTHERS[0], client=ALWAYS, captcha_token="second"))
    assert world.start(OTHERS[0], client=ALWAYS, captcha_token="third").created


def test_what_is_kept_of_a_token_is_a_keyed_hash_for_ten_minutes(world: World, raw: redis.Redis) -> None:
    world.start(client=ALWAYS, captcha_token=TOKEN)
    [name] = raw.keys("*:cap:*")
    assert 0 < raw.ttl(name) <= SPENT_SECONDS == 600
    assert TOKEN.encode() not in name + raw.get(name)
    assert not any(TOKEN.encode() in (raw.dump(key) or b"") for key in raw.keys("*"))
    assert TOKEN not in repr(StartRequest(NUMBER, "login", captcha_token=TOKEN))


# --- repeated requests ------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_its_first_answer_and_needs_no_second_token(
    world: World, captchas: FakeCaptchas
) -> None:
    first = world.start(client=ALWAYS, captcha_token=TOKEN, idempotency=key())
    again = world.start(client=ALWAYS, captcha_token=TOKEN, idempotency=key())
    assert (again.replayed, again.verification.id) == (True, first.verification.id)
    assert len(captchas.asked) == 1


def test_a_refusal_leaves_its_idempotency_key_free_for_the_start_with_a_token(world: World) -> None:
    """The body is another one with the token in it; the refusal is not kept, so the key may go with both."""
    refused(lambda: world.start(client=ALWAYS, idempotency=key(body=b"without")))
    refused(lambda: world.start(client=ALWAYS, captcha_token="wrong", idempotency=key(body=b"wrong")))
    assert world.start(client=ALWAYS, captcha_token=TOKEN, idempotency=key(body=b"with")).created
    with pytest.raises(IdempotencyMismatch):
        world.start(client=ALWAYS, idempotency=key(body=b"without"))


def test_a_request_that_was_cut_off_after_its_token_was_spent_goes_on_when_it_comes_again(
    world: World, captchas: FakeCaptchas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service would refuse the token now; that this request has spent it is known by its nonce."""

    def cut(*_: object) -> None:
        raise StoreDown("cut")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "start", cut)
        with pytest.raises(Unavailable):
            world.start(client=ALWAYS, captcha_token=TOKEN, idempotency=key())
    captchas.good.clear()
    assert world.start(client=ALWAYS, captcha_token=TOKEN, idempotency=key()).created
    assert len(captchas.asked) == 1
    refused(lambda: world.start(OTHERS[0], client=ALWAYS, captcha_token=TOKEN, idempotency=key("other")))


# --- no verdict -------------------------------------------------------------------------------------------------------


def test_while_its_service_is_silent_a_start_is_refused_for_now(world: World, captchas: FakeCaptchas) -> None:
    captchas.down = CaptchaDown("no answer in time", silent=True)
    with pytest.raises(Unavailable) as down:
        world.start(client=ALWAYS, captcha_token=TOKEN)
    assert down.value.retry_after
    assert written(world) == []
    captchas.down = None
    assert world.start(client=ALWAYS, captcha_token=TOKEN).created


def test_passing_while_silent_is_a_choice_and_still_asks_for_a_token(world: World, captchas: FakeCaptchas) -> None:
    challenged(world, captchas, pass_when_silent=True)
    captchas.down = CaptchaDown("no answer in time", silent=True)
    refused(lambda: world.start(client=ALWAYS))
    assert world.start(client=ALWAYS, captcha_token=TOKEN).created


def test_a_fault_lets_nobody_pass_whatever_is_chosen(world: World, captchas: FakeCaptchas) -> None:
    """A wrong secret of ours, or an answer that a token brought about."""
    challenged(world, captchas, pass_when_silent=True)
    captchas.down = CaptchaDown("HTTP 500 without a verdict", silent=False)
    with pytest.raises(Unavailable):
        world.start(client=ALWAYS, captcha_token=TOKEN)


class Lossy:
    """Does what it is asked, and loses the first reply of each kind."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lost: set[str] = set()

    def get(self, key: str) -> Any:
        return self._once("get", self._client.get(key))

    def pipeline(self, **options: Any) -> Any:
        pipeline = self._client.pipeline(**options)
        execute = pipeline.execute
        pipeline.execute = lambda: self._once("execute", execute())
        return pipeline

    def _once(self, kind: str, reply: Any) -> Any:
        if kind not in self._lost:
            self._lost.add(kind)
            raise redis.ConnectionError("lost")
        return reply


def test_a_lost_reply_of_redis_costs_no_token(world: World, captchas: FakeCaptchas) -> None:
    """It is asked once more, and finds its own nonce."""
    challenged(world, captchas, spent=RedisSpentTokens(Lossy(world.server.client)))  # type: ignore[arg-type]
    assert world.start(client=ALWAYS, captcha_token=TOKEN).created
    refused(lambda: world.start(OTHERS[0], client=ALWAYS, captcha_token=TOKEN))


@pytest.mark.parametrize("method", ["get", "pipeline"])
def test_where_it_can_not_be_known_whether_a_token_is_spent_nothing_starts(
    world: World, captchas: FakeCaptchas, method: str
) -> None:
    """Invariant 6."""

    class Lost:
        def __getattr__(self, name: str) -> Any:
            if name == method:
                raise redis.ConnectionError("gone")
            return getattr(world.server.client, name)

    challenged(world, captchas, spent=RedisSpentTokens(Lost()), pass_when_silent=True)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        world.start(client=ALWAYS, captcha_token=TOKEN)
    assert not [name for name in written(world) if b":v:" in name]


def test_a_token_is_spent_once_by_one_nonce(server: Server) -> None:
    spent = RedisSpentTokens(server.client)
    assert spent.spender("t") == ""
    assert [spent.spend("t", "a"), spent.spend("t", "b"), spent.spend("t", "a"), spent.spender("t")] == ["a"] * 4


# --- as a caller meets it ---------------------------------------------------------------------------------------------


def test_over_http_the_same_request_with_its_token_starts_and_no_log_holds_it(world: World) -> None:
    made = new_key()
    service = Service(world.verifier, ClientKeys([(ALWAYS, [made.hash])]), lambda: False, "1")
    http = create_app(service).test_client()
    headers = {"Authorization": f"Bearer {made.text}", "Idempotency-Key": "k"}
    body = {"to": NUMBER, "purpose": "login"}
    with capture_logs() as logs:
        first = http.post("/v1/verifications", json=body, headers=headers)
        assert (first.status_code, first.json["problem"]) == (422, "challenge_required")
        assert first.json["challenge"] == {"verifier": "turnstile", "site_key": "site-key"}
        for replayed in (None, "true"):
            answer = http.post("/v1/verifications", json=body | {"captcha_token": TOKEN}, headers=headers)
            assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, replayed)
    assert [line["problem"] for line in logs] == ["challenge_required", "", ""]
    assert TOKEN not in str(logs)


def test_while_a_client_is_braked_its_starts_need_a_token_and_no_others_do(
    real_server: Server, captchas: FakeCaptchas
) -> None:
    """Who sprays codes over many numbers needs many starts."""
    world = World(real_server, UNLIMITED).with_rules(limits=replace(UNLIMITED, spray_brake=True))
    spent = RedisSpentTokens(world.server.client)
    world.with_challenge(Challenge(captchas, spent, world.keyring.captcha))
    for n in range(500):
        try:
            id = world.start(f"+86138{n:08d}").verification.id
        except ChallengeRequired:
            break
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id))
    assert refused(lambda: world.start(NUMBER)).reason == "suspicious"
    assert world.start(NUMBER, captcha_token=TOKEN).created
    assert world.start(NUMBER, client=BANK).created
