"""A synthetic day with pumpers in it: what bench/pumping.py shows in the docs, held to its aims."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[1] / "bench" / "_pumping_day.py"
    spec = importlib.util.spec_from_file_location("bench_pumping_day", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_t68_a_small_day(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """T68: 10⁴ honest sends, nine attacks of 300: twenty sends a prefix, and hardly an honest one refused."""
    monkeypatch.setattr(bench, "PREFIXES", 2_000)
    day = bench.simulate(10_000, 300, seed=1)
    most = {attack: n for (attack, _), n in sorted(day.sent_to.items(), key=lambda one: one[1]) if attack}
    assert len(most) == 9
    # A test is 15 sends at the most, with their approvals 20, and twice that in an hour when gateways fail.
    assert all(n <= 40 for attack, n in most.items() if "a third" not in attack), most
    assert most["one range, number after number"] <= 20
    refused = sum(n for (whose, _), n in day.refused.items() if not whose)
    assert refused <= 0.005 * day.tried[""]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_t68_the_whole_day(bench: ModuleType, seed: int) -> None:
    """T68: 10⁶ honest sends at 75 %, attacks of 10⁴ at 2 %: ≤ 20 sends a prefix, ≤ 1 % of the spend, ≤ 0.1 % honest.

    A single range may get twice as far where honest people live, and in an hour when gateways fail. Who spreads over
    more ranges than that attack does may take a quarter more of the spend: fifty times the two sends with which a range
    begins are 1 % already.
    """
    day = bench.simulate(1_000_000, 10_000, seed)
    reached: list[int] = []
    for attack in bench.ATTACKS:
        if attack.conversion < 0.1:
            sends = [n for (whose, _), n in day.sent_to.items() if whose == attack.name]
            assert max(sends) <= 40, attack.name
            assert sum(sends) <= (0.01 if len(sends) == 1 else 0.0125) * 10_000, attack.name
            reached += sends
    assert sum(reached) / len(reached) <= 20
    refused = sum(n for (whose, _), n in day.refused.items() if not whose)
    print(f"T68, day {seed}: {sum(reached) / len(reached):.1f} sends a prefix, {refused} of {day.tried['']:,} refused")
    assert refused <= 0.001 * day.tried[""]


@pytest.mark.slow
def test_t69_the_whole_day(bench: ModuleType) -> None:
    """T69: 30 % approved by himself: 10⁴ sends that would cost 800 dollars cost less than a tenth of it."""
    day = bench.simulate(1_000_000, 10_000, seed=1)
    for attack in bench.ATTACKS:
        print(f"T69: {attack.name}: {day.sent[attack.name] * bench.PRICE:.2f} dollars")
        assert day.sent[attack.name] * bench.PRICE <= 80, attack.name
