"""What an older version left in Redis: this one goes on with it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from otp_service.audit import examine
from otp_service.errors import Canceled, CodeMismatch, Exhausted, RateLimited, RecipientBlocked, TokenUsed
from otp_service.ports import Report
from otp_service.store import RedisAudit, RedisRevocations
from otp_service.verification import Delivery, Status
from otp_service.verifier import ResendRequest, TokenRequest
from tests.faults.hands import all_asleep
from tests.hooks.hook_world import SECRET, HookWorld
from tests.reports.report_world import hear
from tests.rolling.stored_state import (
    BOUND,
    CHECKED,
    FILE,
    METADATA,
    NUMBERS,
    PAUSED,
    REVOKED,
    SENT,
    asked,
    load,
    make,
    name_of,
    world_of,
)
from tests.test_store_keys import OF_CHALLENGES, OF_THE_GUARD, PATTERNS, kind_of
from tests.world import MOVABLE, SHOP, Server, World, refusal

STATE: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
IDS, TOKENS = STATE["ids"], STATE["tokens"]
AGAIN = "`python -m tests.rolling.stored_state` writes the file anew; do so only before 1.0"
NOT_IN_IT = OF_CHALLENGES | OF_THE_GUARD | {
    "waiting", "workers", "worker", "lease", "hooks_gone", "dead", "reports", "orphans", "device_failures",
}  # fmt: skip
"""What lives for seconds, is made of what fails only, or would be judged anew."""


@pytest.fixture
def world(real_server: Server) -> World:
    """The state as it was left, a second later."""
    load(real_server.client, STATE["keys"])
    real_server.client.set("test:now", STATE["now"] + 1000)
    return world_of(real_server)


def test_a_pending_verification_is_sent_again_and_approved(world: World) -> None:
    id = IDS["sent"]
    with pytest.raises(RateLimited):
        world.verifier.resend(SHOP, id, ResendRequest())
    world.move_clock(60)
    assert world.verifier.resend(SHOP, id, ResendRequest()).verification.sends == 2
    all_asleep(world.server.client)
    world.deliver()
    assert world.code_of(id) in world.gateways[0].codes
    with pytest.raises(CodeMismatch) as wrong:
        world.check(id, world.wrong_code(id), **BOUND)
    assert wrong.value.verification.attempts_left == 3, "one was counted before"
    token = world.check(id, world.code_of(id), **BOUND).token
    assert proof(world, "sent", token).metadata == METADATA


def proof(world: World, name: str, token: str) -> Any:
    return world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBERS[name], session="s", consume=True))


def test_what_waited_and_what_a_dead_worker_left_is_delivered(world: World) -> None:
    names = ("left", "waiting", "put_off")
    all_asleep(world.server.client)
    world.move_clock(10)
    world.deliver(lambda: {world.get(IDS[name]).delivery for name in names} == {Delivery.ACCEPTED})
    assert sorted(world.gateways[0].codes) == sorted(world.code_of(IDS[name]) for name in names)


def test_what_was_answered_is_answered_so_again(world: World) -> None:
    assert world.start(NUMBERS["sent"], idempotency=SENT, **asked("sent")).verification.id == IDS["sent"]
    again = world.check(IDS["approved"], STATE["code"], idempotency=CHECKED, **BOUND)
    assert (again.token, again.replayed) == (TOKENS["approved"], True)


def test_tokens_are_good_once(world: World) -> None:
    assert proof(world, "approved", TOKENS["approved"]).metadata == METADATA
    with pytest.raises(TokenUsed):
        proof(world, "used", TOKENS["used"])


@pytest.mark.parametrize(
    ("name", "end", "status"),
    [("canceled", Canceled, Status.CANCELED), ("exhausted", Exhausted, Status.EXHAUSTED)],
)
def test_what_has_ended_stays_ended(world: World, name: str, end: type[Exception], status: Status) -> None:
    with pytest.raises(end):
        world.check(IDS[name], "000000", **({} if name == "canceled" else BOUND))
    seen = world.get(IDS[name])
    assert seen.status is status
    assert [one.channel for one in seen.tries] == ["primary"]


def test_what_was_counted_counts(world: World) -> None:
    """Five wrong codes of ten, one send of five."""
    id = world.start(NUMBERS["exhausted"], purpose="signup").verification.id
    for _ in range(5):
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id))
    id = world.start(NUMBERS["exhausted"], purpose="password_reset").verification.id
    assert refusal(lambda: world.check(id, world.code_of(id)))[0] == "failures"


def test_a_report_finds_its_try(world: World) -> None:
    [only] = world.get(IDS["sent"]).tries
    hear(world, Report(only.gateway_id, NUMBERS["sent"], True))
    assert world.get(IDS["sent"]).delivery is Delivery.DELIVERED


def test_events_that_waited_reach_their_webhook(world: World) -> None:
    hooks = HookWorld(world.server)
    hooks.move_clock(3600)
    hooks.turn()
    told = [got.verified(SECRET)["data"]["verification_id"] for got in hooks.receiver.got]
    assert set(told) >= {IDS[name] for name in ("approved", "used", "canceled", "exhausted")} - {told[0]}


def test_what_operators_did_holds(world: World) -> None:
    with pytest.raises(RecipientBlocked):
        world.start(NUMBERS["suppressed"])
    assert [pause.what for pause in world.operations.look(["primary"]).pauses] == [PAUSED]
    assert RedisRevocations(world.server.client, scripts=MOVABLE).ids() == {REVOKED}
    kept = RedisAudit(world.server.client, world.keyring, scripts=MOVABLE).acts()
    assert examine(kept, world.keyring.audit_seal, "").broken is None


def test_it_holds_every_kind_of_key_that_a_deploy_outlives(world: World) -> None:
    kinds = {kind_of(key) for key in world.server.client.keys("otp:*")}
    assert kinds == set(PATTERNS) - NOT_IN_IT, AGAIN


def test_this_version_writes_the_same_fields(real_server: Server) -> None:
    """Else the file shows less than there is."""
    written, kept = (shape(keys) for keys in (make(real_server)["keys"], STATE["keys"]))
    # What a second look of the guard makes, or a beat of a worker, may be there on a slow machine.
    for kind in set(PATTERNS) - NOT_IN_IT:
        assert written[kind] == kept[kind], f"{kind}: {AGAIN}"


def shape(keys: list[dict[str, Any]]) -> dict[str, set[str]]:
    """By the kind of a key, its fields or those of its entries. What is named by data (a nonce, an id) is left out."""
    found: dict[str, set[str]] = {}
    for one in keys:
        fields = found.setdefault(kind_of(name_of(one).encode()), {one["type"]})
        holds = one["holds"]
        if one["type"] == "hash":
            fields |= {name for name in holds if re.fullmatch("[a-z_]{1,12}[0-9]?", name)}
        for _, entry in holds["entries"] if one["type"] == "stream" else ():
            fields |= set(entry)
    return found
