"""Hints name the program as it can be typed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from otp_service.cli.typed import as_typed
from tests.cli.conftest import Command
from tests.cli.processes import environment

SCRIPT = f"#!{sys.executable}\nfrom otp_service.cli import main\nmain()\n"
SEND = ("send", "13800138000")


def installed(folder: Path) -> Path:
    """The script that an installation of the package puts into `folder`."""
    folder.mkdir(parents=True)
    script = folder / "otp-service"
    script.write_text(SCRIPT)
    script.chmod(stat.S_IRWXU)
    return script


def hint(started: str, folder: Path, path: str = "") -> str:
    """The command that is said to start a demo, to who started the program in `folder`."""
    search = os.pathsep.join(filter(None, [path, os.environ["PATH"]]))
    run = subprocess.run(
        [started, *SEND],
        env=environment(XDG_RUNTIME_DIR=str(folder), PATH=search),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stderr.split("`")[1]


class TestTheProgramIsCalled:
    @pytest.mark.parametrize(("place", "typed"), [("venv/bin", "venv/bin/otp-service"), ("a b", "'a b/otp-service'")])
    def test_by_its_path_where_the_search_path_does_not_have_it(self, tmp_path: Path, place: str, typed: str) -> None:
        """From the working directory, quoted for a shell."""
        script = installed(tmp_path / place)

        assert hint(str(script), tmp_path) == f"{typed} demo"
        assert hint(os.path.relpath(script, tmp_path), tmp_path) == f"{typed} demo"

    def test_by_its_path_where_the_search_path_has_another(self, tmp_path: Path) -> None:
        """Which may be of another version."""
        script, other = installed(tmp_path / "mine"), installed(tmp_path / "other")

        assert hint(str(script), tmp_path, path=str(other.parent)) == "mine/otp-service demo"

    def test_by_its_name_where_the_search_path_finds_it(self, tmp_path: Path) -> None:
        """However it was started."""
        script = installed(tmp_path / "bin")

        assert hint(str(script), tmp_path, path=str(script.parent)) == "otp-service demo"

    def test_with_a_dot_where_it_lies_in_the_working_directory(self, tmp_path: Path) -> None:
        """A shell would search for the bare name."""
        script = installed(tmp_path / "bin")

        assert hint(str(script), script.parent) == "./otp-service demo"

    def test_by_its_name_when_run_as_a_module(self, command: Command, tmp_path: Path) -> None:
        """There is nothing else that is short."""
        command(*SEND, XDG_RUNTIME_DIR=str(tmp_path))

        assert "`otp-service demo`" in command.err
        assert as_typed("write what `otp-service keys new` prints") == "write what `otp-service keys new` prints"
