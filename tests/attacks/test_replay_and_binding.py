"""A code and a token are good once, and for exactly what they were made for: by id and by number, over the API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import Signer, TimestampSigner
from pydantic import ValidationError

from otp_service import tokens
from otp_service.config.sections import Purpose
from otp_service.keyring import Keyring
from otp_service.policy import TOKEN_LEEWAY_SECONDS
from otp_service.store import connect, connect_async
from tests.attacks.conftest import Apis
from tests.attacks.http_api import Api
from tests.attacks.wire import Answer, Line, post
from tests.cli.processes import valkey
from tests.world import BANK, FINGERPRINT, NUMBER, SECRET, SHOP, Server, World

OTHER_NUMBER = "+8613900139000"
PURCHASE = {"amount": "100.00 CNY", "payee": "今信科技"}


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


def started(api: Api, to: str = NUMBER, **more: Any) -> str:
    answer = api.call("POST", "/verifications", {"to": to, "purpose": "login", **more}, more.pop("client", SHOP))
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


def approved(api: Api, world: World, **bound: Any) -> str:
    """A token."""
    id = started(api, **bound)
    answer = api.check(id, code=world.code_of(id), **bound)
    assert answer.outcome == "ok"
    return str(answer.json()["token"])


def by_number(api: Api, code: str, **more: Any) -> Answer:
    return api.call("POST", "/verifications/check", {"to": NUMBER, "purpose": "login", "code": code, **more})


def left(api: Api, id: str) -> int:
    return int(api.call("GET", f"/verifications/{id}").json()["attempts_left"])


def presented(api: Api, token: str, **more: Any) -> Answer:
    client = more.pop("client", SHOP)
    return api.call("POST", "/tokens/verify", {"token": token, "purpose": "login", "to": NUMBER, **more}, client)


# --- replay -----------------------------------------------------------------------------------------------------------


def test_an_approved_code_is_refused_from_then_on_by_id_by_number_and_at_a_fresh_node(world: World, api: Api) -> None:
    """T19."""
    id = started(api)
    code = world.code_of(id)
    assert api.check(id, code=code).outcome == "ok"
    fresh = Api(World(world.server))
    for node in (api, fresh):
        assert node.check(id, code=code).outcome == "already_approved"
        assert by_number(node, code).outcome == "already_approved"


@pytest.mark.xdist_group("apis")
def test_an_approved_code_is_refused_by_another_process(apis: Apis, unlimited: World) -> None:
    """T19: on another node."""
    id = unlimited.start().verification.id
    request = post(f"/v1/verifications/{id}/check", apis.shop, {"code": unlimited.code_of(id)})
    said = []
    for address in (*apis.addresses, *apis.addresses):
        with Line(address) as line:
            said.append(line.ask(request).outcome)
    assert said == ["ok", *["already_approved"] * 3]


def test_an_approved_code_is_refused_after_redis_was_restarted(tmp_path: Path) -> None:
    """T19: after a restart."""
    log = ("--appendonly", "yes", "--appendfsync", "always")
    with valkey(tmp_path, *log) as url:
        world = World(Server(connect(url), lambda: connect_async(url, 1.0), url))
        id = world.start().verification.id
        code = world.code_of(id)
        world.check(id, code)
    with valkey(tmp_path, *log) as url:
        assert Api(World(Server(connect(url), lambda: connect_async(url, 1.0), url))).check(id, code=code).outcome == (
            "already_approved"
        )


def test_the_same_check_with_the_same_key_five_times_is_one_token(world: World, api: Api) -> None:
    """T32: byte for byte; another key meets the end."""
    id = started(api)
    code = world.code_of(id)
    ask = lambda key: api.call("POST", f"/verifications/{id}/check", {"code": code}, Idempotency_Key=key)  # noqa: E731
    answers = [ask("one") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["token"] for answer in answers}) == 1
    assert ["Idempotent-Replayed" in dict(answer.headers) for answer in answers] == [False] + [True] * 4
    assert ask("another").outcome == "already_approved"


def test_a_token_that_is_presented_again_is_used_up(world: World, api: Api) -> None:
    """T27."""
    token = approved(api, world)
    said = [presented(api, token, consume=consume).outcome for consume in (False, True, True, False)]
    assert said == ["ok", "ok", "token_used", "token_used"]


# --- another purpose, recipient, session, context ---------------------------------------------------------------------


def test_a_login_code_resets_no_password(world: World, api: Api) -> None:
    """T20: by number there is no such verification; by id it is a counted wrong code."""
    id = started(api)
    code = world.code_of(id)
    assert by_number(api, code, purpose="password_reset").outcome == "not_found"
    assert left(api, id) == 5
    refused = api.check(id, code=code, purpose="password_reset")
    assert (refused.outcome, refused.json()["attempts_left"]) == ("code_mismatch", 4)
    assert api.check(id, code=code, purpose="login").outcome == "ok"


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ({}, {"to": OTHER_NUMBER}),
        ({}, {"to": "+8613800138001"}),
        ({"session": "A"}, {"session": "B"}),
        ({"session": "A"}, {"session": "a"}),
        ({"session": "A"}, {"session": "A\u00a0"}),
        ({"session": "Å"}, {"session": "A\u030a"}),
    ],
)
def test_another_recipient_or_session_costs_one_attempt(
    world: World, api: Api, bound: dict[str, Any], said: dict[str, Any]
) -> None:
    """T21."""
    id = started(api, **bound)
    refused = api.check(id, code=world.code_of(id), **{**bound, **said})
    assert (refused.outcome, refused.json()["attempts_left"]) == ("code_mismatch", 4)
    assert api.check(id, code=world.code_of(id), **bound).outcome == "ok"


@pytest.mark.parametrize(
    "altered",
    [
        {**PURCHASE, "amount": "900.00 CNY"},
        {**PURCHASE, "amount": "100.00 CNY "},
        {**PURCHASE, "payee": "今信科枝"},
        {**PURCHASE, "more": ""},
        {"amount": PURCHASE["amount"]},
        {"payee": PURCHASE["amount"], "amount": PURCHASE["payee"]},
        {},
    ],
)
@pytest.mark.parametrize("session", [{}, {"session": "s"}])
def test_an_altered_purchase_costs_one_attempt(
    world: World, api: Api, altered: dict[str, str], session: dict[str, str]
) -> None:
    """T26: by id and by number."""
    id = started(api, context=PURCHASE, **session)
    code = world.code_of(id)
    assert api.check(id, code=code, context=altered, **session).json()["attempts_left"] == 4
    assert by_number(api, code, context=altered, **session).json()["attempts_left"] == 3
    reordered = dict(reversed(PURCHASE.items()))
    assert api.check(id, code=code, context=reordered, **session).outcome == "ok"


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [60, 300, 600])
def test_a_code_lives_to_its_last_millisecond(server: Server, ttl: int) -> None:
    """T24."""
    world = World(server, ttl=ttl)
    world.freeze_clock()
    api = Api(world)
    early, late = (started(api, session=session) for session in "ab")
    codes = [world.code_of(id) for id in (early, late)]
    world.move_clock(ttl - 0.001)
    assert api.check(early, code=codes[0], session="a").outcome == "ok"
    world.move_clock(0.001)
    assert api.check(late, code=codes[1], session="b").outcome == "expired"


@pytest.mark.parametrize("ttl", [59, 601, 1801])
def test_no_code_is_configured_to_live_longer_than_it_may(ttl: int) -> None:
    """T24: ten minutes, or up to thirty where the file says that it knows."""
    with pytest.raises(ValidationError, match="ttl"):
        Purpose(ttl=ttl)
    with pytest.raises(ValidationError, match="ttl") if ttl != 601 else nullcontext():
        Purpose(ttl=ttl, allow_long_ttl=True)


# --- resend -----------------------------------------------------------------------------------------------------------


def sent_twice(world: World, api: Api, session: str, deliver: bool) -> tuple[str, str, str]:
    """Id, the code of the first send, and that of the second, which was handed over if `deliver`."""
    id = started(api, session=session)
    world.deliver()
    old = world.code_of(id)
    world.move_clock(61)
    assert api.call("POST", f"/verifications/{id}/resend").status == 200
    new = world.code_of(id, 1)
    if deliver:
        world.deliver()
    return id, old, new


def test_a_rotated_code_replaces_the_old_one_once_a_gateway_has_accepted_it(server: Server) -> None:
    """T23 (`rotate`)."""
    world = World(server, resend="rotate")
    api = Api(world)
    id, old, new = sent_twice(world, api, "before", deliver=False)
    assert api.check(id, code=new, session="before").outcome == "code_mismatch"
    assert api.check(id, code=old, session="before").outcome == "ok"
    id, old, new = sent_twice(world, api, "after", deliver=True)
    assert api.check(id, code=old, session="after").outcome == "code_mismatch"
    assert api.check(id, code=new, session="after").outcome == "ok"


def test_a_resend_keeps_code_and_expiry(world: World, api: Api) -> None:
    """T23 (`reuse`)."""
    id = started(api)
    world.deliver()
    before = api.call("GET", f"/verifications/{id}").json()
    world.move_clock(61)
    again = api.call("POST", f"/verifications/{id}/resend").json()
    world.deliver()
    assert (again["expires_at"], again["sends"]) == (before["expires_at"], 2)
    assert len(set(world.gateways[0].codes)) == 1
    assert api.check(id, code=world.gateways[0].codes[0]).outcome == "ok"


# --- tokens -----------------------------------------------------------------------------------------------------------

BOUND: dict[str, Any] = {"session": "s", "context": PURCHASE}


def same_refusal(answers: list[Answer]) -> bool:
    """One answer: status, headers and body, but for the request's own id."""
    looks = {
        (one.status, one.body, tuple(header for header in one.headers if header[0] != "X-Request-Id"))
        for one in answers
    }
    return len(looks) == 1 and answers[0].json()["problem"] == "token_invalid"


