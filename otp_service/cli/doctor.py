"""`doctor`: is everything as it must be, and what to mend where it is not."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import click

from otp_service.cli import findings
from otp_service.cli.findings import Finding, Level
from otp_service.cli.operating import installation
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json
from otp_service.cli.text_findings import of_texts
from otp_service.cli.typed import as_typed
from otp_service.config import Config
from otp_service.config.channel import ChannelSection
from otp_service.errors import ConfigError

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@config_option
@click.option("--send", "number", metavar="NUMBER", help="Send one real SMS there, with a code that opens nothing.")
@click.option("--channel", help="By this channel.  [default: the first]")
@json_option
def doctor(config_path: Path | None, number: str | None, channel: str | None, as_json: bool) -> int:
    """Check configuration, secrets, Redis, channels and texts. Exits 1 where something is wrong."""
    found = []
    for finding in _examine(config_path, number, channel):
        found.append(finding)
        if not as_json:
            # Each as it comes: a gateway may take its time.
            level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
            click.echo(f"{level} {finding.about}: {as_typed(finding.text)}")
    if as_json:
        print_json([{"level": finding.level, "about": finding.about, "text": finding.text} for finding in found])
    return 1 if any(finding.level is Level.FAIL for finding in found) else 0


def _examine(path: Path | None, number: str | None, channel: str | None) -> Iterator[Finding]:
    try:
        loaded = installation(path)
    except ConfigError as error:
        yield from (Finding(Level.FAIL, "config", line) for line in str(error).splitlines())
        return
    chosen = _chosen(loaded, channel)
    yield Finding(Level.OK, "config", "every key is known and in order")
    for warning in loaded.warnings(datetime.datetime.now(datetime.UTC).date()):
        yield Finding(Level.WARN, "config", warning)
    yield from findings.of_config(loaded)
    yield from findings.of_keys(loaded)
    yield from findings.of_redis(loaded)
    for entry in loaded.channels:
        yield from findings.of_channel(entry)
        yield from of_texts(loaded, entry)
    if loaded.challenge:
        yield from findings.of_challenge(loaded.challenge)
    if number:
        yield from findings.of_real_send(loaded, chosen, number)


def _chosen(loaded: Config, name: str | None) -> ChannelSection:
    chosen = next((entry for entry in loaded.channels if name in {None, entry.name}), None)
    if chosen is None:
        raise click.BadParameter(
            f"there are {', '.join(entry.name for entry in loaded.channels)}", param_hint="--channel"
        )
    return chosen
