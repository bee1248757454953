"""Build the wheel with the locked hatchling, and see that it holds every file of the package and works from there."""
# ruff: noqa: S603, S607 - its arguments are its own

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROBE = """
import sys
from pathlib import Path
import otp_service
from otp_service.cli import COMMANDS, cli
assert Path(otp_service.__file__).is_relative_to(sys.argv[1]), otp_service.__file__
for command in COMMANDS:
    cli.get_command(None, command)
import otp_service.wiring, otp_service.simulator.pages, otp_service.default_texts
from otp_service.store.scripts import SCRIPTS
assert SCRIPTS
print("otp-service", otp_service.__version__, "works from the wheel")
"""


def tracked_files() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "otp_service"], cwd=ROOT, check=True, capture_output=True)
    return set(filter(None, listed.stdout.decode().split("\0")))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
        (path,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
            wheel.extractall(Path(folder) / "unpacked")
        if missing := sorted(tracked_files() - names):
            sys.exit(f"{path.name} lacks {', '.join(missing)}")
        if foreign := sorted(name for name in names if not re.match(r"otp_service(-[^/]+\.dist-info)?/", name)):
            sys.exit(f"{path.name} holds what is not the package: {', '.join(foreign)}")
        kinds = sorted({Path(name).suffix for name in names if name.startswith("otp_service/")})
        print(f"{path.name}: {len(names)} files ({' '.join(kinds)})")
        subprocess.run(
            [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{PROBE}", f"{folder}/unpacked"],
            cwd=folder,
            check=True,
        )


if __name__ == "__main__":
    main()
