"""How `send` and `check` find the demo: a file of this user's that lives as long as it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from otp_service.cli.private_files import write_private


@dataclass(frozen=True, slots=True)
class RunningDemo:
    url: str
    key: str = field(repr=False)
    pid: int

    @staticmethod
    def file() -> Path:
        """XDG base directories: what lives as long as a login, else what stays."""
        folder = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME")
        return (Path(folder) if folder else Path.home() / ".local/state") / "otp-service/demo.json"

    def announce(self) -> None:
        path = self.file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(self)))

    def withdraw(self) -> None:
        """Take the file away, unless another demo has written its own since."""
        try:
            if self.find() == self:
                self.file().unlink()
        except (click.ClickException, FileNotFoundError):
            return

    @classmethod
    def find(cls) -> RunningDemo:
        """Raises ClickException, saying what to do, where no demo runs."""
        path = cls.file()
        try:
            found = cls(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise click.ClickException(
                "no demo is running; start `otp-service demo`, or give --url and --key"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise click.ClickException(f"{path} can't be read; remove it, or give --url and --key") from error
        if not _is_alive(found.pid):
            raise click.ClickException(
                f"the demo that wrote {path} is not running any more; start `otp-service demo`, or give --url and --key"
            )
        return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
