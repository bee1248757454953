"""Codes: how they are drawn, and what a typed one is folded to."""

from __future__ import annotations

import ast
import hashlib
import hmac
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

import otp_service
from otp_service import codes
from otp_service.errors import InvalidRequest
from otp_service.policy import CODE_LENGTHS

KEY = bytes(range(32))
ID = "ver_0123456789abcdefghjkmnpqrstvwxyz0"
WORD = 1 << 64


def drawn(count: int, length: int = 6) -> Iterable[str]:
    """Codes of `count` seeds; the same ones in every run, so that the statistics can't fail by chance."""
    return (codes.derive(KEY, ID, n.to_bytes(16, "big"), 0, length) for n in range(count))


def chi_square(counts: Counter[str], bins: int) -> float:
    expected = counts.total() / bins
    return sum((seen - expected) ** 2 for seen in counts.values()) / expected + (bins - len(counts)) * expected


def chi_square_limit(degrees: int) -> float:
    """The value that a uniform source exceeds once in a thousand (Wilson and Hilferty, 1931)."""
    return float(degrees * (1 - 2 / (9 * degrees) + 3.0902 * (2 / (9 * degrees)) ** 0.5) ** 3)


def assert_uniform(source: list[str], length: int) -> None:
    for place in range(length):
        assert chi_square(Counter(code[place] for code in source), 10) < chi_square_limit(9)
    for start in range(length - 2):
        assert chi_square(Counter(code[start : start + 3] for code in source), 1000) < chi_square_limit(999)


@pytest.mark.parametrize("length", [6, 10])
def test_every_digit_and_every_run_of_three_is_equally_likely(length: int) -> None:
    """T17, small. Zitadel never drew a 9; others lost the leading zeros."""
    source = list(drawn(50_000, length))
    assert {len(code) for code in source} == {length}
    assert_uniform(source, length)


@pytest.mark.slow
def test_ten_million_codes_are_uniform_over_all_their_values() -> None:
    """T17."""
    counts = Counter(drawn(10_000_000))
    assert chi_square(counts, 10**6) < chi_square_limit(10**6 - 1)
    assert len(counts) > 999_900


def test_a_code_is_what_its_description_says() -> None:
    material = ID.encode() + b"|" + bytes(16) + b"|\x00\x03|\x00\x00"
    word = int.from_bytes(hmac.new(KEY, material, hashlib.sha256).digest()[:8], "big")
    assert codes.derive(KEY, ID, bytes(16), 3, 6) == str(word % 10**6).rjust(6, "0")


def test_key_id_seed_and_counter_each_change_the_code() -> None:
    one = codes.derive(KEY, ID, bytes(16), 0, 10)
    others = [
        codes.derive(bytes(32), ID, bytes(16), 0, 10),
        codes.derive(KEY, ID[:-1] + "1", bytes(16), 0, 10),
        codes.derive(KEY, ID, bytes(15) + b"\x01", 0, 10),
        codes.derive(KEY, ID, bytes(16), 1, 10),
    ]
    assert len({one, *others}) == 5
    assert codes.derive(KEY, ID, bytes(16), 0, 10) == one


@pytest.mark.parametrize("length", CODE_LENGTHS)
def test_words_beyond_the_largest_multiple_are_rejected(length: int) -> None:
    """T17: these words are too rare to wait for (2 in 10^10), so they are written down."""
    values = 10**length
    usable = WORD - WORD % values
    beyond, last = usable.to_bytes(8, "big"), (usable - 1).to_bytes(8, "big")
    top = (WORD - 1).to_bytes(8, "big")
    assert codes.digits(last + bytes(24), length) == "9" * length
    assert codes.digits(beyond + (42).to_bytes(8, "big") + bytes(16), length) == "42".zfill(length)
    assert codes.digits(top + beyond + top + last, length) == "9" * length
    assert codes.digits(top * 4, length) is None


@pytest.mark.parametrize(("word", "code"), [(0, "000000"), (42, "000042"), (999_999, "999999"), (10**6, "000000")])
def test_leading_zeros_are_digits(word: int, code: str) -> None:
    """T16."""
    assert codes.digits(word.to_bytes(8, "big") + bytes(24), 6) == code


def test_a_seed_has_128_bits_and_no_two_are_alike() -> None:
    seeds = {codes.new_seed() for _ in range(10_000)}
    assert len(seeds) == 10_000
    assert {len(seed) for seed in seeds} == {codes.SEED_BYTES} == {16}


_FORKS = """
import os, sys
from otp_service import codes
from otp_service.idempotency import new_nonce
codes.new_seed(), new_nonce()
each = int(sys.argv[1])
for _ in range(8):
    if os.fork() == 0:
        os.write(1, "".join(f"{codes.new_seed().hex()} {new_nonce()} " for _ in range(each)).encode())
        os._exit(0)
for _ in range(8):
    os.wait()
"""


def forked(each: int) -> list[str]:
    """What 8 workers draw that were forked from a parent which had drawn before."""
    done = subprocess.run([sys.executable, "-c", _FORKS, str(each)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_workers_forked_from_one_parent_draw_nothing_twice() -> None:
    """T18, small: one write of each worker fits a pipe, so that they can't mix."""
    drawn_by_all = forked(70)
    assert len(drawn_by_all) == len(set(drawn_by_all)) == 2 * 8 * 70


@pytest.mark.slow
def test_eight_forked_workers_draw_a_hundred_thousand_seeds_each_without_a_repeat() -> None:
    """T18."""
    everything: list[str] = []
    for _ in range(1250):
        everything += forked(80)
    assert len(everything) == len(set(everything))


def test_no_predictable_source_of_chance_is_in_the_path_of_a_code() -> None:
    """T17: `random` may jitter a retry; it draws nothing that anyone could want to guess."""
    allowed = {
        "delivery/delivery.py",
        "delivery/judging.py",
        "delivery/routing.py",
        "hooks/lane.py",
        "channels/smpp/line.py",
    }
    root = Path(otp_service.__file__).parent
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name.startswith("simulator/") or name in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            imported = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {"random", "numpy"} & set(imported), name


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
