"""API keys: their spelling, their directory, and the one answer to every wrong one."""

from __future__ import annotations

import hashlib
import string

import pytest

from otp_service.api_keys import ClientKeys, is_well_formed, new_key
from otp_service.errors import ConfigError, Unauthorized
from otp_service.policy import Client

SHOP = Client("shop", frozenset({"login"}))
BANK = Client("bank", frozenset({"login"}))


def refusal(keys: ClientKeys, header: str | None) -> str:
    with pytest.raises(Unauthorized) as refused:
        keys.client_for(header)
    return refused.value.detail


def test_a_new_key_has_an_id_a_secret_and_a_checksum():
    key = new_key()
    assert len(key.text) == len("otp_") + 8 + 32 + 6
    assert key.text.startswith(f"otp_{key.id}")
    assert is_well_formed(key.text)
    assert not set(key.text[4:]) & set("ilou" + string.ascii_uppercase)


def test_the_configured_hash_is_the_sha256_of_the_whole_key_behind_its_id():
    key = new_key()
    assert key.hash == f"{key.id}:{hashlib.sha256(key.text.encode()).hexdigest()}"


def test_no_two_keys_are_alike():
    assert len({new_key().text for _ in range(100)}) == 100


def test_a_key_is_not_printed_with_its_object():
    key = new_key()
    assert key.text not in repr(key)


@pytest.mark.parametrize("place", [4, 12, 30, 43, 44, 49])
def test_one_mistyped_character_is_told_by_the_checksum(place):
    key = new_key().text
    other = "0" if key[place] != "0" else "1"
    assert not is_well_formed(key[:place] + other + key[place + 1 :])


def test_a_key_leads_to_its_client():
    shop, bank = new_key(), new_key()
    keys = ClientKeys([(SHOP, [shop.hash]), (BANK, [bank.hash])])
    assert keys.client_for(f"Bearer {shop.text}") is SHOP
    assert keys.client_for(f"Bearer {bank.text}") is BANK


def test_both_keys_of_a_client_work_while_it_rolls_over():
    old, new = new_key(), new_key()
    keys = ClientKeys([(SHOP, [old.hash, new.hash])])
    assert keys.client_for(f"Bearer {old.text}") is keys.client_for(f"Bearer {new.text}") is SHOP


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_has_no_case(scheme):
    key = new_key()
    assert ClientKeys([(SHOP, [key.hash])]).client_for(f"{scheme} {key.text}") is SHOP


@pytest.mark.parametrize(
    "spelling",
    [
        str.upper,
        str.title,
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key + "\n",
        lambda key: f"{key} {key}",
        lambda key: key.replace("otp_", "otp-"),
        lambda key: "",
        lambda key: "é" * 50,
        lambda key: "otp_" + "0" * 46,
        lambda key: key * 1000,
    ],
)
def test_t65_any_other_spelling_of_a_key_is_refused(spelling):
    key = new_key()
    refusal(ClientKeys([(SHOP, [key.hash])]), f"Bearer {spelling(key.text)}")


@pytest.mark.parametrize("header", ["{key}", "Basic {key}", "Token {key}", "Bearer{key}", "Bearer\t{key}", ""])
def test_t65_a_key_in_another_scheme_is_refused(header):
    key = new_key()
    refusal(ClientKeys([(SHOP, [key.hash])]), header.format(key=key.text))


def test_t65_an_unknown_id_and_a_wrong_secret_get_one_answer():
    mine, stranger = new_key(), new_key()
    same_id_other_secret = ClientKeys([(SHOP, [f"{mine.id}:{stranger.hash.partition(':')[2]}"])])
    no_such_id = ClientKeys([(SHOP, [stranger.hash])])
    assert refusal(same_id_other_secret, f"Bearer {mine.text}") == refusal(no_such_id, f"Bearer {mine.text}")


def test_t65_a_thousand_random_keys_are_refused():
    keys = ClientKeys([(SHOP, [new_key().hash])])
    assert len({refusal(keys, f"Bearer {new_key().text}") for _ in range(1000)}) == 1


def test_a_missing_header_is_refused_with_the_header_to_send():
    assert "Authorization: Bearer" in refusal(ClientKeys([]), None)


def test_no_refusal_repeats_the_key():
    key = new_key().text
    assert key[4:] not in refusal(ClientKeys([]), f"Bearer {key}")
    assert key[4:-1] not in refusal(ClientKeys([]), f"Bearer {key[:-1]}")


@pytest.mark.parametrize(
    "key_hash",
    ["", "…", "abc", "0" * 64, f"01234567:{'0' * 63}", f"01234567:{'A' * 64}", f"0123456u:{'0' * 64}", "plain:secret"],
)
def test_a_malformed_hash_stops_the_start_and_names_the_client(key_hash):
    with pytest.raises(ConfigError, match=r'client "shop".*key_hashes') as refused:
        ClientKeys([(SHOP, [key_hash])])
    assert not key_hash or key_hash == "…" or key_hash not in str(refused.value)


def test_a_third_key_stops_the_start_and_names_the_client():
    with pytest.raises(ConfigError, match='client "shop"'):
        ClientKeys([(SHOP, [new_key().hash for _ in range(3)])])


def test_one_key_can_not_belong_to_two_clients():
    key = new_key()
    with pytest.raises(ConfigError, match='client "bank"'):
        ClientKeys([(SHOP, [key.hash]), (BANK, [key.hash])])
