"""Whether the tests would notice a fault in the scripts: `python -m tests.mutants.lua_mutants [check windows:24 …]`.

The tests are collected once; each mutant then gets a fork of this process and a real Valkey, and runs them until one
fails. What killed the mutant before is asked first, so that most die within milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from otp_service.store import scripts
from otp_service.store.scripts import Script
from tests.mutants.lua import Mutant, mutants

SUBJECTS = (
    "check",
    "windows",
    "sends",
    "spend",
    "brake",
    "start",
    "resend",
    "charge",
    "unspend",
    "token",
    "claim",
    "keep",
)
SUBJECTS += ("common", "verifications")
TESTS = (
    "what_mutants_showed",
    "what_mutants_of_sends_showed",
    "verifier",
    "limits",
    "idempotency",
    "lost_replies",
    "tokens",
    "challenge",
    "store_keys",
)
TESTS += ("guard", "retention", "routing", "delivery", "store_cost")
EQUIVALENTS = Path(__file__).parent / "equivalent_lua.txt"
AT_ONCE = int(os.environ.get("MUTANTS_AT_ONCE", "2"))
PATIENCE = 120.0
"""Seconds after which a mutant counts as noticed, as it hangs; on a busy machine so many times what all tests take."""
SLOWER = 10


_NONE = Mutant("common", 0, "", "", scripts.source("common"))


@dataclass
class Slot:
    """A Valkey, and the fork that works on it."""

    stack: ExitStack = field(default_factory=ExitStack)
    url: str = ""
    mutant: Mutant | None = None
    pid: int = 0
    since: float = 0.0
    killer: Path = field(default_factory=lambda: Path(tempfile.mkstemp()[1]))

    def open(self, valkey: Callable[[Path], object]) -> None:
        self.stack.close()
        where = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.url = self.stack.enter_context(valkey(where))  # type: ignore[arg-type]


class Mutating:
    """A pytest plugin that runs the collected tests once for each mutant instead of once."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = wanted
        self._equivalent = equivalents()
        self._kills: Counter[str] = Counter()
        self._patience = float("inf")
        self.results: list[tuple[Mutant, str]] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "fakeredis" not in item.name]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        import tests.conftest as conftest

        # First none at all: the tests must pass, and show how long that takes here.
        waiting = [_NONE, *(one for one in _all() if _is_wanted(one, self._wanted))]
        slots = [Slot() for _ in range(AT_ONCE)]
        start_valkey = conftest.valkey
        for slot in slots:
            slot.open(start_valkey)
        try:
            while waiting or any(slot.mutant for slot in slots):
                for slot in slots:
                    if slot.mutant is None and waiting and not any(one.mutant is _NONE for one in slots):
                        self._begin(session, slot, waiting)
                    elif slot.mutant:
                        self._look(slot, start_valkey)
                time.sleep(0.005)
        finally:
            for slot in slots:
                slot.stack.close()
                slot.killer.unlink()
        return True

    def _begin(self, session: pytest.Session, slot: Slot, waiting: list[Mutant]) -> None:
        mutant = waiting.pop(0)
        if (mutant.script, mutant.before, mutant.after) in self._equivalent:
            self.results.append((mutant, "equivalent"))
            return
        if not _is_lua(slot.url, mutant):
            return
        slot.mutant, slot.since = mutant, time.monotonic()
        slot.killer.write_text("")
        slot.pid = os.fork()
        if not slot.pid:
            _run(session, slot, self._kills)

    def _look(self, slot: Slot, start_valkey: Callable[[Path], object]) -> None:
        assert slot.mutant
        done, status = os.waitpid(slot.pid, os.WNOHANG)
        if done:
            killer = slot.killer.read_text()
            self._kills[killer] += bool(killer)
            result = "survived" if status == 0 else "killed"
        elif time.monotonic() - slot.since > self._patience:
            os.kill(slot.pid, signal.SIGKILL)
            os.waitpid(slot.pid, 0)
            slot.open(start_valkey)
            result = "hangs"
        else:
            return
        if slot.mutant is _NONE:
            assert result == "survived", f"without any fault this fails: {slot.killer.read_text()}"
            self._patience = max(PATIENCE, SLOWER * (time.monotonic() - slot.since))
            slot.mutant = None
            return
        self.results.append((slot.mutant, result))
        if result != "killed":
            print(f"{result}: {slot.mutant}", flush=True)
        slot.mutant = None


