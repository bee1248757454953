"""Tokens: genuine for exactly one client, purpose, recipient, session and context, in exactly one spelling."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer, URLSafeSerializer

from otp_service import tokens
from otp_service.errors import Forbidden, InvalidRecipient, TokenExpired, TokenInvalid, TokenUsed, UnknownPurpose
from otp_service.keyring import Keyring
from otp_service.policy import TOKEN_LEEWAY_SECONDS
from otp_service.verifier import TokenFacts, TokenRequest
from tests.world import BANK, FINGERPRINT, NUMBER, SECRET, SHOP, World

KEY = bytes(range(32))
TOKEN = tokens.Token("id-1", "ver_1", "to-hash", "session-hash", None, approved_at=1_000_000, expires_at=1_000_600)
BOUND: dict[str, Any] = {"session": "s", "context": {"amount": "1"}}


def approved(world: World, **start: Any) -> str:
    """A token, and nothing else."""
    id = world.start(**start).verification.id
    binding = {name: start[name] for name in ("session", "context") if name in start}
    token: str = world.check(id, world.code_of(id), client=start.get("client", SHOP), **binding).token
    return token


def verify(world: World, token: str, **more: Any) -> TokenFacts:
    client = more.pop("client", SHOP)
    return world.verifier.verify_token(client, TokenRequest(token, **{"purpose": "login", "to": NUMBER, **more}))


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(TokenInvalid) as problem:
        call()
    return problem.value.detail


# --- through the verifier ---------------------------------------------------------------------------------------------


def test_a_token_proves_what_was_approved(world: World) -> None:
    world.freeze_clock()
    started = world.start(**BOUND, metadata={"order": "1"}).verification
    world.move_clock(10)
    token = world.check(started.id, world.code_of(started.id), **BOUND).token
    facts = verify(world, token, to="138 0013 8000", **BOUND)
    assert (facts.verification_id, facts.purpose, facts.metadata) == (started.id, "login", {"order": "1"})
    assert facts.approved_at == (started.created_at + 10_000) // 1000 * 1000
    assert facts.expires_at - facts.approved_at == 600_000


def test_one_wrong_fact_is_one_answer_whatever_it_is(world: World) -> None:
    """T29."""
    token = approved(world, **BOUND)
    others: list[dict[str, Any]] = [
        {**BOUND, "purpose": "signup"},
        {**BOUND, "client": BANK},
        {**BOUND, "to": "+8613800138001"},
        {**BOUND, "session": "t"},
        {**BOUND, "session": ""},
        {**BOUND, "session": None},
        {**BOUND, "context": {"amount": "2"}},
        {**BOUND, "context": {}},
        {**BOUND, "context": None},
        {},
    ]
    assert len({refused(lambda other=other: verify(world, token, **other)) for other in others}) == 1
    assert verify(world, token, **BOUND)


def test_a_token_without_session_or_context_is_not_one_with_them(world: World) -> None:
    token = approved(world)
    for extra in ({"session": ""}, {"session": "s"}, {"context": {}}, {"context": {"a": "b"}}):
        refused(lambda extra=extra: verify(world, token, **extra))


def test_a_token_is_used_up_once(world: World) -> None:
    """T27."""
    token = approved(world)
    for _ in range(3):
        assert verify(world, token)
    assert verify(world, token, consume=True)
    for consume in (True, False):
        with pytest.raises(TokenUsed):
            verify(world, token, consume=consume)


def test_using_one_token_up_leaves_the_others(world: World) -> None:
    first, second = approved(world), approved(world, purpose="signup")
    verify(world, first, consume=True)
    assert verify(world, second, purpose="signup")


def test_a_token_lives_its_ten_minutes_and_no_second_more(world: World) -> None:
    world.freeze_clock()
    token = approved(world)
    world.move_clock(600 - (world.store.now() % 1000) / 1000 - 0.001)
    assert verify(world, token)
    world.move_clock(0.001)
    with pytest.raises(TokenExpired):
        verify(world, token)


@pytest.mark.parametrize(
    "other", [{"session": "x"}, {"session": None}, {"context": {"amount": "2"}}, {"to": "+8613800138001"}]
)
def test_an_expired_token_is_told_as_that_to_nobody_whom_it_was_not_for(world: World, other: dict[str, Any]) -> None:
    token = approved(world, **BOUND)
    world.move_clock(601)
    refused(lambda: verify(world, token, **BOUND | other))
    with pytest.raises(TokenExpired):
        verify(world, token, **BOUND)


def test_a_token_of_a_record_that_is_gone_is_not_valid(world: World) -> None:
    token = approved(world)
    world.server.client.delete(*world.server.client.keys("*:v:*"))
    refused(lambda: verify(world, token))


def test_a_token_that_nobody_gave_is_not_valid_though_its_signature_is(world: World) -> None:
    """Whoever holds the token key of a client can sign; what was not approved here stays refused here."""
    token = approved(world)
    key = world.keyring.token_key("a", "shop", "login")
    genuine = tokens.read(token, key, world.store.now() // 1000)
    for forged in (genuine._replace(id="another"), genuine._replace(verification_id="ver_" + "0" * 40)):
        refused(lambda forged=forged: verify(world, tokens.mint("a", key, forged)))


def test_one_clients_key_mints_for_no_other_client_or_purpose(world: World) -> None:
    """T29: a token of the bank's verification, signed with the shop's key."""
    token = approved(world, client=BANK)
    bank, shop = (world.keyring.token_key("a", client, "login") for client in ("bank", "shop"))
    genuine = tokens.read(token, bank, world.store.now() // 1000)
    refused(lambda: verify(world, tokens.mint("a", shop, genuine), client=BANK))
    refused(lambda: verify(world, tokens.mint("a", shop, genuine), client=SHOP))


def test_rotation_keeps_old_tokens_and_a_retired_key_ends_them(world: World) -> None:
    """T30."""
    token = approved(world)
    world.with_keyring(Keyring([("b", bytes(32)), ("a", SECRET)], FINGERPRINT))
    assert verify(world, token)
    newer = approved(world, purpose="signup")
    assert newer.startswith("b.")
    world.with_keyring(Keyring([("b", bytes(32))], FINGERPRINT))
    refused(lambda: verify(world, token))
    assert verify(world, newer, purpose="signup")


@pytest.mark.parametrize("kid", ["", "b", "A", "a ", "a\x00", "..", "é", "a" * 2000])
def test_an_unknown_key_id_is_refused(world: World, kid: str) -> None:
    """T30."""
    _, _, rest = approved(world).partition(".")
    refused(lambda: verify(world, f"{kid}.{rest}"))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a",
        "a.",
        "a..",
        "a.b.c",
        "a." + "=" * 50,
        "a." + "A" * 10**6,
        "a.é.b",
        "a.\ud800",
        "\x00",
        "null",
    ],
)
def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    refused(lambda: verify(world, token))


def test_a_question_that_can_not_be_asked_is_told_so(world: World) -> None:
    token = approved(world)
    with pytest.raises(UnknownPurpose):
        verify(world, token, purpose="sigup")
    with pytest.raises(InvalidRecipient):
        verify(world, token, to="12")
    with pytest.raises(Forbidden):
        verify(world, token, client=replace(SHOP, purposes=frozenset({"signup"})))


def test_a_token_holds_no_number_session_context_or_metadata(world: World) -> None:
    token = approved(world, session="a-session", context={"amount": "987654"}, metadata={"order": "an-order"})
    payload = base64.urlsafe_b64decode(token.split(".")[1] + "==").decode()
    for secret in (NUMBER, NUMBER[3:], "a-session", "987654", "an-order"):
        assert secret not in payload
        assert secret not in token


# --- spellings --------------------------------------------------------------------------------------------------------


def spellings(token: str) -> set[str]:
    """What base64 decoders, itsdangerous and careless parsers take for the same."""
    last = {token[:-1] + char for char in string.printable}
    each = {token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token))}
    added = {token + tail for tail in ("=", "==", "!", "!!", ".", " ", "\n", "\t", "\x00", "A", "%3D")}
    led = {head + token for head in (" ", "\n", ".", "a.", "=")}
    kid, payload, signature = token.split(".")
    inner = {
        f"{kid}.{payload}=.{signature}",
        f"{kid}.{payload}==.{signature}",
        f"{kid}.{payload}\n.{signature}",
        f"{kid}..{payload}.{signature}",
        f"{kid}.{payload}..{signature}",
        f"{kid}.{payload[:-1]}.{signature}",
        f"{kid}.{signature}.{payload}",
        f"{kid}.{payload}",
    }
    cases = {token.upper(), token.lower(), token.swapcase(), token.replace("-", "+").replace("_", "/")}
    return (last | each | added | led | inner | cases) - {token}


def test_only_the_canonical_spelling_is_a_token(world: World) -> None:
    """Single use would be worth nothing if `=` appended made another token."""
    token = approved(world, **BOUND)
    for other in spellings(token):
        refused(lambda other=other: verify(world, other, **BOUND))
    assert verify(world, token, **BOUND)


@given(st.data())
def test_no_other_text_than_the_one_minted_is_read(data: st.DataObject) -> None:
    text = tokens.mint("a", KEY, TOKEN)
    start = data.draw(st.integers(0, len(text)))
    other = text[:start] + data.draw(st.text(max_size=5)) + text[data.draw(st.integers(start, len(text))) :]
    if other != text and other.startswith("a.") and other.isascii():
        with pytest.raises(TokenInvalid):
            tokens.read(other, KEY, TOKEN.approved_at)


def signed(payload: bytes, **how: Any) -> str:
    signer = Signer(
        KEY, **{"salt": b"otp-service token v1", "digest_method": hashlib.sha256, "key_derivation": "hmac", **how}
    )
    return f"a.{signer.sign(base64.urlsafe_b64encode(payload).rstrip(b'=')).decode()}"


FACTS = {"j": "id-1", "v": "ver_1", "t": "to-hash", "s": "session-hash", "a": 1_000_000, "e": 1_000_600}


def compact(facts: object) -> bytes:
    return json.dumps(facts, separators=(",", ":"), sort_keys=True).encode()


def test_the_signers_own_form_is_what_we_read() -> None:
    """The control for the forgeries below."""
    assert tokens.read(signed(compact(FACTS)), KEY, 1_000_000) == TOKEN
    assert signed(compact(FACTS)) == tokens.mint("a", KEY, TOKEN)


@pytest.mark.parametrize(
    "how",
    [
        {"digest_method": hashlib.sha1},
        {"salt": b"itsdangerous.Signer"},
        {"salt": b""},
        {"key_derivation": "django-concat"},
        {"key_derivation": "none"},
    ],
)
def test_another_signature_with_the_same_key_is_refused(how: dict[str, Any]) -> None:
    """T30: sha1-signed among them."""
    with pytest.raises(TokenInvalid):
        tokens.read(signed(compact(FACTS), **how), KEY, 1_000_000)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b"{",
        b"\xff",
        compact({**FACTS, "x": "more"}),
        compact({**FACTS, "c": None}),
        compact({**FACTS, "a": "1000000"}),
        compact({**FACTS, "a": 1_000_000.5}),
        compact({**FACTS, "a": True}),
        compact({**FACTS, "a": None}),
        compact({name: value for name, value in FACTS.items() if name != "v"}),
        json.dumps(FACTS).encode(),
        json.dumps(FACTS, separators=(",", ":"), sort_keys=True, indent=1).encode(),
        compact(FACTS).replace(b"id-1", rb"id\u002d1"),
        compact(FACTS) + b"\n",
    ],
)
def test_a_payload_that_we_would_not_write_is_refused_though_its_signature_is_good(payload: bytes) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read(signed(payload), KEY, 1_000_000)


def test_a_compressed_payload_is_refused() -> None:
    """The form that itsdangerous' own serializer gives long values: a leading dot, then zlib."""
    squeezed = base64.urlsafe_b64encode(zlib.compress(compact(FACTS))).rstrip(b"=")
    signer = Signer(KEY, salt=b"otp-service token v1", digest_method=hashlib.sha256, key_derivation="hmac")
    for text in (signer.sign(b"." + squeezed).decode(), URLSafeSerializer(KEY).dumps(FACTS)):
        with pytest.raises(TokenInvalid):
            tokens.read(f"a.{text}", KEY, 1_000_000)