def test_a_token_for_anything_else_is_one_answer_whatever_is_wrong(world: World, api: Api) -> None:
    """T29: another purpose, client, recipient, session or context."""
    token = approved(api, world, **BOUND)
    wrong: list[dict[str, Any]] = [
        {"purpose": "signup"},
        {"client": BANK},
        {"to": OTHER_NUMBER},
        {"session": "S"},
        {"session": None},
        {"context": {**PURCHASE, "amount": "1"}},
        {"context": None},
        {"client": BANK, "purpose": "signup", "to": OTHER_NUMBER, "session": None, "context": None},
    ]
    assert same_refusal([presented(api, token, **{**BOUND, **one}) for one in wrong])
    assert presented(api, token, **BOUND).outcome == "ok"


def test_no_other_value_that_we_sign_or_make_passes_for_a_token(world: World, api: Api) -> None:
    """T29: another verification's parts, an id, an API key, other signers' values under the very same key."""
    token, other = approved(api, world), approved(api, world, session="other")
    key = world.keyring.token_key("a", "shop", "login")
    kid, payload, signature = token.split(".")
    _, other_payload, other_signature = other.split(".")
    values = [
        f"{kid}.{payload}.{other_signature}",
        f"{kid}.{other_payload}.{signature}",
        f"{kid}.{TimestampSigner(key).sign(payload).decode()}",
        f"{kid}.{TimestampSigner(key, salt=b'otp-service token v1').sign(payload).decode()}",
        f"{kid}.{Signer(key, key_derivation='hmac').sign(payload).decode()}",
        api.start(OTHER_NUMBER).json()["id"],
        "otp_" + "0" * 46,
        world.keyring.recipient(NUMBER),
    ]
    assert same_refusal([presented(api, value) for value in values])


