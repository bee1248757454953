"""Options that several commands share."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from otp_service import config
from otp_service.cli.typed import as_typed

DEFAULT_FILE = "otp.toml"

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _config_option(at_last: str) -> Callable[[Any], Any]:
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="OTP_CONFIG",
        help=f"The configuration; else $OTP_CONFIG, else ./{DEFAULT_FILE} where there is one, else {at_last}.",
    )


config_option: Callable[[Any], Any] = _config_option("the environment alone, else the running demo")
"""Of whoever looks at an installation, or acts on it: read it by `operating.installation`."""
own_config_option: Callable[[Any], Any] = _config_option("the environment alone")
"""Of a process that is itself part of the installation: read it by `load_config`."""


def load_config(path: Path | None) -> config.Config:
    """Read the file that is meant, with the environment on top. Raises ConfigError."""
    return config.load(meant(path), os.environ)


def meant(path: Path | None) -> Path | None:
    """The file that `--config` means; None for the environment alone."""
    return Path(DEFAULT_FILE) if path is None and Path(DEFAULT_FILE).exists() else path


def warn(text: str) -> None:
    click.echo(f"warning: {as_typed(text)}", err=True)


def warn_about(loaded: config.Config) -> None:
    """Say what works, but hardly as meant."""
    for text in loaded.warnings(datetime.datetime.now(datetime.UTC).date()):
        warn(text)