@pytest.mark.parametrize("key", [b"", b"\x00", bytes(32), KEY[:31]])
def test_another_key_reads_nothing(key: bytes) -> None:
    """T30: the empty key among them."""
    with pytest.raises(TokenInvalid):
        tokens.read(tokens.mint("a", KEY, TOKEN), key, 1_000_000)


@pytest.mark.parametrize(
    ("ahead", "good"), [(0, True), (2, True), (TOKEN_LEEWAY_SECONDS, True), (6, False), (10, False), (300, False)]
)
def test_a_node_whose_clock_is_ahead_by_seconds_is_believed_and_by_more_is_not(ahead: int, good: bool) -> None:
    """T31."""
    text = tokens.mint("a", KEY, TOKEN._replace(approved_at=1_000_000 + ahead))
    if good:
        assert tokens.read(text, KEY, 1_000_000)
    else:
        with pytest.raises(TokenInvalid):
            tokens.read(text, KEY, 1_000_000)


def test_a_token_expires_at_its_second_and_not_before() -> None:
    tokens.refuse_expired(TOKEN, TOKEN.expires_at - 1)
    for late in (0, 1, 10**9):
        with pytest.raises(TokenExpired):
            tokens.refuse_expired(TOKEN, TOKEN.expires_at + late)


# --- offline ----------------------------------------------------------------------------------------------------------


