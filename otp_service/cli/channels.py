"""`channels`: pause, resume and test a gateway. Every worker and API heeds it within a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from otp_service import wiring
from otp_service.audit import DONE, FAILED
from otp_service.cli import findings
from otp_service.cli.acting import acting, reason_option
from otp_service.cli.findings import Finding, Level
from otp_service.cli.operating import (
    installation,
    known_channel,
    moment,
    pause_option,
    redis_must_answer,
    who,
)
from otp_service.cli.options import config_option, json_option, warn
from otp_service.cli.output import print_json
from otp_service.config import Config
from otp_service.config.channel import ChannelSection
from otp_service.ports import StoreDown
from otp_service.wiring import Doing


@click.group()
def channels() -> None:
    """Pause, resume and test a channel."""


@channels.command()
@click.argument("name")
@pause_option
@reason_option
@config_option
@json_option
def pause(name: str, span: int, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Send nothing by channel NAME for a while; the others take over."""
    loaded = installation(config_path)
    known_channel(loaded, name)
    with (
        redis_must_answer(loaded),
        wiring.operations(loaded) as operations,
        acting(loaded, "channels.pause", name, reason) as doing,
    ):
        until = operations.pause_channel(name, span, who())
        doing.outcome = f"done: until {moment(until)}"
    _say({"channel": name, "paused_until": moment(until)}, f"{name} is paused until {moment(until)}", as_json)
    if len(loaded.channels) == 1 and not as_json:
        click.echo("It is the only channel: starts answer 503 meanwhile.", err=True)


@channels.command()
@click.argument("name")
@reason_option
@config_option
@json_option
def resume(name: str, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Send by channel NAME again at once. Its breaker stays as it is."""
    loaded = installation(config_path)
    known_channel(loaded, name)
    with (
        redis_must_answer(loaded),
        wiring.operations(loaded) as operations,
        acting(loaded, "channels.resume", name, reason) as doing,
    ):
        was = operations.resume_channel(name)
        doing.outcome = "done" if was else "done: it was not paused"
    said = f"{name} is resumed" if was else f"{name} was not paused"
    _say({"channel": name, "was_paused": was}, said, as_json)


@channels.command()
@click.argument("name")
@click.argument("number", required=False)
@reason_option
@config_option
@json_option
def test(name: str, number: str | None, reason: str, config_path: Path | None, as_json: bool) -> int:
    """Ask channel NAME for login and balance; with NUMBER send one real SMS there, with a code that opens nothing.

    NUMBER alone sends one by each channel. Exits 1 where something is wrong.
    """
    loaded = installation(config_path)
    if number is None and not name[:1].isalpha():
        number, chosen = name, list(loaded.channels)
    else:
        known_channel(loaded, name)
        chosen = [channel for channel in loaded.channels if channel.name == name]
    found: list[Finding] = []
    with _written_down(loaded, chosen, number, reason) as doing:
        for channel in chosen:
            found += findings.of_real_send(loaded, channel, number) if number else findings.of_channel(channel)
            doing.outcome = _came_to(found)
    # After it is written down: a stdout that takes nothing undoes no send.
    for finding in () if as_json else found:
        click.echo(f"{finding.level:<4} {finding.about}: {finding.text}")
    if as_json:
        print_json([{"level": one.level, "about": one.about, "text": one.text} for one in found])
    return 1 if any(one.level is Level.FAIL for one in found) else 0


@contextmanager
def _written_down(config: Config, chosen: Sequence[ChannelSection], number: str | None, reason: str) -> Iterator[Doing]:
    """A test needs no Redis, and is what one asks for when Redis is down as well: then it goes on unrecorded."""
    name = "channels.test.send" if number else "channels.test"
    with ExitStack() as stack:
        try:
            doing = stack.enter_context(acting(config, name, " ".join(channel.name for channel in chosen), reason))
        except StoreDown:
            warn("redis: it does not answer, so the audit trail does not have this test")
            doing = Doing()
        yield doing


def _came_to(found: Sequence[Finding]) -> str:
    """`done` where at least one is well: `done: send by primary: accepted; send by backup: rejected (account)`."""
    each = "; ".join(f"{one.about}: {one.came_to or one.level.lower()}" for one in found)
    return f"{FAILED if all(one.level is Level.FAIL for one in found) else DONE}: {each}"


def _say(data: dict[str, object], text: str, as_json: bool) -> None:
    if as_json:
        print_json(data)
    else:
        click.echo(text)
