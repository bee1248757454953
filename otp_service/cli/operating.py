"""What the operator's commands share: whose installation is meant, how long, who says so, and how moments are shown."""

from __future__ import annotations

import difflib
import getpass
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from otp_service import wiring
from otp_service.cli.options import DEFAULT_FILE, load_config
from otp_service.cli.running_demo import RunningDemo
from otp_service.config import Config
from otp_service.ports import StoreDown
from otp_service.store.facts import Unreachable

LONGEST_MS = 7 * 86_400_000
"""Of a pause: who means longer changes the configuration."""
DEFAULT_PAUSE = "30m"
_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MEND = "write a time such as 90s, 30m, 2h or 1d, at most"
_LONGEST_NAME = 64


def installation(path: Path | None) -> Config:
    """Of --config, $OTP_CONFIG, ./otp.toml or the environment, in this order; where none is, of the running demo."""
    if path or Path(DEFAULT_FILE).exists() or RunningDemo.settings(os.environ):
        return load_config(path)
    return RunningDemo.find(instead="give --config").configuration()


class Span(click.ParamType):  # type: ignore[type-arg] # older versions of click know no arguments
    """Milliseconds, written as `90s`, `30m`, `2h` or `1d`."""

    name = "time"

    def __init__(self, longest_ms: int = LONGEST_MS) -> None:
        self._longest_ms = longest_ms

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value).strip())
        ms = int(match[1]) * _UNITS[match[2]] if match else 0
        if not 0 < ms <= self._longest_ms:
            self.fail(f"{value!r} is none: {_MEND} {self._longest_ms // _UNITS['d']}d", param, ctx)
        return ms


pause_option = click.option(
    "--for", "span", type=Span(), default=DEFAULT_PAUSE, show_default=True, help="It then ends by itself; at most 7d."
)


def who() -> str:
    """`user@host` of whoever types this, as `status` shows it to the others."""
    try:
        user = os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    name = f"{user}@{socket.gethostname()}"
    return "".join(char for char in name if char.isprintable() and not char.isspace())[:_LONGEST_NAME]


def known_channel(config: Config, name: str) -> str:
    """The name itself. Raises BadParameter, with the name that was perhaps meant."""
    names = [channel.name for channel in config.channels]
    if name not in names:
        raise click.BadParameter(
            f"no channel is called {name!r}; there are {', '.join(names)}{perhaps(name, names)}", param_hint="NAME"
        )
    return name


def perhaps(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


@contextmanager
def redis_must_answer(config: Config) -> Iterator[None]:
    """Where it does not: says who it is, and what to do."""
    try:
        yield
    except StoreDown as error:
        raise click.ClickException(f"Redis does not answer ({error}): {_why(config)}") from error


def _why(config: Config) -> str:
    try:
        facts = wiring.ask_server(config)
    except Unreachable as error:
        return wiring.all_lost(config, error).text
    lacks = [lack.text for lack in facts.lacks(config.redis.durability)]
    return "; ".join(lacks) or "now it does; try again, and see what `otp-service doctor` says"


# --- moments ----------------------------------------------------------------------------------------------------------


def moment(ms: int) -> str | None:
    """RFC 3339, UTC; None for no moment."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000)) if ms else None


def span(ms: int) -> str:
    """In one unit, as one says it: `12 s`, `3 min`, `2 h`, `4 d`."""
    seconds = max(-(-ms // 1000), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def until(ms: int, now: int) -> str:
    """`12:30:00 UTC (in 9 min)`; the date where it is another day."""
    clock = "%H:%M:%S" if ms // 86_400_000 == now // 86_400_000 else "%Y-%m-%d %H:%M:%S"
    return f"{time.strftime(clock, time.gmtime(ms // 1000))} UTC (in {span(ms - now)})"


def ago(ms: int, now: int) -> str:
    return f"{span(now - ms)} ago" if ms else ""
