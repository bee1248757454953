"""What a start and a check cost with 10³, 10⁴, 10⁵ and 10⁶ live verifications, and what one takes in Redis.

    python bench/growth.py [--sizes 1000,10000,100000,1000000] [--rounds 5] [--requests 500] [--write]

Each size has a Valkey and an API process of its own; rounds alternate between them. Who serves has core 0 alone, Valkey
and the callers core 1. The live ones are made by our own start script, from what our service gave it, under other ids
and names; those that are measured are started and checked through the API. With them the service keeps its default
limits. Bytes are what `used_memory` grew by; the second table says by kind of key what one verification, delivered and
approved, leaves behind, and how long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import _capacity
import _report
import structlog
from _filling import TEMPLATES, fill
from _ground import cpu_clock, load, pin, valkey
from _installation import Installation
from _kept import Kept, left_behind
from _load import Caller, caller
from _plot import COLOURS, bars
from _servers import ours
from _subjects import CHECK, START, Figures, Ours, pid_of

SCRIPT = "growth.py"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
A_VERIFICATION = 2_000
"""Bytes, generously: what is looked for in memory before a size is tried."""
GOAL, BYTES = 1.1, 1_000
LONG_LIFE = "[purposes.login]\nttl = 1800\nallow_long_ttl = true\n"
"""So that the first of a million is still alive when the last one is measured."""

Round = Mapping[int, tuple[Figures, Figures]]
"""By size: a start's and a check's."""


def free_bytes() -> int:
    words = Path("/proc/meminfo").read_text("utf-8")
    return int(words.partition("MemAvailable:")[2].split()[0]) * 1024


def affordable(sizes: Sequence[int]) -> list[int]:
    """Those that fit into half of what is free, from the smallest on."""
    found: list[int] = []
    for size in sorted(sizes):
        if (sum(found) + size) * A_VERIFICATION > free_bytes() / 2:
            print(f"left out: {size:,}: {free_bytes() / 1e9:.1f} GB of memory are free", file=sys.stderr)
            break
        found.append(size)
    return found


def filled(installation: Installation, size: int) -> float:
    """Bytes in Redis for each of so many live verifications."""
    before, began = _used(installation), time.monotonic()
    fill(installation, size)
    each = (_used(installation) - before) / size
    print(f"{size:,} live ones in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return each


def at_rest(installation: Installation, pid: int) -> float:
    """Seconds of CPU that Redis takes a second while nobody asks, once its tables have grown to their size."""
    for _ in range(120):
        if not installation.redis.info("memory").get("mem_overhead_db_hashtable_rehashing"):
            break
        time.sleep(0.5)
    before, began = cpu_clock(pid), time.monotonic()
    time.sleep(2)
    return (cpu_clock(pid) - before) / (time.monotonic() - began)


def _used(installation: Installation) -> int:
    return int(installation.redis.info("memory")["used_memory"])


class Size(NamedTuple):
    """What holds for as long as so many live."""

    bytes: float
    """In Redis, of each."""
    rest: float
    """Of Redis, as `at_rest`."""


def measure(said: argparse.Namespace, folder: Path, callers: Caller) -> tuple[list[Round], dict[int, Size]]:
    subjects: dict[int, Ours] = {}
    each: dict[int, Size] = {}
    with ExitStack() as stack:
        for size in said.sizes:
            url = stack.enter_context(valkey())
            installation = Installation(folder, url, LONG_LIFE)
            each[size] = Size(filled(installation, size), at_rest(installation, pid_of(url)))
            pid = stack.enter_context(ours(installation.path, installation.port))
            subjects[size] = Ours(installation, pid, pid_of(url))
            subjects[size].ask(callers, said.requests)
        return [_round(subjects, callers, said.requests, nth) for nth in range(said.rounds)], each


def _round(subjects: Mapping[int, Ours], callers: Caller, requests: int, nth: int) -> Round:
    """Forward and back again: what drifts within a round is then nobody's gain."""
    print(f"round {nth + 1}, {load()}", file=sys.stderr)
    order = list(subjects) if nth % 2 else list(reversed(subjects))
    found = {}
    for size in order:
        start, check = subjects[size].ask(callers, requests).values()
        found[size] = (start, check)
    return found


# --- what is told of it -----------------------------------------------------------------------------------------------

COLUMNS: Sequence[tuple[str, Callable[[tuple[Figures, Figures]], float]]] = (
    ("start, API", lambda one: one[0].cpu),
    ("start, Redis", lambda one: one[0].redis),
    ("check, API", lambda one: one[1].cpu),
    ("check, Redis", lambda one: one[1].redis),
)