def _run(session: pytest.Session, slot: Slot, kills: Counter[str]) -> None:
    """In the fork: the scripts with the fault, the tests until one fails."""
    import tests.conftest as conftest

    assert slot.mutant
    _put_in(slot.mutant)

    @contextmanager
    def valkey(_: Path) -> Iterator[str]:
        yield slot.url

    conftest.valkey = valkey  # type: ignore[assignment]
    session.config.pluginmanager.unregister(name="terminalreporter")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    # The sort is stable: what never killed keeps its place.
    items = sorted(session.items, key=lambda item: -kills[item.nodeid])
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            slot.killer.write_text(item.nodeid)
            os._exit(1)
    os._exit(0)


def _put_in(mutant: Mutant) -> None:
    """Into every script that the file is a part of, on Redis's clock and on the tests' own."""
    from tests import world

    original = _read(mutant.script)
    for name, script in list(scripts.SCRIPTS.items()):
        if original in script.text:
            text = script.text.replace(original, mutant.text)
            moved = text.replace(world._CLOCK, world._MOVED, 1)
            scripts.SCRIPTS[name] = Script(text, Script.sha_of(text))  # type: ignore[index]
            world.MOVABLE[name] = Script(moved, Script.sha_of(moved))  # type: ignore[index]


def _is_lua(url: str, mutant: Mutant) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            client.script_load(mutant.text)
        except redis.ResponseError:
            return False
    return True


def _all() -> list[Mutant]:
    return [mutant for script in SUBJECTS for mutant in mutants(script, _read(script))]


def _is_wanted(mutant: Mutant, wanted: Sequence[str]) -> bool:
    return not wanted or mutant.script in wanted or f"{mutant.script}:{mutant.line}" in wanted


def _read(script: str) -> str:
    return scripts.source(script)


def equivalents() -> set[tuple[str, str, str]]:
    """Faults that change nothing anybody could see; the file says of each why."""
    found = set()
    for line in EQUIVALENTS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            script, _, change = line.partition(": ")
            before, _, after = change.partition("  =>  ")
            found.add((script, before, "" if after == "(left out)" else after))
    return found


def stale() -> list[str]:
    """What the file says of faults that no script could have any more: it may hide nothing."""
    possible = {(mutant.script, mutant.before, mutant.after) for mutant in _all()}
    return [
        f"{script}: {before}  =>  {after or '(left out)'}" for script, before, after in sorted(equivalents() - possible)
    ]


def main(wanted: Sequence[str]) -> int:
    if left := stale():
        print(f"{EQUIVALENTS.name} names faults of no script:", *left, sep="\n  ")
        return 1
    files = [Path("tests") / f"test_{name}.py" for name in TESTS]
    mutating = Mutating(wanted)
    pytest.main(["-p", "no:cacheprovider", *map(str, files)], plugins=[mutating])
    survived = 0
    print(f"\n{'script':10}{'mutants':>9}{'noticed':>9}{'survived':>10}{'equivalent':>12}{'score':>8}")
    for script in SUBJECTS:
        of = Counter(result for mutant, result in mutating.results if mutant.script == script)
        if judged := of["killed"] + of["hangs"] + of["survived"]:
            noticed = judged - of["survived"]
            survived += of["survived"]
            score = f"{100 * noticed / judged:.1f} %"
            print(f"{script:10}{judged:9}{noticed:9}{of['survived']:10}{of['equivalent']:12}{score:>8}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
