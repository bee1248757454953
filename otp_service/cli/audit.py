"""`audit`: what administrators did, and whether anybody altered what was written down of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from otp_service import wiring
from otp_service.audit import Entry, Finding
from otp_service.cli.operating import Span, installation, moment, redis_must_answer
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json, print_section
from otp_service.errors import Problem

_LONGEST_MS = 3650 * 86_400_000
_KNOWN = re.compile(r"[1-9][0-9]{0,9}:[0-9a-f]{16,64}")


@click.group(invoke_without_command=True)
@click.option(
    "--since", "span", type=Span(_LONGEST_MS), default="7d", show_default=True, help="How far back; 90s, 2h, 30d."
)
@click.option("--of", "number", metavar="NUMBER", help="Only what was done about this recipient.")
@config_option
@json_option
@click.pass_context
def audit(context: click.Context, span: int, number: str | None, config_path: Path | None, as_json: bool) -> None:
    """Show what administrators did, from the oldest on."""
    if context.invoked_subcommand:
        return
    loaded = installation(config_path)
    with redis_must_answer(loaded):
        try:
            target = wiring.target_of(loaded, number) if number else ""
        except Problem as problem:
            raise click.ClickException(problem.detail) from problem
        entries = wiring.acts(loaded, span, target)
    if as_json:
        print_json([_document(entry) for entry in entries])
        return
    columns = ("n", "at", "who", "did", "to", "outcome", "reason")
    print_section("act", columns, [_words(entry) for entry in entries])
    if not entries:
        click.echo("nobody did anything in this time")


@audit.command()
@click.option("--known", default="", metavar="N:SEAL", help="An entry as a line of the log has it: `id` of `audit`.")
@config_option
@json_option
def verify(known: str, config_path: Path | None, as_json: bool) -> int:
    """Say whether the trail is whole, and which entry is the first that was altered. Exits 1 where one was."""
    if known and not _KNOWN.fullmatch(known):
        raise click.BadParameter("write it as the log has it, such as 41:0f3a9c5d7b1e2f48", param_hint="--known")
    loaded = installation(config_path)
    with redis_must_answer(loaded):
        found = wiring.examine_audit(loaded, known)
    if as_json:
        print_json(_finding(found))
    else:
        for line in _said(found):
            click.echo(line)
    return 1 if found.fault else 0


def _said(found: Finding) -> list[str]:
    said = []
    if found.first and found.first.number > 1:
        said.append(f"begins with entry {found.first.number}: those before it are older than is kept, or were cut off")
    said.append(f"{found.vouched} are as they were recorded" if found.vouched else "none is vouched for")
    if found.unvouched:
        said.append(f"{found.unvouched} can't be judged: their key is no longer in service.secret_keys")
    if found.broken:
        said.append(f"broken: entry {found.broken.number} of {moment(found.broken.at)}: {found.fault}")
    elif found.fault:
        said.append(f"broken: {found.fault}")
    elif found.last:
        said.append(f"ends with {found.last.name} of {moment(found.last.at)}")
    return said


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "whole": not found.fault,
        "fault": found.fault or None,
        "broken": _document(found.broken) if found.broken else None,
        "vouched": found.vouched,
        "unvouched": found.unvouched,
        "first": found.first.name if found.first else None,
        "last": found.last.name if found.last else None,
    }


def _words(entry: Entry) -> tuple[str, ...]:
    act = entry.act
    return str(entry.number), moment(entry.at) or "", act.actor, act.name, act.target, act.outcome, act.reason


def _document(entry: Entry) -> dict[str, Any]:
    act = entry.act
    return {
        "number": entry.number,
        "at": moment(entry.at),
        "actor": act.actor,
        "act": act.name,
        "target": act.target,
        "outcome": act.outcome,
        "reason": act.reason or None,
        "kid": entry.kid,
        "seal": entry.seal,
    }