def table(rounds: Sequence[Round], each: Mapping[int, Size]) -> str:
    sizes = sorted(each)
    heads = ["live verifications", *(f"{name} µs" for name, _ in COLUMNS), "start, all ÷", "check, all ÷"]
    heads += ["bytes each", "Redis at rest, ms/s"]
    lines = [f"| {' | '.join(heads)} |", "|---:" * len(heads) + "|"]
    for size in sizes:
        cells = [f"{statistics.median(figure(one[size]) for one in rounds) * 1e6:.0f}" for _, figure in COLUMNS]
        cells += [f"{statistics.median(grown(rounds, nth, size, sizes[0])):.2f}" for nth in (0, 1)]
        lines.append(f"| {size:,} | {' | '.join(cells)} | {each[size].bytes:,.0f} | {each[size].rest * 1e3:.1f} |")
    return "\n".join(lines)


def grown(rounds: Sequence[Round], nth: int, size: int, least: int) -> list[float]:
    """CPU of API and Redis together beside that at the least size; one of each round. `nth`: 0 a start, 1 a check."""
    return [_whole(one[size][nth]) / _whole(one[least][nth]) for one in rounds]


def _whole(one: Figures) -> float:
    return one.cpu + one.redis


def goals(rounds: Sequence[Round], each: Mapping[int, Size]) -> str:
    lines, sizes = [], list(each)
    for nth, name in enumerate((START, CHECK)):
        found = grown(rounds, nth, max(sizes), min(sizes))
        middle = statistics.median(found)
        met = "met" if middle <= GOAL else "**not met**"
        spread = f"({min(found):.2f} to {max(found):.2f} in {len(found)} rounds)"
        lines.append(f"- a {name} at {max(sizes):,} ÷ at {min(sizes):,} ≤ {GOAL}: {middle:.2f} {spread}, {met}")
    size = each[max(sizes)].bytes
    lines.append(f"- bytes of one ≤ {BYTES:,}: {size:,.0f}, {'met' if size <= BYTES else '**not met**'}")
    return "\n".join(lines)


def kept_table(kept: Sequence[Kept]) -> str:
    lines = ["| key | keys of one verification | bytes of one verification | kept for |", "|---|---:|---:|---|"]
    for one in (one for one in kept if one.bytes >= 0.5):
        lines.append(f"| `{one.kind}` | {one.keys:.2f} | {one.bytes:,.0f} | {one.life_told} |")
    return "\n".join(lines)


def picture(rounds: Sequence[Round], each: Mapping[int, Size]) -> str:
    panels = {
        f"{name}, CPU µs": [
            (f"{size:,} live", statistics.median(figure(one[size]) for one in rounds) * 1e6, COLOURS[nth % 2])
            for size in sorted(each)
        ]
        for nth, (name, figure) in enumerate(COLUMNS)
    }
    return bars("What a start and a check cost, by how many verifications live", panels)


def figures(rounds: Sequence[Round], each: Mapping[int, Size]) -> dict[str, dict[str, float]]:
    """Medians in seconds, and bytes; by size."""
    found = {}
    for size in sorted(each):
        medians = {name: statistics.median(figure(one[size]) for one in rounds) for name, figure in COLUMNS}
        found[str(size)] = {name: float(f"{value:.4g}") for name, value in medians.items()} | {
            "bytes": round(each[size].bytes)
        }
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=500, help="a round, size and row")
    _report.add_options(parser)
    said = parser.parse_args()
    if said.quick:
        said.sizes, said.rounds, said.requests = "500,1000", 1, 100
    said.sizes = affordable([int(size) for size in said.sizes.split(",")])
    if not said.sizes or said.sizes[0] <= TEMPLATES:
        parser.error(f"--sizes: write numbers above {TEMPLATES}")
    return said


def main() -> None:
    said, facts = options(), _report.machine()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-")))
        pin(0, 1)
        callers = stack.enter_context(caller(lambda pid: pin(pid, 1)))
        rounds, each = measure(said, folder, callers)
        kept, wire = left_behind(folder, 300 if said.quick else 2_000)
    words = f"{said.rounds} rounds of {said.requests:,} starts and as many checks a size, CPU in µs.\n"
    words += f"{_report.told(facts)}."
    text = "\n\n".join([words, table(rounds, each), goals(rounds, each), kept_table(kept)])
    print(text)
    found = {"machine": facts, "sizes": figures(rounds, each), "kept": [one._asdict() for one in kept], "wire": wire}
    _capacity.write(*_report.publish(said, SCRIPT, found, text, picture(rounds, each)))


if __name__ == "__main__":
    main()
