"""Secret keys rotate in two steps, append and move to the front, and no process ever refuses what another one made.

While a step is rolled out two kinds of process work on one store: those that have taken it and those that have not.
Each test lets one of them begin what the other one ends.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import pytest

from otp_service.errors import CodeMismatch, TokenExpired, TokenInvalid, TokenUsed, Unavailable
from otp_service.keyring import Keyring
from otp_service.policy import TOKEN_LEEWAY_SECONDS
from otp_service.verification import Status
from otp_service.verifier import CheckRequest, Idempotency, ResendRequest, StartRequest, TokenRequest, Verifier
from tests.hooks.hook_world import MASK, HookWorld, new_secret
from tests.world import FINGERPRINT, NUMBER, SHOP, Server, World

_SECRETS = {kid: hashlib.sha256(kid.encode()).digest() for kid in "abc"}
STEPS = ("a", "ab", "ba", "b")
"""The keys that a process holds, the one that signs first: before, appended, moved to the front, the old removed."""
MIXED = [pair for old, new in pairwise(STEPS) for pair in ((old, new), (new, old))]
BOUND: dict[str, Any] = {"session": "s", "context": {"amount": "1"}}


def keyring(kids: str) -> Keyring:
    return Keyring([(kid, _SECRETS[kid]) for kid in kids], FINGERPRINT)


class Fleet:
    """Two processes on one store; `world` knows every key."""

    def __init__(self, world: World, one: str, other: str) -> None:
        self.world = world.with_keyring(keyring("ab"))
        self.one = Verifier(world.store, keyring(one), world.rules)
        self.other = Verifier(world.store, keyring(other), world.rules)


@pytest.fixture(params=MIXED, ids="-".join)
def fleet(real_world: World, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(real_world, *request.param)


def once(name: str) -> Idempotency:
    return Idempotency(name, "/", b"")


def token_of(token: str, *, consume: bool = False) -> TokenRequest:
    return TokenRequest(token, "login", NUMBER, **BOUND, consume=consume)


class TestEachMixedStep:
    """F31, T30: whichever of the two a balancer chooses."""

    @pytest.mark.parametrize("resend", ["reuse", "rotate"])
    @pytest.mark.parametrize("pair", MIXED, ids="-".join)
    def test_lets_a_send_be_repeated_and_resent(self, real_server: Server, pair: tuple[str, str], resend: str) -> None:
        fleet = Fleet(World(real_server, resend=resend), *pair)
        asked = StartRequest(NUMBER, "login", metadata={"order": "7"}, **BOUND)
        started = fleet.one.start(SHOP, asked, once("start"))
        id = started.verification.id
        replayed = fleet.other.start(SHOP, asked, once("start"))
        assert (replayed.verification.id, replayed.replayed) == (id, True)
        assert fleet.other.get(SHOP, id).metadata == {"order": "7"}
        assert [seen.to for seen in fleet.other.lookup(SHOP, NUMBER)] == [started.verification.to]
        fleet.world.move_clock(61)
        assert fleet.other.resend(SHOP, id, ResendRequest(), once("resend")).verification.sends == 2
        assert fleet.one.resend(SHOP, id, ResendRequest(), once("resend")).replayed
        fleet.world.move_clock(61)
        assert fleet.other.start(SHOP, asked).verification.sends == 3

    def test_counts_attempts_at_both_and_gives_one_token(self, fleet: Fleet) -> None:
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login", **BOUND)).verification.id
        for left, process in ((4, fleet.other), (3, fleet.one)):
            with pytest.raises(CodeMismatch) as wrong:
                process.check(SHOP, id, CheckRequest(fleet.world.wrong_code(id), **BOUND), once(f"wrong {left}"))
            assert wrong.value.verification is not None
            assert wrong.value.verification.attempts_left == left
        with pytest.raises(CodeMismatch) as again:
            fleet.one.check(SHOP, id, CheckRequest(fleet.world.wrong_code(id), **BOUND), once("wrong 4"))
        assert again.value.replayed
        right = CheckRequest(fleet.world.code_of(id), **BOUND)
        first, second = (process.check(SHOP, id, right, once("right")) for process in (fleet.other, fleet.one))
        assert (first.token, second.replayed) == (second.token, True)
        assert fleet.one.verify_token(SHOP, token_of(first.token))
        assert fleet.other.verify_token(SHOP, token_of(first.token, consume=True))
        with pytest.raises(TokenUsed):
            fleet.one.verify_token(SHOP, token_of(first.token, consume=True))

    def test_finishes_what_a_dead_process_has_begun(self, fleet: Fleet) -> None:
        """Its claim stands, its answer was never kept: the other one runs the request again, with the same token."""
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login", **BOUND)).verification.id
        right = CheckRequest(fleet.world.code_of(id), **BOUND)
        token = fleet.one.check(SHOP, id, right, once("right")).token
        [claim] = fleet.world.server.client.keys("otp:i:*")
        fleet.world.server.client.hdel(claim, "answer")
        assert fleet.other.check(SHOP, id, right, once("right")).token == token

    def test_checks_by_recipient_and_cancels(self, fleet: Fleet) -> None:
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login")).verification.id
        by_recipient = CheckRequest(fleet.world.code_of(id), to=NUMBER, purpose="login")
        assert fleet.other.check_by_recipient(SHOP, by_recipient).token
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "signup")).verification.id
        assert fleet.other.cancel(SHOP, id).status is Status.CANCELED
        assert fleet.one.cancel(SHOP, id).status is Status.CANCELED

    def test_counts_for_both_under_one_name(self, fleet: Fleet) -> None:
        """The cooldown, and whatever is counted, hang on fingerprint_key, which does not rotate."""
        fleet.one.start(SHOP, StartRequest(NUMBER, "login"))
        with pytest.raises(Exception, match="cooldown"):
            fleet.other.start(SHOP, StartRequest(NUMBER, "login"))

    @pytest.mark.parametrize("pair", MIXED, ids="-".join)
    def test_delivers_by_a_worker_of_the_other_kind(self, real_world: World, pair: tuple[str, str]) -> None:
        """The code in the message is the one that the first process takes."""
        fleet = Fleet(real_world, *pair)
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login")).verification.id
        real_world.with_keyring(keyring(pair[1])).deliver()
        [code] = real_world.gateways[0].codes
        assert fleet.one.check(SHOP, id, CheckRequest(code)).token

    @pytest.mark.parametrize(("one", "other"), MIXED)
    def test_tells_webhooks_of_numbers_that_the_other_kind_sealed(
        self, real_server: Server, one: str, other: str
    ) -> None:
        hooks = HookWorld(real_server)
        hooks.keyring = keyring(one)
        hooks.happen()
        hooks.keyring = keyring(other)
        hooks.turn()
        assert hooks.receiver.got[0].document["data"]["to"] == MASK


class TestOtherwise:
    def test_a_step_that_is_left_out_would_refuse(self, real_world: World) -> None:
        """The tests above would notice: signing with a key that not everybody has yet."""
        fleet = Fleet(real_world, "ba", "a")
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login", **BOUND)).verification.id
        with pytest.raises(Unavailable, match="not configured here"):
            fleet.other.check(SHOP, id, CheckRequest(fleet.world.code_of(id), **BOUND))
        token = fleet.one.check(SHOP, id, CheckRequest(fleet.world.code_of(id), **BOUND)).token
        with pytest.raises(TokenInvalid):
            fleet.other.verify_token(SHOP, token_of(token))

    def test_a_third_key_can_follow_before_the_first_one_is_gone(self, real_world: World) -> None:
        """Somebody is in a hurry: each process holds all keys that still matter."""
        id = Fleet(real_world, "ab", "ba").one.start(SHOP, StartRequest(NUMBER, "login")).verification.id
        code = real_world.code_of(id)
        real_world.with_keyring(keyring("cba"))
        assert real_world.check(id, code).token

    def test_an_old_token_lives_as_long_as_it_was_to_and_no_longer(self, real_world: World) -> None:
        """T30: to the second, while its key verifies; when the key goes, it is nothing but refused anyway."""
        real_world.freeze_clock()
        fleet = Fleet(real_world, "ab", "ba")
        id = fleet.one.start(SHOP, StartRequest(NUMBER, "login", **BOUND)).verification.id
        token = fleet.one.check(SHOP, id, CheckRequest(fleet.world.code_of(id), **BOUND)).token
        assert token.startswith("a.")
        expires = fleet.other.verify_token(SHOP, token_of(token)).expires_at
        fleet.world.move_clock((expires - fleet.world.store.now()) / 1000 - 1)
        assert fleet.other.verify_token(SHOP, token_of(token))
        for later in (1, TOKEN_LEEWAY_SECONDS):
            fleet.world.move_clock(later)
            with pytest.raises(TokenExpired):
                fleet.other.verify_token(SHOP, token_of(token))
        with pytest.raises(TokenInvalid):
            Verifier(fleet.world.store, keyring("b"), fleet.world.rules).verify_token(SHOP, token_of(token))

    def test_a_webhooks_receiver_may_take_its_new_secret_before_or_after_us(self, real_server: Server) -> None:
        """Two secrets, two signatures: whichever of them the receiver knows."""
        old, new = new_secret("old"), new_secret("new")
        hooks = HookWorld(real_server, shop={"secrets": (old, new)})
        hooks.happen()
        hooks.turn()
        [got] = hooks.receiver.got
        assert got.verified(old) == got.verified(new) == got.document
