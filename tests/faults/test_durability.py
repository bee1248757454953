"""`durability = "wait"`: nobody is told of what a replica does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service import config as configuration
from otp_service import wiring
from otp_service.cli import findings
from otp_service.config import Config
from otp_service.errors import AlreadyApproved, CodeMismatch, ConfigError, Expired, TokenInvalid, TokenUsed, Unavailable
from otp_service.idempotency import new_nonce
from otp_service.store.fields import RECORD
from otp_service.verification import Status
from otp_service.verifier import _CLOSED, CheckRequest, Idempotency, ResendRequest, StartRequest, TokenRequest
from tests.faults.installation import config_file
from tests.faults.load import answered
from tests.faults.replicas import Pair, pair
from tests.world import NUMBER, SHOP, UNLIMITED, World

AMPLE_MS = 1500
"""A replica that runs has confirmed long before, also on a machine that is busy."""
SHORT_MS = 20
"""What a caller waits for a replica that is stopped."""
KEY = Idempotency("k", "/", b"")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as two:
        yield two


@pytest.fixture
def two(servers: Pair) -> Pair:
    """A master with a replica that has all of it: nothing."""
    servers.master.client.flushall()
    servers.until_linked()
    assert servers.master.client.execute_command("WAIT", 1, 30_000) == 1
    return servers


def world_of(two: Pair, within_ms: int = AMPLE_MS) -> World:
    """One process of ours, with connections of its own."""
    return World(two.server(), UNLIMITED, cooldown=(1,)).with_replica(within_ms)


def refused(call: Callable[[], Any]) -> None:
    with pytest.raises(Unavailable) as said:
        call()
    assert said.value.retry_after


def test_what_somebody_was_told_of_stands_on_the_replica(two: Pair) -> None:
    world = world_of(two)
    started = world.start()
    id, record = started.verification.id, f"*:v:{started.verification.id}"
    [key] = two.replica.client.keys(record)
    code = world.code_of(id)
    with pytest.raises(CodeMismatch):
        world.check(id, world.wrong_code(id))
    assert two.replica.client.hget(key, RECORD["attempts"]) == b"1"
    token = world.check(id, code).token
    assert two.replica.client.hget(key, RECORD["status"]) == b"approved"
    world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER, consume=True))
    assert two.replica.client.hexists(key, RECORD["used"])
    other = world.start(purpose="signup").verification.id
    assert world.verifier.cancel(SHOP, other).status is Status.CANCELED
    [key] = two.replica.client.keys(f"*:v:{other}")
    assert two.replica.client.hget(key, RECORD["status"]) == b"canceled"


class TestTheConfiguration:
    """What it says reaches the store, and what the server lacks for it is said at the start."""

    def config(self, folder: Path, url: str, redis: str) -> Config:
        return configuration.load(config_file(folder, url, "http://127.0.0.1:1/", redis), {})

    def test_wait_waits(self, two: Pair, tmp_path: Path) -> None:
        verifier = wiring.build_verifier(self.config(tmp_path, two.master.url, 'durability = "wait"'))
        with two.replica.frozen():
            refused(lambda: verifier.start(SHOP, StartRequest(NUMBER, "login")))

    def test_a_start_says_that_nobody_follows(self, two: Pair, tmp_path: Path) -> None:
        alone = self.config(tmp_path, two.replica.url, 'durability = "wait"')
        assert "no replica is connected" in (wiring.check_server(alone) or "")
        told = {finding.about: finding for finding in findings.of_redis(alone)}
        assert told["redis replicas"].level is findings.Level.FAIL
        followed = self.config(tmp_path, two.master.url, 'durability = "wait"')
        assert wiring.check_server(followed) is None
        told = {finding.about: finding for finding in findings.of_redis(followed)}
        assert told["redis replicas"].level is findings.Level.OK

    def test_a_fence_that_the_server_forbids_is_refused(self, two: Pair, tmp_path: Path) -> None:
        two.master.client.execute_command("ACL", "SETUSER", "blind", "on", ">x", "~*", "&*", "+@all", "-info")
        fenced = self.config(tmp_path, two.master.url.replace("//", "//blind:x@"), "fence = true")
        with pytest.raises(ConfigError, match=r"redis\.fence"):
            wiring.check_server(fenced)
        assert wiring.check_server(self.config(tmp_path, two.master.url, "fence = true")) is None


class TestTheFence:
    """What a failover or a restore may have undone is over: nothing that was used comes alive again."""

    def fenced(self, two: Pair) -> World:
        return world_of(two, 0).with_fence()

    def test_a_code_of_before_is_good_no_more_and_a_new_one_is_at_once(self, two: Pair) -> None:
        world = self.fenced(two)
        id = world.start().verification.id
        code = world.code_of(id)
        world.move_clock(2)
        another_line(two)
        with pytest.raises(Expired):
            world.check(id, code)
        again = world.start()
        assert again.created
        assert world.check(again.verification.id, world.code_of(again.verification.id)).token

    def test_a_token_of_before_is_good_no_more(self, two: Pair) -> None:
        world = self.fenced(two)
        id = world.start().verification.id
        use = TokenRequest(world.check(id, world.code_of(id)).token, "login", NUMBER, consume=True)
        another_line(two)
        with pytest.raises(TokenInvalid):
            world.verifier.verify_token(SHOP, use)

    def test_in_one_line_it_is_not_in_the_way(self, two: Pair) -> None:
        world = self.fenced(two)
        id = world.start().verification.id
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id))
        token = world.check(id, world.code_of(id)).token
        assert world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER, consume=True))

    def test_without_it_and_for_those_made_without_it_nothing_ends(self, two: Pair) -> None:
        id = world_of(two, 0).start().verification.id
        another_line(two)
        assert self.fenced(two).get(id).status is Status.PENDING


def another_line(two: Pair) -> None:
    """As after a failover, a restart or a restore."""
    two.master.client.execute_command("DEBUG", "CHANGE-REPL-ID")


class TestWhileNoReplicaConfirms:
    """F09: 503, and so is the retry, until a replica has it; then the one first result."""

    def test_an_approval_is_told_once_it_is_safe(self, two: Pair) -> None:
        id = world_of(two).start().verification.id
        impatient, code = world_of(two, SHORT_MS), world_of(two).code_of(id)
        with two.replica.frozen():
            refused(lambda: impatient.check(id, code, idempotency=KEY))
            # Another process, whose connections wrote nothing yet: a WAIT of theirs alone would be content.
            refused(lambda: world_of(two, SHORT_MS).check(id, code, idempotency=KEY))
        answer = answered(lambda: world_of(two).check(id, code, idempotency=KEY))
        assert answer.token
        assert answer.token == world_of(two).check(id, code, idempotency=KEY).token
        with pytest.raises(AlreadyApproved):
            world_of(two).check(id, code)

    def test_each_script_that_is_asked_again_writes_again(self, two: Pair) -> None:
        """With a key, the claim writes and then the check: of two masters in a cluster, each for itself."""
        world, nonce = world_of(two), new_nonce()
        id = world.start().verification.id
        parsed, code = world.keyring.parse_id(id), world.code_of(id)
        assert parsed

        def check() -> Any:
            # A store that has written nothing.
            asked = world_of(two, SHORT_MS).verifier._checking
            with _CLOSED:
                return asked.attempt(SHOP, parsed, CheckRequest(code), code, None, nonce)

        def claim() -> Any:
            with _CLOSED:
                return world_of(two, SHORT_MS).store.claim("name", "request", nonce)

        with two.replica.frozen():
            for _ in range(2):
                refused(check)
                refused(claim)
        assert answered(check).row.result == "approved"
        assert answered(claim).nonce == nonce

    def test_a_start_is_sent_and_told_once(self, two: Pair) -> None:
        with two.replica.frozen():
            for _ in range(2):
                refused(lambda: world_of(two, SHORT_MS).start(idempotency=KEY))
        started = answered(lambda: world_of(two).start(idempotency=KEY))
        assert started.verification.sends == 1
        assert sum(two.master.client.xlen(key) for key in two.master.client.keys("*:outbox")) <= 1

    def test_a_wrong_code_counts_once(self, two: Pair) -> None:
        world = world_of(two)
        id = world.start().verification.id
        wrong = world.wrong_code(id)
        with two.replica.frozen():
            refused(lambda: world_of(two, SHORT_MS).check(id, wrong, idempotency=KEY))
        with pytest.raises(CodeMismatch):
            answered(lambda: world.check(id, wrong, idempotency=KEY))
        assert world.get(id).attempts_left == 4

    def test_a_canceled_one_is_told_again_as_safe_only_when_it_is(self, two: Pair) -> None:
        id = world_of(two).start().verification.id
        with two.replica.frozen():
            for _ in range(2):
                refused(lambda: world_of(two, SHORT_MS).verifier.cancel(SHOP, id))
        assert answered(lambda: world_of(two).verifier.cancel(SHOP, id)).status is Status.CANCELED

    def test_a_token_is_used_up_by_whoever_was_told_nothing(self, two: Pair) -> None:
        world = world_of(two)
        id = world.start().verification.id
        use = TokenRequest(world.check(id, world.code_of(id)).token, "login", NUMBER, consume=True)
        with two.replica.frozen():
            refused(lambda: world_of(two, SHORT_MS).verifier.verify_token(SHOP, use, KEY))
        assert answered(lambda: world.verifier.verify_token(SHOP, use, KEY)).verification_id == id
        with pytest.raises(TokenUsed):
            world.verifier.verify_token(SHOP, use)

    def test_a_resend_goes_out_once(self, two: Pair) -> None:
        world = world_of(two)
        id = world.start().verification.id
        world.move_clock(2)
        with two.replica.frozen():
            refused(lambda: world_of(two, SHORT_MS).verifier.resend(SHOP, id, ResendRequest(), KEY))
        assert answered(lambda: world.verifier.resend(SHOP, id, ResendRequest(), KEY)).verification.sends == 2

    def test_without_wait_nobody_waits(self, two: Pair) -> None:
        with two.replica.frozen():
            assert world_of(two, 0).start().created

    def test_what_reads_goes_on(self, two: Pair) -> None:
        world = world_of(two, SHORT_MS)
        id = answered(world_of(two).start).verification.id
        with two.replica.frozen():
            assert world.get(id).status is Status.PENDING


def test_a_server_that_forgot_its_scripts_waits_all_the_same(two: Pair) -> None:
    world = world_of(two)
    two.master.client.script_flush()
    id = world.start().verification.id
    assert two.replica.client.keys(f"*:v:{id}")
    two.master.client.script_flush()
    with two.replica.frozen():
        refused(lambda: world_of(two, SHORT_MS).start(purpose="signup"))
