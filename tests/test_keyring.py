"""The keyring: names that tell nothing, ids that carry their place, seals that open in one place only."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service import base64url
from otp_service.keyring import NONCE_BYTES, PARTITIONS, Keyring, SealBroken
from tests.world import FINGERPRINT, NUMBER, SECRET

KEYRING = Keyring([("a", SECRET)], FINGERPRINT)
OTHER_FINGERPRINT = Keyring([("a", SECRET)], bytes(32))
PREFIX = NUMBER[:-4]


def new_id(n: int, keyring: Keyring = KEYRING, e164: str = NUMBER) -> str:
    return keyring.new_id(e164, e164[:-4], n.to_bytes(NONCE_BYTES, "big")).text


# --- ids --------------------------------------------------------------------------------------------------------------


def test_an_id_tells_whom_it_is_for() -> None:
    made = KEYRING.new_id(NUMBER, PREFIX, bytes(range(12)))
    assert KEYRING.parse_id(made.text) == made
    assert (made.recipient, made.prefix) == (KEYRING.recipient(NUMBER), KEYRING.prefix(PREFIX))
    assert made.partition == KEYRING.partition(PREFIX)


@given(nonce=st.binary(min_size=12, max_size=12), last=st.integers(0, 9999))
def test_every_id_tells_whom_it_is_for(nonce: bytes, last: int) -> None:
    e164 = f"{PREFIX}{last:04d}"
    made = KEYRING.new_id(e164, PREFIX, nonce)
    assert KEYRING.parse_id(made.text) == made
    assert made.recipient == KEYRING.recipient(e164)


def test_an_id_tells_by_which_request_it_was_started() -> None:
    nonce = bytes(range(NONCE_BYTES))
    assert KEYRING.new_id(NUMBER, PREFIX, nonce).nonce == base64url.encode(nonce)


def test_an_id_holds_only_characters_that_survive_a_url_and_a_double_click() -> None:
    assert all(char.isascii() and char.isalnum() for n in range(100) for char in new_id(n)[4:])


@given(
    st.one_of(
        st.text(), st.text(alphabet=string.ascii_letters + string.digits, min_size=34, max_size=34).map("ver_".__add__)
    )
)
def test_parsing_takes_anything_and_gives_the_same_text_or_nothing(text: str) -> None:
    parsed = KEYRING.parse_id(text)
    assert parsed is None or (parsed.text == text and 0 <= parsed.partition < PARTITIONS)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda id: id + "\n",
        lambda id: " " + id,
        lambda id: id[:-1],
        lambda id: id[4:],
        lambda id: id[:-1] + "_",
        lambda id: "ver_" + "z" * 34,
        lambda id: id[:-1] + "０",
    ],
)
def test_an_id_has_one_spelling(spoil) -> None:  # type: ignore[no-untyped-def]
    assert KEYRING.parse_id(spoil(new_id(7))) is None


@pytest.mark.parametrize("spelt", [str.upper, str.lower, str.swapcase])
def test_an_id_in_other_letters_is_no_id_or_somebody_elses(spelt: Callable[[str], str]) -> None:
    for n in range(50):
        id = KEYRING.parse_id("ver_" + spelt(new_id(n).removeprefix("ver_")))
        assert id is None or (id.text, id.recipient) != (new_id(n), KEYRING.recipient(NUMBER))


def test_ids_of_one_recipient_share_nothing_without_the_key() -> None:
    """Every bit is set in about half of them, and no two masked recipients are alike."""
    ids = [OTHER_FINGERPRINT.parse_id(new_id(n * 2**64 + n)) for n in range(2000)]
    seen = [int(id.recipient + id.prefix, 16) for id in ids if id]
    assert len(set(seen)) == 2000
    for bit in range(104):
        assert 880 < sum(value >> bit & 1 for value in seen) < 1120
    assert len({id.partition for id in ids if id}) == PARTITIONS


def test_with_the_key_all_ids_of_one_recipient_name_it_and_each_client_owns_it_by_another_name() -> None:
    [recipient] = {parsed.recipient for n in range(50) if (parsed := KEYRING.parse_id(new_id(n)))}
    assert recipient == KEYRING.recipient(NUMBER) != KEYRING.recipient(NUMBER[:-1] + "1")
    assert KEYRING.owner("shop", recipient) != KEYRING.owner("bank", recipient)


def test_numbers_spread_over_all_partitions() -> None:
    counts = Counter(KEYRING.partition(f"+86138{n:04d}") for n in range(10_000))
    assert set(counts) == set(range(PARTITIONS))
    expected = 10_000 / PARTITIONS
    assert sum((seen - expected) ** 2 / expected for seen in counts.values()) < 61.1  # χ², 31 degrees, p = 0.001


def test_nobody_without_the_key_can_tell_where_a_number_lands() -> None:
    moved = sum(
        KEYRING.partition(f"+86138{n:04d}") != OTHER_FINGERPRINT.partition(f"+86138{n:04d}") for n in range(1000)
    )
    assert moved > 900


def test_neighbours_share_a_partition() -> None:
    ids = [KEYRING.parse_id(new_id(1, e164=f"{PREFIX}{n:04d}")) for n in range(20)]
    assert len({(id.partition, id.prefix) for id in ids if id}) == 1


# --- names ------------------------------------------------------------------------------------------------------------


def test_parts_of_a_name_can_not_run_into_one_another() -> None:
    names = [
        KEYRING.scope("a", "bc", "d", "e"),
        KEYRING.scope("ab", "c", "d", "e"),
        KEYRING.scope("a", "b", "cd", "e"),
        KEYRING.scope("a", "bc", "de", ""),
        KEYRING.scope("a", "bc", "de", None),
        KEYRING.scope("", "abcd", "", "e"),
    ]
    assert len(set(names)) == len(names)
    assert KEYRING.owner("ab", "c") != KEYRING.owner("a", "bc")
    assert KEYRING.idempotency("a", "b", b"c") != KEYRING.idempotency("a", "bc", b"")
    assert KEYRING.idempotency("a", "bc") != KEYRING.idempotency("ab", "c")


def test_a_context_is_the_same_in_any_order_and_none_is_not_an_empty_one() -> None:
    assert KEYRING.context({"a": "1", "b": "2"}) == KEYRING.context({"b": "2", "a": "1"})
    distinct = [
        None,
        {},
        {"": ""},
        {"a": ""},
        {"": "a"},
        {"a": "b"},
        {"ab": ""},
        {"a": "b", "c": "d"},
        {"a": "bc", "d": ""},
    ]
    assert len({KEYRING.context(context) for context in distinct}) == len(distinct)


def test_a_binding_tells_absent_from_empty_and_session_from_context() -> None:
    made = [
        KEYRING.binding("a", id, client, session, context)
        for id in ("x", "y")
        for client in ("shop", "bank")
        for session in (None, "", "s", "\x00")
        for context in (None, {}, {"a": "b"}, {"": "ab"})
    ]
    assert len(set(made)) == len(made)


def test_one_value_has_another_name_in_every_use_and_under_every_key() -> None:
    uses = [
        KEYRING.recipient("x"),
        KEYRING.bucket("x"),
        KEYRING.device("x", ""),
        KEYRING.idempotency("x"),
        KEYRING.context({"x": ""}),
    ]
    assert len(set(uses)) == len(uses)
    assert KEYRING.recipient("x") != OTHER_FINGERPRINT.recipient("x")


def test_names_hold_when_the_secret_keys_rotate() -> None:
    """Else every counter would start anew with every rotation."""
    rotated = Keyring([("b", bytes(32)), ("a", SECRET)], FINGERPRINT)
    assert rotated.recipient(NUMBER) == KEYRING.recipient(NUMBER)
    assert rotated.scope("shop", "login", NUMBER, None) == KEYRING.scope("shop", "login", NUMBER, None)
    assert rotated.parse_id(new_id(5)) == KEYRING.parse_id(new_id(5))


# --- codes and seals --------------------------------------------------------------------------------------------------


def test_a_digest_belongs_to_its_binding_code_and_key() -> None:
    two = Keyring([("a", SECRET), ("b", bytes(32))], FINGERPRINT)
    made = [
        two.digest(kid, binding, code)
        for kid in "ab"
        for binding in (b"x" * 32, b"y" * 32)
        for code in ("123456", "123457")
    ]
    assert len(set(made)) == 8


def test_a_seal_opens_only_in_its_record_and_field() -> None:
    sealed = KEYRING.seal("a", "ver_1", "to", NUMBER)
    assert KEYRING.unseal("a", "ver_1", "to", sealed) == NUMBER
    for id, field in (("ver_2", "to"), ("ver_1", "mask"), ("ver_1t", "o"), ("", "ver_1to")):
        with pytest.raises(SealBroken):
            KEYRING.unseal("a", id, field, sealed)


def test_a_seal_that_was_altered_anywhere_or_cut_does_not_open() -> None:
    sealed = KEYRING.seal("a", "ver_1", "to", NUMBER)
    spoilt = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in range(len(sealed))]
    for other in [*spoilt, sealed[:-1], sealed + b"\x00", sealed[:12], sealed[:5], b""]:
        with pytest.raises(SealBroken):
            KEYRING.unseal("a", "ver_1", "to", other)


def test_a_text_is_sealed_to_other_bytes_in_every_record_and_field_and_is_hidden() -> None:
    """A place is the nonce, and no two records have one."""
    sealed = [KEYRING.seal("a", new_id(n), field, NUMBER) for n in range(100) for field in ("to", "mask")]
    assert len({value[:4] for value in sealed}) == len({value[4:8] for value in sealed}) == 200
    assert not any(NUMBER.encode() in value for value in sealed)
    assert all(len(value) == len(NUMBER) + 16 for value in sealed), "a tag, and no nonce"


def test_rotation_keeps_old_seals_open_and_a_retired_key_says_its_name() -> None:
    """T30, F31."""
    sealed = KEYRING.seal("a", "ver_1", "to", NUMBER)
    both = Keyring([("b", bytes(32)), ("a", SECRET)], FINGERPRINT)
    assert both.current == "b"
    assert both.unseal("a", "ver_1", "to", sealed) == NUMBER
    with pytest.raises(SealBroken):
        both.unseal("b", "ver_1", "to", sealed)
    retired = Keyring([("b", bytes(32))], FINGERPRINT)
    for use in (
        lambda: retired.unseal("a", "ver_1", "to", sealed),
        lambda: retired.code("a", "ver_1", bytes(16), 0, 6),
        lambda: retired.token_key("a", "shop", "login"),
    ):
        with pytest.raises(SealBroken, match="'a' is no longer configured"):
            use()


def test_the_same_kid_with_another_secret_opens_nothing() -> None:
    sealed = KEYRING.seal("a", "ver_1", "to", NUMBER)
    with pytest.raises(SealBroken):
        Keyring([("a", bytes(32))], FINGERPRINT).unseal("a", "ver_1", "to", sealed)


def test_every_client_and_purpose_has_a_token_key_of_its_own() -> None:
    pairs = [("shop", "login"), ("shop", "signup"), ("bank", "login"), ("sho", "plogin"), ("shoplogin", "")]
    keys = {KEYRING.token_key("a", client, purpose) for client, purpose in pairs}
    assert len(keys) == len(pairs)
    assert {len(key) for key in keys} == {32}
    assert SECRET not in keys


def test_a_keyring_shows_no_key() -> None:
    assert SECRET.hex() not in repr(KEYRING)
    assert repr(SECRET)[2:-1] not in repr(KEYRING)
