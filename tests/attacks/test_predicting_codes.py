"""What an attacker could know of the next code: nothing, by statistics, by a fork, or by the source of chance."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

import otp_service
from otp_service import codes
from otp_service.macs import mac
from otp_service.policy import CODE_LENGTHS

KEY = bytes(range(32))
ID = "ver_0123456789abcdefghjkmnpqrstvwxyz0"
WORD = 1 << 64
WORKERS = 8


def drawn(count: int, length: int = 6) -> Iterable[str]:
    """Codes of `count` seeds; the same ones in every run, so that the statistics can't fail by chance."""
    of = mac(KEY)
    return (codes.derive(of, ID, n.to_bytes(16, "big"), 0, length) for n in range(count))


def chi_square(counts: Counter[str], bins: int) -> float:
    expected = counts.total() / bins
    return sum((seen - expected) ** 2 for seen in counts.values()) / expected + (bins - len(counts)) * expected


def chi_square_limit(degrees: int) -> float:
    """The value that a uniform source exceeds once in a thousand (Wilson and Hilferty, 1931)."""
    return float(degrees * (1 - 2 / (9 * degrees) + 3.0902 * (2 / (9 * degrees)) ** 0.5) ** 3)


def tally(counts: Counter[str], part: slice) -> Counter[str]:
    """How often each value of a part of the code came."""
    parts: Counter[str] = Counter()
    for code, count in counts.items():
        parts[code[part]] += count
    return parts


def assert_uniform(counts: Counter[str], length: int) -> None:
    """Every place, every run of three, and every value where there are enough codes to tell (five a value)."""
    assert {len(code) for code in counts} == {length}
    for place in range(length):
        assert chi_square(tally(counts, slice(place, place + 1)), 10) < chi_square_limit(9)
    for start in range(length - 2):
        assert chi_square(tally(counts, slice(start, start + 3)), 1000) < chi_square_limit(999)
    if counts.total() >= 5 * 10**length:
        assert chi_square(counts, 10**length) < chi_square_limit(10**length - 1)


@pytest.mark.parametrize(
    ("count", "length"), [(50_000, 6), (50_000, 10), pytest.param(10_000_000, 6, marks=pytest.mark.slow)]
)
def test_every_code_is_equally_likely(count: int, length: int) -> None:
    """T17: χ² of digits, runs of three and values at p > 0.001. Zitadel never drew a 9; others lost leading zeros."""
    assert_uniform(Counter(drawn(count, length)), length)


def test_the_statistics_find_the_bias_of_a_plain_modulo() -> None:
    """T17, the control: digits drawn as `byte % 10`, as others did (0–5 come 26 times in 256, the others 25)."""
    blocks = (hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(50_000))
    biased = Counter("".join(str(byte % 10) for byte in block[:6]) for block in blocks)
    with pytest.raises(AssertionError):
        assert_uniform(biased, 6)


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


_FORKS = """
import os, random, sys
from otp_service import codes
from otp_service.macs import mac
each, folder, source, id = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
chance = random.Random()
def code():
    seed = codes.new_seed() if source == "ours" else chance.randbytes(16)
    return codes.derive(mac(bytes(32)), id, seed, 0, 6)
code()
for n in range(8):
    if os.fork() == 0:
        with open(f"{folder}/{n}", "w") as out:
            out.writelines(f"{code()} " for _ in range(each))
        os._exit(0)
for _ in range(8):
    os.wait()
"""


def forked(folder: Path, each: int, source: str) -> list[list[str]]:
    """What 8 workers draw that were forked from one parent which had drawn before: under one key and one id."""
    folder.mkdir()
    command = [sys.executable, "-c", _FORKS, str(each), str(folder), source, ID]
    subprocess.run(command, check=True)
    return [(folder / str(n)).read_text().split() for n in range(WORKERS)]


def repeats(sequences: list[list[str]], run: int = 4) -> int:
    """How many runs of codes came before, at any worker: 8×10^5 codes of 10^6 have none of four by chance."""
    runs = Counter(tuple(one[n : n + run]) for one in sequences for n in range(len(one) - run + 1))
    return runs.total() - len(runs)


@pytest.mark.parametrize("each", [200, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_forked_worker_draws_what_another_drew(tmp_path: Path, each: int) -> None:
    """T18: no sequence twice over 10^5 codes × 8 workers; the control's source is copied by the fork."""
    assert repeats(forked(tmp_path / "ours", each, "ours")) == 0
    assert repeats(forked(tmp_path / "random", each, "random")) == (WORKERS - 1) * (each - 3)


def test_no_predictable_source_of_chance_is_in_the_path_of_a_code() -> None:
    """T17: `random` may jitter a retry; it draws nothing that anyone could want to guess."""
    allowed = {
        "delivery/delivery.py",
        "delivery/judging.py",
        "delivery/playing.py",
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
