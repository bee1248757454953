"""Whoever follows the runbook at three in the morning finds every command as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from prometheus_client import REGISTRY

from otp_service import metrics
from otp_service.cli import COMMANDS, cli
from otp_service.cli.channel_troubles import channel_troubles
from otp_service.cli.troubles import troubles

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
TROUBLES = "".join(Path(one.__code__.co_filename).read_text("utf-8") for one in (troubles, channel_troubles))
TYPED = sorted(set(re.findall(r"`otp-service ([^`]+)`", RUNBOOK + TROUBLES)))


def parse(command: click.Command, arguments: list[str]) -> None:
    """Raises UsageError for what can't be typed so; runs nothing."""
    with command.make_context(command.name, arguments) as context:
        words = [*context._protected_args, *context.args]
        if isinstance(command, click.Group) and (words or not command.invoke_without_command):
            name, inner, rest = command.resolve_command(context, words)
            assert name
            assert inner
            parse(inner, rest)


@pytest.mark.parametrize("typed", TYPED)
def test_every_command_can_be_typed_as_it_stands(typed: str) -> None:
    parse(cli, shlex.split(typed))


def test_a_command_that_can_not_be_typed_is_found() -> None:
    """The test above would notice."""
    for wrong in ("channels stop primary", "sends pause --region CN", "status now"):
        with pytest.raises(click.UsageError):
            parse(cli, shlex.split(wrong))


def test_it_names_the_operators_commands_and_metrics_that_exist() -> None:
    assert {typed.split()[0] for typed in TYPED} >= {"status", "trace", "channels", "sends", "doctor", "worker"}
    assert {typed.split()[0] for typed in TYPED} <= set(COMMANDS)
    counted = {f"{counter.name}_total" for counter in REGISTRY.collect() if counter.type == "counter"}
    assert set(re.findall(r"otp_[a-z_]+", RUNBOOK)) <= counted | set(metrics.LEVELS)


def test_it_is_one_screen_and_the_readme_leads_to_it() -> None:
    assert len(RUNBOOK.splitlines()) <= 30
    assert "docs/runbook.md" in (ROOT / "README.md").read_text("utf-8")
