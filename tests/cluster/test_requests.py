"""What a request asks of a cluster: every answer is that of one server, and every script stays in one slot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otp_service.errors import AlreadyApproved, CodeMismatch, RateLimited, TokenUsed, Unavailable
from otp_service.keyring import PARTITIONS
from otp_service.policy import Limits, Spend, Window
from otp_service.store import RedisSpentTokens
from otp_service.verification import Status
from otp_service.verifier import Idempotency, ResendRequest, TokenRequest
from tests.cluster.cluster_world import ClusterWorld, Heard, world_on
from tests.cluster.nodes import Cluster
from tests.world import NUMBER, SHOP

KEY = Idempotency("k", "/", b"")
ASKED_BY_REQUESTS = {
    "start", "resend", "check", "cancel", "view", "token", "claim", "keep", "release", "charge", "spend", "unspend",
    "brake", "pools", "standing", "now",
}  # fmt: skip


@pytest.fixture
def world(masters: Cluster) -> Iterator[ClusterWorld]:
    with world_on(masters) as made:
        yield made


def number(n: int) -> str:
    """Of a neighbourhood of its own, and so most likely of another partition."""
    return f"+86138{n:04d}8000"


def test_a_verification_lives_as_on_one_server(world: ClusterWorld) -> None:
    id = world.start(device="d").verification.id
    assert world.verifier.resend(SHOP, id, ResendRequest()).verification.sends == 2
    with pytest.raises(CodeMismatch):
        world.check(id, world.wrong_code(id), device="d")
    code = world.code_of(id)
    token = world.check(id, code, device="d").token
    use = TokenRequest(token, "login", NUMBER, consume=True)
    assert world.verifier.verify_token(SHOP, use)
    with pytest.raises(TokenUsed):
        world.verifier.verify_token(SHOP, use)
    with pytest.raises(AlreadyApproved):
        world.check(id, code)
    assert world.get(id).status is Status.APPROVED


def test_partitions_of_all_masters_serve(world: ClusterWorld) -> None:
    began = [world.start(number(n)).verification for n in range(100)]
    assert all(world.check(one.id, world.code_of(one.id)).token for one in began)
    records = [len(node.client.keys("*:v:*")) for node in world.cluster.masters]
    assert sum(records) == 100
    assert min(records) > 0


def test_a_key_repeats_the_answer_wherever_its_claim_lies(world: ClusterWorld) -> None:
    starts = [world.start(idempotency=KEY) for _ in range(2)]
    id = starts[0].verification.id
    assert starts[1].verification.id == id
    assert starts[1].verification.sends == 1
    code = world.code_of(id)
    assert world.check(id, code, idempotency=KEY).token == world.check(id, code, idempotency=KEY).token


def test_limits_of_many_slots_count_together(world: ClusterWorld) -> None:
    """An address, a client and everybody lie on masters of their own, and are asked in one go."""
    world.with_rules(
        limits=Limits(recipient=(), failures=(), prefix=(), client_ip=(Window(2, 3600),)),
        spend=Spend({"*": 1}, client=1000, installation=1000),
    )
    for n in range(2):
        world.start(number(n), client_ip="192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        world.start(number(2), client_ip="192.0.2.1")
    assert refused.value.limit == "client_ip"
    spent = {int(value) for key in world.server.client.scan_iter("*:spent") for value in world.server.client.hvals(key)}
    assert spent == {2}, "what was refused is given back"


def test_a_captcha_token_is_spent_once(world: ClusterWorld) -> None:
    spent = RedisSpentTokens(world.server.client)
    assert [spent.spend("token", nonce) for nonce in ("first", "second", "first")] == ["first"] * 3
    assert spent.spender("token") == "first"
    assert spent.spender("another") == ""


def test_every_script_of_a_request_stays_in_one_slot(masters: Cluster) -> None:
    """A server refuses one that does not. This counts that each was run, or the test says nothing."""
    scripts = Heard()
    with world_on(masters, scripts=scripts) as world:
        one_price = Spend({"*": 1}, client=1, installation=9)
        world.with_rules(limits=Limits(client_ip=(Window(9, 3600),)), spend=one_price)
        id = world.start(idempotency=KEY, client_ip="192.0.2.1", device="d").verification.id
        with pytest.raises(RateLimited):  # the other one's price, after its own was counted for everybody
            world.start(number(1), idempotency=Idempotency("l", "/", b""), client_ip="192.0.2.1")
        world.with_rules(spend=Spend())
        world.verifier.resend(SHOP, id, ResendRequest())
        token = world.check(id, world.code_of(id), device="d").token
        world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER, consume=True))
        world.get(id)
        other = world.start(purpose="signup").verification.id
        world.verifier.cancel(SHOP, other)
        world.verifier.lookup(SHOP, NUMBER)
        world.verifier.enable(SHOP, NUMBER)
        world.store.brake("shop", 1, 1)
        world.store.sky(["primary", "backup"])
        world.store.now()
    assert scripts.names >= ASKED_BY_REQUESTS


def test_what_awaits_a_replica_is_refused_where_a_master_has_none(masters: Cluster) -> None:
    with world_on(masters, wait_ms=1) as world, pytest.raises(Unavailable):
        world.start()


def test_a_master_that_forgot_the_scripts_is_told_them(world: ClusterWorld) -> None:
    id = world.start().verification.id
    for node in world.cluster.masters:
        node.client.script_flush()
    assert world.check(id, world.code_of(id)).token


def test_connections_that_were_cut_are_made_anew(world: ClusterWorld) -> None:
    ids = [world.start(number(n)).verification.id for n in range(PARTITIONS)]
    codes = [world.code_of(id) for id in ids]
    for node in world.cluster.masters:
        node.client.client_kill_filter(_type="normal", skipme=True)
    assert all(world.check(id, code).token for id, code in zip(ids, codes, strict=True))
