"""The tables of attacks, faults and ASVS name tests that there are, and for every attack and fault at least one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.named_tests import named_tests

DOCS = Path(__file__).parents[1] / "docs"
ATTACKS = (DOCS / "attacks.md").read_text("utf-8")
FAULTS = (DOCS / "faults.md").read_text("utf-8")
ASVS = (DOCS / "asvs.md").read_text("utf-8")
TESTS = named_tests()
TEST = re.compile(r"`([a-z_/0-9]+\.py::test_\w+)`(\*?)")

NEVER_GIVEN = {"T": {7, 14, 25, 28, 54, 56, 61, 70, 71}, "F": {2, 10, 15, 16}}
ATTACK_NUMBERS = [f"T{n:02d}" for n in range(1, 73) if n not in NEVER_GIVEN["T"]]
FAULT_NUMBERS = [f"F{n:02d}" for n in range(1, 39) if n not in NEVER_GIVEN["F"]]
REQUIREMENTS = {
    "2.3": 5, "2.4": 2, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "9.1": 3, "9.2": 4,
    "11.1": 4, "11.2": 5, "11.3": 5, "11.4": 4, "11.5": 2, "11.6": 2, "11.7": 2,
    "13.1": 4, "13.2": 6, "13.3": 4, "13.4": 7,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4,
}  # fmt: skip
"""How many requirements each section of ASVS 5.0.0 has."""


def rows(text: str, first: str) -> list[tuple[str, str]]:
    """Number and whole line of each row whose number looks like `first`."""
    return [(found[1], line) for line in text.splitlines() if (found := re.match(rf"\| ({first}) \|", line))]


def test_every_attack_and_every_fault_has_its_row_in_order() -> None:
    assert [number for number, _ in rows(ATTACKS, r"T\d\d")] == ATTACK_NUMBERS
    assert [number for number, _ in rows(FAULTS, r"F\d\d")] == FAULT_NUMBERS


@pytest.mark.parametrize("number", ATTACK_NUMBERS + FAULT_NUMBERS)
def test_a_test_says_that_it_holds_it(number: str) -> None:
    assert [one.name for one in TESTS.values() if number in one.numbers]


@pytest.mark.parametrize(("number", "line"), rows(ATTACKS, r"T\d\d") + rows(FAULTS, r"F\d\d"))
def test_a_row_names_tests_that_say_so_too(number: str, line: str) -> None:
    """The star says that the test has a full size, in the slow suite."""
    named = TEST.findall(line)
    assert named
    for name, star in named:
        assert name in TESTS, f"{name} is not there"
        assert number in TESTS[name].numbers, f"neither the name of {name} nor its docstring says {number}"
        assert bool(star) == TESTS[name].has_full_size, f"{name}: the star is wrong"


def test_every_requirement_has_its_row_in_order() -> None:
    wanted = [f"{section}.{n}" for section, count in REQUIREMENTS.items() for n in range(1, count + 1)]
    assert [number for number, _ in rows(ASVS, r"\d+\.\d\.\d")] == wanted


@pytest.mark.parametrize(("number", "line"), rows(ASVS, r"\d+\.\d\.\d"))
def test_a_requirement_has_a_test_that_is_there_or_a_reason(number: str, line: str) -> None:
    named = [name for name, _ in TEST.findall(line)]
    assert not [name for name in named if name not in TESTS], number
    assert named or len(line.split("|")[3].split()) > 5, f"{number} has neither test nor reason"


@pytest.mark.parametrize("page", ["attacks.md", "faults.md", "asvs.md", "threat-model.md"])
def test_the_readme_leads_to_each_page(page: str) -> None:
    assert f"docs/{page}" in (DOCS.parent / "README.md").read_text("utf-8")


LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize(
    "page", ["docs/attacks.md", "docs/faults.md", "docs/asvs.md", "docs/threat-model.md", "SECURITY.md"]
)
def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    here = DOCS.parent / page
    for path, anchor in LINK.findall(here.read_text("utf-8")):
        there = here.parent / path if path else here
        assert there.exists(), path
        assert not anchor or anchor in anchors(there), f"{path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of its headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
