"""`sends`: hold back all sends, a country's, or those to numbers that begin so: when somebody pumps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from otp_service import wiring
from otp_service.cli.acting import acting, reason_option
from otp_service.cli.operating import installation, moment, pause_option, perhaps, redis_must_answer, who
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json
from otp_service.ports import Operations, TooManyPauses
from otp_service.recipient import regions

ALL = "sends"
_PREFIX = re.compile(r"\+[1-9][0-9]{0,6}")
"""Seven digits at most: more would name a person, and what an operator holds back lies in Redis in clear."""


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    country = click.option("--country", "countries", multiple=True, metavar="CN", help="ISO 3166, may be repeated.")
    prefix = click.option("--prefix", "prefixes", multiple=True, metavar="+86139", help="May be repeated.")
    return country(prefix(command))


@click.group()
def sends() -> None:
    """Hold back sends, and let them go."""


@sends.command()
@_which
@pause_option
@reason_option
@config_option
@json_option
def pause(
    countries: tuple[str, ...],
    prefixes: tuple[str, ...],
    span: int,
    reason: str,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Hold back all sends, or those of a country or prefix. Starts answer 503; what waits goes when the pause ends."""
    whats = _named(countries, prefixes) or [ALL]
    loaded = installation(config_path)
    paused = []
    with redis_must_answer(loaded), wiring.operations(loaded) as operations:
        for what in whats:
            with acting(loaded, "sends.pause", what, reason) as doing:
                paused.append((what, _pause(operations, what, span)))
                doing.outcome = f"done: until {moment(paused[-1][1])}"
    if as_json:
        print_json([{"what": what, "paused_until": moment(until)} for what, until in paused])
        return
    for what, until in paused:
        click.echo(f"{_shown(what)} are paused until {moment(until)}")


def _pause(operations: Operations, what: str, span: int) -> int:
    try:
        return operations.pause_sends(what, span, who())
    except TooManyPauses:
        mend = "end some with `otp-service sends resume`, or pause a country"
        raise click.ClickException(f"{what} is not paused: there are too many pauses; {mend}") from None


@sends.command()
@_which
@reason_option
@config_option
@json_option
def resume(
    countries: tuple[str, ...], prefixes: tuple[str, ...], reason: str, config_path: Path | None, as_json: bool
) -> None:
    """End the pause of a country or prefix; without any, every pause of sends."""
    whats = _named(countries, prefixes) or [""]
    loaded = installation(config_path)
    with (
        redis_must_answer(loaded),
        wiring.operations(loaded) as operations,
        acting(loaded, "sends.resume", " ".join(whats) or ALL, reason) as doing,
    ):
        ended = [what for named in whats for what in operations.resume_sends(named)]
        doing.outcome = f"done: {' '.join(ended) or 'nothing was paused'}"
    if as_json:
        print_json({"resumed": ended})
        return
    for what in ended:
        click.echo(f"{_shown(what)} are resumed")
    if not ended:
        click.echo("nothing of that was paused")


def _named(countries: tuple[str, ...], prefixes: tuple[str, ...]) -> list[str]:
    """As Redis names them. Raises BadParameter."""
    for country in countries:
        if country.upper() not in regions():
            mend = f"{country!r} is no ISO 3166 region, such as CN or GB{perhaps(country.upper(), sorted(regions()))}"
            raise click.BadParameter(mend, param_hint="--country")
    for prefix in prefixes:
        if not _PREFIX.fullmatch(prefix):
            mend = "write the beginning of a number, such as +86139: a + and one to seven digits"
            raise click.BadParameter(mend, param_hint="--prefix")
    return [*(f"region:{country.upper()}" for country in countries), *(f"prefix:{prefix}" for prefix in prefixes)]


def _shown(what: str) -> str:
    return f"sends to {what.partition(':')[2]}" if ":" in what else "all sends"
