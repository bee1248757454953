"""docs/privacy.md says of every key what it holds of a person; whoever answers a request finds every command."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from otp_service import retention
from otp_service.cli import cli
from otp_service.config.retention import in_words
from otp_service.store import keys
from tests.operator.test_runbook import parse

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "privacy.md").read_text("utf-8")
KEY_ROW = re.compile(r"^\| `(P:[^`]+)` +\|", re.MULTILINE)


def test_it_lists_the_keys_that_there_are_in_their_order() -> None:
    """A new kind of key says here what it holds of a person."""
    assert KEY_ROW.findall(PAGE) == KEY_ROW.findall(keys.__doc__ or "")


def test_every_key_says_what_it_holds_of_a_person_and_how_long() -> None:
    rows = [line[1:-1].split("|") for line in PAGE.splitlines() if KEY_ROW.match(line)]
    for _, holds, who, life, erased in rows:
        assert holds.strip()
        if not holds.strip().startswith("nothing"):
            assert all(said.strip() for said in (who, life, erased)), holds


def test_it_says_of_each_retention_what_is_allowed() -> None:
    for field in fields(retention.Retention):
        name = field.name
        default, least, most = (
            in_words(getattr(kept, name)) for kept in (retention.Retention(), retention.SHORTEST, retention.LONGEST)
        )
        assert f"| `{name}` | `{default}` | `{least}` to `{most}` |" in PAGE


@pytest.mark.parametrize("typed", sorted(set(re.findall(r"`?(?<!\w)otp-service ([a-z][^`\n]+)", PAGE))))
def test_every_command_can_be_typed_as_it_stands(typed: str) -> None:
    parse(cli, shlex.split(typed.replace("N:SEAL", "41:0f3a9c5d7b1e2f48")))


def test_the_readme_leads_to_it() -> None:
    assert "docs/privacy.md" in (ROOT / "README.md").read_text("utf-8")
