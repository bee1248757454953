"""Codes: how they are drawn, and what a typed one is folded to."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from otp_service import codes
from otp_service.errors import InvalidRequest
from otp_service.macs import mac

KEY = bytes(range(32))
ID = "ver_0123456789abcdefghjkmnpqrstvwxyz0"
WORD = 1 << 64


def test_a_code_is_what_its_description_says() -> None:
    material = ID.encode() + b"|" + bytes(16) + b"|\x00\x03|\x00\x00"
    word = int.from_bytes(hmac.new(KEY, material, hashlib.sha256).digest()[:8], "big")
    assert codes.derive(mac(KEY), ID, bytes(16), 3, 6) == str(word % 10**6).rjust(6, "0")


def test_key_id_seed_and_counter_each_change_the_code() -> None:
    one = codes.derive(mac(KEY), ID, bytes(16), 0, 10)
    others = [
        codes.derive(mac(bytes(32)), ID, bytes(16), 0, 10),
        codes.derive(mac(KEY), ID[:-1] + "1", bytes(16), 0, 10),
        codes.derive(mac(KEY), ID, bytes(15) + b"\x01", 0, 10),
        codes.derive(mac(KEY), ID, bytes(16), 1, 10),
    ]
    assert len({one, *others}) == 5
    assert codes.derive(mac(KEY), ID, bytes(16), 0, 10) == one


@pytest.mark.parametrize(("word", "code"), [(0, "000000"), (42, "000042"), (999_999, "999999"), (10**6, "000000")])
def test_leading_zeros_are_digits(word: int, code: str) -> None:
    """T16."""
    assert codes.digits(word.to_bytes(8, "big") + bytes(24), 6) == code


def test_a_seed_has_128_bits_and_no_two_are_alike() -> None:
    seeds = {codes.new_seed() for _ in range(10_000)}
    assert len(seeds) == 10_000
    assert {len(seed) for seed in seeds} == {codes.SEED_BYTES} == {16}


@pytest.mark.parametrize(
    "typed",
    [
        "345678",
        " 345 678 ",
        "345-678",
        "3-4-5-6-7-8",
        "345678\n",
        "３４５６７８",
        "𝟑𝟒𝟓𝟔𝟕𝟖",
        "③④⑤⑥⑦⑧",
        "345\u2011678",
        "345\u3000678",
        "345－678",
    ],
)
def test_a_typed_code_is_folded_to_its_digits(typed: str) -> None:
    """T15."""
    assert codes.normalize(typed) == "345678"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "34567",
        "34567890123",
        "12_3456",
        "٣٤٥٦٧٨",
        "۳۴۵۶۷۸",
        "३४५६७८",
        "34567O",
        "345.678",
        "345\u200b678",
        "\x00345678",
        "0x3456",
        "345678 345678",
        "3" * 10**6,
    ],
)
def test_what_is_no_code_is_refused_and_not_repeated(typed: str) -> None:
    """T13, T15."""
    with pytest.raises(InvalidRequest) as refused:
        codes.normalize(typed)
    assert [error.pointer for error in refused.value.errors] == ["/code"]
    assert len(typed) < 5 or typed not in str(refused.value)


def test_a_megabyte_is_refused_before_it_is_folded() -> None:
    """NFKC of U+FDFA is 18 characters: a long text would be work for whoever sends it."""
    with pytest.raises(InvalidRequest):
        codes.normalize("\ufdfa" * 10**6)