def test_a_client_with_its_key_verifies_offline_with_nothing_but_hmac(world: World) -> None:
    """What `keys token-key` is for, written with the standard library only."""
    token = approved(world, **BOUND)
    key = world.keyring.token_key(world.keyring.current, "shop", "login")

    def mac(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, hashlib.sha256).digest()

    def spelt(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    _, payload, signature = token.split(".")
    assert signature == spelt(mac(mac(key, b"otp-service token v1"), payload.encode()))
    facts = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert facts["t"] == spelt(mac(key, b"to\0" + NUMBER.encode())[:16])
    assert facts["s"] == spelt(mac(key, b"session\0s")[:16])
    assert facts["c"] == spelt(mac(key, b"context\x006:amount1:1")[:16])
    assert facts["e"] - facts["a"] == 600


def test_what_the_documents_show_checks_a_token_offline(world: World) -> None:
    text = (Path(__file__).parent.parent / "docs" / "behaviour.md").read_text()
    shown: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], shown)
    token, unbound = approved(world, session="s"), approved(world, purpose="signup")
    keys = {kid: world.keyring.token_key(kid, "shop", "login") for kid in world.keyring.kids}
    assert shown["is_good"](token, keys, NUMBER, "s")
    assert not shown["is_good"](token, keys, NUMBER)
    assert not shown["is_good"](token, keys, NUMBER, "t")
    assert not shown["is_good"](token, keys, "+8613800138001", "s")
    assert not shown["is_good"](token, {}, NUMBER, "s")
    assert not shown["is_good"](unbound, keys, NUMBER)
    keys = {kid: world.keyring.token_key(kid, "shop", "signup") for kid in world.keyring.kids}
    assert shown["is_good"](unbound, keys, NUMBER)


def test_a_bound_value_tells_kind_and_absence_apart() -> None:
    made = [
        tokens.bind(KEY, "to", "x"),
        tokens.bind(KEY, "session", "x"),
        tokens.bind(KEY, "session", ""),
        tokens.bind(KEY, "session", None),
    ]
    assert len(set(made)) == 4
    assert made[3] is None
    assert tokens.bind(KEY, "context", {"a": "1", "b": "2"}) == tokens.bind(KEY, "context", {"b": "2", "a": "1"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "b"}, {"ab": ""}),
        ({"a": "b", "c": "d"}, {"a": "b\0c\0d"}),
        ({"a\0b": "c"}, {"a": "b\0c"}),
        ({}, {"": ""}),
        ({"a": "1"}, {}),
    ],
)
def test_two_contexts_are_never_bound_alike(one: dict[str, str], other: dict[str, str]) -> None:
    assert tokens.bind(KEY, "context", one) != tokens.bind(KEY, "context", other)
