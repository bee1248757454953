"""`limits`: what is counted of one number, and how to forget it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from otp_service import wiring
from otp_service.cli.acting import acting, reason_option
from otp_service.cli.operating import installation, moment, redis_must_answer, until
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json, print_section
from otp_service.errors import Problem
from otp_service.ports import Tally
from otp_service.recipient import regions


@click.group()
def limits() -> None:
    """Show what is counted of a number, and forget it."""


@limits.command()
@click.argument("number")
@config_option
@json_option
def show(number: str, config_path: Path | None, as_json: bool) -> None:
    """Show every window that counts for NUMBER, and when a full one has room again."""
    loaded = installation(config_path)
    with redis_must_answer(loaded), _a_number():
        shown = wiring.tallies(loaded, number)
    if as_json:
        print_json({"at": moment(shown.now), "to": shown.to, "limits": [_document(one) for one in shown.tallies]})
        return
    print_section(
        "limit", ("limit", "client", "used", "window", "full until"), [_row(one, shown.now) for one in shown.tallies]
    )


@limits.command()
@click.argument("number")
@click.option("--prefix", "with_prefix", is_flag=True, help="Also its neighbours, and the hold on them.")
@reason_option
@config_option
@json_option
def clear(number: str, with_prefix: bool, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Forget sends, wrong codes and cooldowns of NUMBER, for every client.

    A number that was disabled is enabled by it. Whoever guesses at this number gets his attempts anew: be sure of who
    asks you for it.
    """
    loaded = installation(config_path)
    with redis_must_answer(loaded), _a_number():
        target = wiring.target_of(loaded, number)
        with acting(loaded, "limits.clear.prefix" if with_prefix else "limits.clear", target, reason):
            to = wiring.clear(loaded, number, with_prefix=with_prefix)
            if with_prefix:
                wiring.lift(loaded, number)
    if as_json:
        print_json({"to": to, "cleared": True, "prefix": with_prefix})
    else:
        click.echo(f"what was counted of {to} is forgotten")


@limits.command()
@click.argument("what", metavar="NUMBER|REGION")
@reason_option
@config_option
@json_option
def lift(what: str, reason: str, config_path: Path | None, as_json: bool) -> None:
    """End what the pumping guard holds of a REGION, or of the prefix of a NUMBER, and forget what led to it."""
    loaded = installation(config_path)
    with redis_must_answer(loaded), _a_number():
        is_region = what.upper() in regions()
        target = f"country:{what.upper()}" if is_region else wiring.target_of(loaded, what)
        with acting(loaded, "limits.lift", target, reason) as doing:
            held = wiring.lift(loaded, what.upper() if is_region else what)
            doing.outcome = "done" if held else "done: nothing was held"
    if as_json:
        print_json({"lifted": held})
    else:
        click.echo("it is no longer held" if held else "nothing was held")


@contextmanager
def _a_number() -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        raise click.ClickException(problem.detail) from problem


def _document(one: Tally) -> dict[str, str | int | None]:
    return {
        "limit": one.limit,
        "client": one.client or None,
        "used": one.used,
        "most": one.most or None,
        "seconds": one.seconds or None,
        "until": moment(one.until),
    }


def _row(one: Tally, now: int) -> tuple[str, ...]:
    window = f"{one.seconds} s" if one.seconds else "in a row"
    return (
        one.limit,
        one.client,
        f"{one.used} of {one.most or 'any'}",
        window,
        until(one.until, now) if one.until else "",
    )
