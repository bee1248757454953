"""`status`: how the installation stands, and what needs a hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from otp_service import wiring
from otp_service.cli import status_shown
from otp_service.cli.operating import installation
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json
from otp_service.cli.troubles import troubles
from otp_service.cli.typed import as_typed
from otp_service.config import Config
from otp_service.ports import Hindrance, HookState, Installation, StoreDown
from otp_service.store.facts import ServerFacts, Unreachable


@click.command()
@config_option
@json_option
def status(config_path: Path | None, as_json: bool) -> int:
    """Show Redis, workers, queue, channels, pauses, webhooks, pumping. Exits 1 where something needs a hand."""
    loaded = installation(config_path)
    seen = Seen.by_asking(loaded)
    lines = troubles(loaded, seen.facts, seen.installation, seen.hooks, seen.full, seen.lost)
    wrong = [as_typed(line) for line in lines]
    if as_json:
        document = status_shown.document(loaded, seen.facts, seen.installation, seen.hooks, seen.pumped)
        print_json({**document, "troubles": wrong})
        return 1 if wrong else 0
    status_shown.print_tables(seen.facts, seen.installation, seen.hooks)
    if seen.installation:
        status_shown.print_pumped(seen.pumped, loaded.pumping.mode, seen.installation.now)
    for line in wrong:
        click.echo(f"{click.style('trouble', fg='red')}\t{line}")
    if not wrong:
        click.echo(f"{click.style('ok', fg='green')}\tnothing needs a hand")
    return 1 if wrong else 0


@dataclass(frozen=True, slots=True)
class Seen:
    """None and nothing for what Redis did not tell."""

    facts: ServerFacts | None = None
    installation: Installation | None = None
    hooks: Sequence[HookState] = field(default_factory=list)
    pumped: Sequence[wiring.Pumped] = field(default_factory=list)
    full: Sequence[Hindrance] = field(default_factory=list)
    lost: str = ""
    """Why nothing of Redis answers."""

    @classmethod
    def by_asking(cls, config: Config) -> Seen:
        try:
            facts = wiring.ask_server(config)
        except Unreachable as error:
            return cls(lost=wiring.all_lost(config, error).text)
        try:
            seen = wiring.look(config)
            hooks, pumped, full = wiring.look_at_hooks(config), wiring.pumped(config), wiring.full_limits(config)
            return cls(facts, seen, hooks, pumped, full)
        except StoreDown:
            return cls(facts)
