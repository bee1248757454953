"""The list of faults that nobody could notice names only such as can be put in."""

from __future__ import annotations

from pathlib import Path

from tests.mutants import lua_mutants
from tests.mutants.lua_mutants import EQUIVALENTS, TESTS


def test_no_line_of_the_list_is_about_a_script_as_it_was() -> None:
    assert lua_mutants.stale() == []


def test_each_line_stands_under_its_reason_and_once() -> None:
    lines = [line for line in EQUIVALENTS.read_text("utf-8").splitlines() if line]
    faults = [line for line in lines if not line.startswith("#")]
    assert lines[0].startswith("#")
    assert len(set(faults)) == len(faults) == len(lua_mutants.equivalents())


def test_what_the_faults_are_shown_to_exists() -> None:
    assert [name for name in TESTS if not (Path(__file__).parents[1] / f"test_{name}.py").exists()] == []
