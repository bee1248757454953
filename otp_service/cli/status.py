"""`status`: how the installation stands, and what needs a hand."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.cli import status_shown
from otp_service.cli.operating import installation
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json
from otp_service.cli.seen import Seen
from otp_service.cli.troubles import troubles
from otp_service.cli.typed import as_typed


@click.command()
@config_option
@json_option
def status(config_path: Path | None, as_json: bool) -> int:
    """Show Redis, workers, queue, channels, pauses, webhooks, pumping. Exits 1 where something needs a hand."""
    loaded = installation(config_path)
    seen = Seen.by_asking(loaded)
    wrong = [as_typed(line) for line in troubles(loaded, seen)]
    if as_json:
        print_json({**status_shown.document(loaded, seen), "troubles": wrong})
        return 1 if wrong else 0
    status_shown.print_tables(loaded, seen)
    for line in wrong:
        click.echo(f"{click.style('trouble', fg='red')}\t{line}")
    if not wrong:
        click.echo(f"{click.style('ok', fg='green')}\tnothing needs a hand")
    return 1 if wrong else 0
