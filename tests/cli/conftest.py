"""The command line, called inside the test's own process: for commands that end by themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from otp_service.cli import main


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.status = 0
        self.err = ""

    def __call__(self, *arguments: str, **environ: str) -> str:
        """What it printed; `status` and `err` are kept beside it."""
        with self._monkeypatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        self.status = int(ended.value.code or 0)
        out, self.err = self._capsys.readouterr()
        return out


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    """The command line in an empty folder and environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OTP_")]:
        monkeypatch.delenv(name)
    yield Command(capsys, monkeypatch)
    structlog.reset_defaults()
