"""Run the examples of README.md: the fenced blocks below `<!-- ci -->`, beside the demo of `<!-- ci: demo -->`.

    python .ci/readme_examples.py [README.md …]

The demo's command runs in the background and must print every line that the README shows, with the same addresses. The
other blocks then run in order, in bash, as the reader would: KEY is the key that was printed; when an answer starts a
verification, ID is its id and CODE the code of the message that arrives in the inbox. A command that fails, or a call
that answers with an error, fails the run.
"""
# ruff: noqa: S603 - what it runs is the README's

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"^<!-- ci(: demo)? -->\n+```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^\s*<!--\s*ci\b", re.MULTILINE)
SHELLS = {"sh", "bash", "console"}
READY_SECONDS = 300
BLOCK_SECONDS = 120
# An example that shows an error as if it were a success must not pass.
STRICT = 'set -euo pipefail; curl() { command curl --fail-with-body "$@"; }\n'


@dataclass(frozen=True)
class Example:
    where: str
    is_demo: bool
    language: str
    text: str

    @property
    def commands(self) -> str:
        """What the reader types."""
        if self.language != "console":
            return self.text
        typed = re.findall(r"^\$ (.*(?:\\\n.*)*)", self.text, re.MULTILINE)
        return "\n".join(typed)

    @property
    def shown(self) -> list[str]:
        """What the README says that it prints."""
        rest = re.sub(r"^\$ .*(?:\\\n.*)*\n", "", self.text, flags=re.MULTILINE)
        return [line for line in rest.splitlines() if line.strip()] if self.language == "console" else []


def examples(path: Path) -> list[Example]:
    text = path.read_text("utf-8")
    found = [
        Example(f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}", bool(match[1]), match[2], match[3])
        for match in MARKED.finditer(text)
    ]
    if not found:
        sys.exit(f"{path.name} has no example marked with <!-- ci -->; mark at least one")
    if len(found) != len(MARK.findall(text)):
        sys.exit(f"{path.name}: a <!-- ci --> is not followed by a fenced block, or is misspelt")
    for example in found:
        if example.language not in SHELLS:
            sys.exit(f"{example.where}: a block of {example.language or 'no language'}, not of {', '.join(SHELLS)}")
    if [example.is_demo for example in found].count(True) != 1 or not found[0].is_demo:
        sys.exit(f"{path.name}: the first marked example, and only that, must be <!-- ci: demo -->")
    return found


class Demo:
    """The demo, as the README starts it, until the end of the `with`."""

    def __init__(self, example: Example) -> None:
        self._example = example
        self.facts: dict[str, str] = {}

    def __enter__(self) -> Demo:
        command = ["bash", "-c", STRICT + self._example.commands]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        overdue = threading.Timer(READY_SECONDS, self._signal, [signal.SIGKILL])
        overdue.start()
        expected = dict(line.split(maxsplit=1) for line in self._example.shown)
        try:
            self._read(set(expected))
        finally:
            overdue.cancel()
        for name in {"api", "inbox"} & expected.keys():
            if self.facts[name] != expected[name]:
                self._fail(f"printed `{name} {self.facts[name]}`, the README says {expected[name]}")
        # Nobody else reads what it prints from here on, and a full pipe would stop it.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()  # type: ignore[union-attr]
        return self

    def _read(self, wanted: set[str]) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            print(f"  {line.rstrip()}")
            name, _, value = line.strip().partition(" ")
            if name in wanted:
                self.facts[name] = value
            if self.facts.keys() == wanted:
                return
        self._fail(
            f"ended, or took {READY_SECONDS} s, without printing {', '.join(sorted(wanted - self.facts.keys()))}"
        )

    def _fail(self, what: str) -> None:
        self._signal(signal.SIGTERM)
        sys.exit(f"{self._example.where}: `{self._example.commands.strip()}` {what}")

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)


@dataclass
class Reader:
    """Somebody who follows the README, and keeps what the next command needs."""

    demo: Demo
    values: dict[str, str] = field(default_factory=dict)

    def follow(self, example: Example) -> None:
        print(f"\n{example.where}\n{example.commands.rstrip()}")
        environ = {**os.environ, "KEY": self.demo.facts["key"], **self.values}
        command = ["bash", "-c", STRICT + example.commands]
        done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, timeout=BLOCK_SECONDS)
        print(f"  {done.stdout.strip()}", flush=True)
        if done.returncode:
            sys.exit(f"{example.where}: exit status {done.returncode}")
        self._keep(done.stdout)

    def _keep(self, output: str) -> None:
        try:
            answer = json.loads(output)
        except ValueError:
            return
        if isinstance(answer, dict) and answer.get("status") == "pending" and answer["id"] != self.values.get("ID"):
            self.values.update(ID=answer["id"], CODE=self._newest_code())

    def _newest_code(self) -> str:
        url = f"{self.demo.facts['inbox']}/api/messages?limit=1&wait=10"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as answer:
            messages = json.load(answer)["messages"]
        if not messages:
            sys.exit("no message arrived in the inbox within 10 s")
        return str(messages[0]["code"])


def main(paths: list[str]) -> None:
    for path in paths or ["README.md"]:
        demo, *others = examples(ROOT / path)
        print(f"{demo.where}\n{demo.commands.rstrip()}", flush=True)
        with Demo(demo) as running:
            reader = Reader(running)
            for example in others:
                reader.follow(example)
        print(f"\n{path}: {len(others) + 1} examples work")


if __name__ == "__main__":
    main(sys.argv[1:])
