"""How commands find the demo: a file of this user's (0600) that lives as long as it, one for each demo.

`send` and `check` need its address and key; what looks at it, or acts on it, its whole configuration.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from otp_service import config
from otp_service.cli.private_files import write_private


@dataclass(frozen=True, slots=True)
class RunningDemo:
    url: str
    key: str = field(repr=False)
    pid: int
    tables: config.Tables = field(default_factory=dict, repr=False)
    """Its configuration, before it was checked."""
    folder: str = ""
    """Where relative paths in it begin."""
    environ: dict[str, str] = field(default_factory=dict, repr=False)
    """The OTP_SECTION__KEY variables that lie on top of it."""

    @staticmethod
    def settings(environ: Mapping[str, str]) -> dict[str, str]:
        """The variables of an environment that configure the service."""
        return {name: value for name, value in environ.items() if name.startswith("OTP_") and "__" in name}

    def configuration(self) -> config.Config:
        """As the demo itself read it. Raises ConfigError."""
        return config.parse(self.tables, self.environ, Path(self.folder))

    def announce(self) -> None:
        """Write a note of our own, and take away those that killed demos left."""
        path = self._file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for note in _notes():
            with contextlib.suppress(click.ClickException):
                if not _is_alive(self._read(note).pid):
                    note.unlink(missing_ok=True)
        write_private(path, json.dumps(asdict(self), default=str))

    def withdraw(self) -> None:
        """Take our note away, if we wrote one; other demos keep theirs."""
        with contextlib.suppress(OSError):
            self._file().unlink()

    @classmethod
    def find(cls, instead: str = "give --url and --key") -> RunningDemo:
        """The one that started last. Raises ClickException, saying what to do (or `instead`), where no demo runs."""
        found = (cls._read(note) for note in _notes())
        running = next((demo for demo in found if _is_alive(demo.pid)), None)
        if running is None:
            raise click.ClickException(f"no demo is running; start `otp-service demo`, or {instead}")
        return running

    def _file(self) -> Path:
        return _folder() / f"demo-{self.pid}.json"

    @classmethod
    def _read(cls, note: Path) -> RunningDemo:
        try:
            return cls(**json.loads(note.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise click.ClickException(f"{note} can't be read; remove it") from error


def _folder() -> Path:
    """XDG base directories: what lives as long as a login, else what stays."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME")
    return (Path(folder) if folder else Path.home() / ".local/state") / "otp-service"


def _notes() -> list[Path]:
    """The youngest first."""
    return sorted(_folder().glob("demo-*.json"), key=_written, reverse=True)


def _written(note: Path) -> int:
    try:
        return note.stat().st_mtime_ns
    except FileNotFoundError:  # its demo is just ending
        return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