def test_a_key_that_is_retired_unknown_empty_or_of_another_hash_signs_no_token(world: World, api: Api) -> None:
    """T30."""
    token = approved(api, world)
    key = world.keyring.token_key("a", "shop", "login")
    facts = tokens.read(token, key, world.store.now() // 1000)
    payload = token.split(".")[1]
    weak = Signer(key, salt=b"otp-service token v1", digest_method=sha1, key_derivation="hmac")
    values = [
        tokens.mint("a", b"", facts),
        tokens.mint("a", bytes(32), facts),
        tokens.mint("b", key, facts),
        tokens.mint("", key, facts),
        tokens.mint("A", key, facts),
        f"a.{weak.sign(payload).decode()}",
    ]
    answers = [presented(api, value) for value in values]
    retired = Api(World(world.server).with_keyring(Keyring([("b", bytes(32))], FINGERPRINT)))
    answers.append(presented(retired, token))
    assert same_refusal(answers)
    assert presented(api, token).outcome == "ok"


def ahead(world: World, token: str, seconds: int) -> str:
    """The same approval, minted by a node whose clock is ahead by so much."""
    key = world.keyring.token_key("a", "shop", "login")
    facts = tokens.read(token, key, world.store.now() // 1000)
    later = facts._replace(approved_at=facts.approved_at + seconds, expires_at=facts.expires_at + seconds)
    return tokens.mint("a", key, later)


@pytest.mark.parametrize(("seconds", "said"), [(2, "ok"), (TOKEN_LEEWAY_SECONDS, "ok"), (10, "token_invalid")])
def test_a_token_of_a_node_that_is_a_little_ahead_is_good(world: World, api: Api, seconds: int, said: str) -> None:
    """T31."""
    world.freeze_clock()
    assert presented(api, ahead(world, approved(api, world), seconds)).outcome == said


def test_an_old_key_is_needed_for_as_long_as_its_last_token_lives_and_no_longer(world: World) -> None:
    """T30: that is token_ttl, and the skew of the node that minted it, after the new key came first."""
    world.freeze_clock()
    world.move_clock(1 - world.store.now() % 1000 / 1000)
    last = ahead(world, approved(Api(world), world), TOKEN_LEEWAY_SECONDS)
    overlap = World(world.server).with_keyring(Keyring([("b", bytes(32)), ("a", SECRET)], FINGERPRINT))
    ask: Callable[[], Answer] = lambda: presented(Api(overlap), last)  # noqa: E731
    world.move_clock(600 + TOKEN_LEEWAY_SECONDS - 0.001)
    assert ask().outcome == "ok"
    world.move_clock(0.001)
    assert ask().outcome == "token_expired"
