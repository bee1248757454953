"""What was measured, as it is written down: a file of figures, tables between marks in pages, pictures beside them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis
from _ground import valkey

DOCS = Path(__file__).parents[1] / "docs"
FIGURES = "performance.json"


def read(folder: Path) -> dict[str, Any]:
    """What is written in a folder so far, by script."""
    path = folder / FIGURES
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def keep(folder: Path, script: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """All figures, with these in place of what this script wrote before."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {**read(folder), script: figures}
    (folder / FIGURES).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of every script whose figures are written down."""
    parser.add_argument("--quick", action="store_true", help="one small round: whether it works, not how fast")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="the folder of the results")
    parser.add_argument("--write", action="store_true", help="renew the pages and the picture in docs/")


def publish(
    said: argparse.Namespace, script: str, figures: Mapping[str, Any], text: str, picture: str
) -> tuple[Path, dict[str, Any]]:
    """Write figures, text and picture where `said` wants them; that folder, and all figures in it."""
    folder = DOCS if said.write else said.out
    every = keep(folder, script, figures)
    (folder / f"{Path(script).stem}.svg").write_text(picture, "utf-8")
    insert(folder / "performance.md", script, text)
    return folder, every


def mark(script: str) -> str:
    return f"<!-- figures of bench/{script} -->"


def insert(page: Path, script: str, text: str) -> None:
    """Between the two marks of this script; at the end of a page that has none."""
    known = page.read_text("utf-8") if page.exists() else ""
    if known.count(mark(script)) != 2:
        known = f"{known}{mark(script)}\n{mark(script)}\n"
    head, _, rest = known.partition(mark(script))
    tail = rest.partition(mark(script))[2]
    page.write_text(f"{head}{mark(script)}\n{text}\n{mark(script)}{tail}", "utf-8")


def between(page: Path, script: str) -> str:
    """What stands there now."""
    return page.read_text("utf-8").split(mark(script))[1].strip("\n")


def machine() -> dict[str, str]:
    """What these figures are of. Nothing that names the machine itself."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _model(),
        "cores": str(os.cpu_count()),
        "load before": " ".join(f"{one:.1f}" for one in os.getloadavg()),
        "python": platform.python_version(),
        "granian": version("granian"),
        "valkey": _valkey(),
        "go": _said(["go", "version"]).removeprefix("go version go").split(" ")[0],
        "node": _said(["node", "--version"]).removeprefix("v"),
    }


def told(facts: Mapping[str, str]) -> str:
    """`machine` in a line."""
    names = ("python", "granian", "valkey", "go", "node")
    programs = ", ".join(f"{name} {facts[name]}" for name in names if facts[name])
    return f"{facts['when']}, {facts['cpu']}, {facts['cores']} cores, load before {facts['load before']}; {programs}"


def _model() -> str:
    try:
        words = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    return next((line.partition(": ")[2] for line in words.splitlines() if line.startswith("model name")), "")


def _valkey() -> str:
    with valkey() as url:
        facts = redis.Redis.from_url(url).info("server")
    return str(facts.get("valkey_version", facts["redis_version"]))


def _said(command: list[str]) -> str:
    """ "" where there is no such program."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
