"""Our service beside others and beside what bounds it, in one run: a table, a picture and whether the goals are met.

    python bench/comparison.py [--rounds 5] [--requests 5000] [--peer peer.toml]… [--write]

Rounds alternate (A B C … A B C …), for a shared machine drifts by a factor of two: medians of rounds say how fast
something was, the ratios, each taken within one round, say how it compares. Who is measured has core 0 alone; the
callers and Redis have core 1. Every answer is held against what it must say: a wrong one ends the run.

`--peer` measures another service that runs already (see peer.example.toml); the first one is what ratios are of, in
place of the Go stand-in. `--write` renews docs/performance.md; without it everything goes into `--out`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _capacity
import _report
import structlog
from _ground import load, pin, valkey
from _installation import Installation
from _load import Caller, caller
from _peer import Peer, PeerError, read
from _plot import COLOURS, bars
from _servers import Missing
from _subjects import CHECK, DELIVERY, START, SUBJECTS, Figures, Place, Rival, Row, Subject, subjects

SCRIPT = "comparison.py"
WARM_UP = 500
Round = Mapping[Row, Figures]
PRINTED: Sequence[tuple[str, Callable[[Figures], float], str]] = (
    ("requests/s", lambda one: one.rate, ",.0f"),
    ("p50 ms", lambda one: one.p50 * 1e3, ".1f"),
    ("p99 ms", lambda one: one.p99 * 1e3, ".1f"),
    ("CPU µs", lambda one: one.cpu * 1e6, ".0f"),
    ("of Redis, µs", lambda one: one.redis * 1e6, ".0f"),
    ("MB, largest process", lambda one: one.rss, ".0f"),
    ("MB, all", lambda one: one.pss, ".0f"),
)


def run(
    place: Place, names: Sequence[str], peers: Sequence[Peer], count: int, requests: int
) -> tuple[list[Round], list[str]]:
    """The rounds, and who is not in them, and why."""
    asked: list[Subject] = []
    left_out: list[str] = []
    with caller(lambda pid: pin(pid, 1)) as callers:
        for name, subject in subjects(names, peers, place):
            if isinstance(subject, Missing):
                left_out.append(f"{name}: {subject}")
                print(f"left out: {left_out[-1]}", file=sys.stderr)
            else:
                asked.append(subject)
                _warm(subject, callers, min(WARM_UP, requests))
        return [_round(asked, callers, requests, f"{nth + 1}/{count}") for nth in range(count)], left_out


def _warm(subject: Subject, callers: Caller, count: int) -> None:
    if isinstance(subject, Rival):
        subject.set_up(callers)
    if all(row.does != DELIVERY for row in subject.rows):  # a worker is begun anew in each round, and warms up there
        subject.ask(callers, count)


def _round(asked: Sequence[Subject], callers: Caller, requests: int, name: str) -> Round:
    print(f"round {name}, {load()}", file=sys.stderr)
    return {row: figures for subject in asked for row, figures in subject.ask(callers, requests).items()}


# --- what is told of it -----------------------------------------------------------------------------------------------


def bases(rows: Sequence[Row], peers: Sequence[Peer]) -> dict[str, Row]:
    """Of what the ratios are: the row of the first peer that does the same, else that of the Go stand-in."""
    first = peers[0].name if peers else "Go stand-in"
    return {row.does: row for row in rows if row.name.startswith(f"{first}: ")}


def ratios(rounds: Sequence[Round], row: Row, base: Row, figure: Callable[[Figures], float]) -> list[float]:
    """One of each round; none where it wasn't measured."""
    return [figure(one[row]) / figure(one[base]) for one in rounds if figure(one[row]) and figure(one[base])]


def table(rounds: Sequence[Round], base: Mapping[str, Row]) -> str:
    of = next(iter(base.values())).name.partition(":")[0] if base else ""
    heads = ["", *(name for name, _, _ in PRINTED)]
    heads += [f"requests/s ÷ {of}", f"CPU ÷ {of}"] if base else []
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for row in rounds[0]:
        cells = [_median([figure(one[row]) for one in rounds], form) for _, figure, form in PRINTED]
        if base:
            for figure in (lambda one: one.rate, lambda one: one.cpu):
                cells.append(_median(ratios(rounds, row, base[row.does], figure) if row.does in base else [], ".2f"))
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def middle(values: Iterable[float]) -> float:
    """The median of the rounds in which it was measured; 0 for none."""
    return statistics.median([value for value in values if value] or [0.0])


def _median(values: Sequence[float], form: str) -> str:
    return format(middle(values), form) if any(values) else "–"


def goals(rounds: Sequence[Round], base: Mapping[str, Row]) -> str:
    """Each with its median and the range of the rounds."""
    by_name = {row.name: row for row in rounds[0]}
    lines = ["| goal | measured, median (rounds) | |", "|---|---|---|"]

    def goal(words: str, figures: Sequence[float], bound: float, at_most: bool, form: str = ".2f") -> None:
        if values := [figure for figure in figures if figure]:
            middle = statistics.median(values)
            met = "met" if (middle <= bound if at_most else middle >= bound) else "**not met**"
            lines.append(f"| {words} | {middle:{form}} ({min(values):{form}} to {max(values):{form}}) | {met} |")

    start, check = by_name.get("ours: start"), by_name.get("ours: check")
    if check and (other := base.get(CHECK)):
        goal(f"CPU of a check ÷ {other.name} ≤ 1", ratios(rounds, check, other, lambda one: one.cpu), 1, True)
        goal(f"checks/s ÷ {other.name} ≥ 1", ratios(rounds, check, other, lambda one: one.rate), 1, False)
    if start and (other := base.get(START)):
        goal(f"starts/s ÷ {other.name} ≥ 2", ratios(rounds, start, other, lambda one: one.rate), 2, False)
    if start:
        goal("an API process ≤ 65 MB", [one[start].rss for one in rounds], 65, True, ".0f")
    for row in by_name.values():
        if row.does == DELIVERY:
            goal(f"{row.name} ≥ 1,500/s", [one[row].rate for one in rounds], 1500, False, ",.0f")
            goal(f"{row.name}, the worker ≤ 60 MB", [one[row].rss for one in rounds], 60, True, ".0f")
    return "\n".join(lines)


def picture(rounds: Sequence[Round]) -> str:
    """Ours in one colour, others in another, Redis alone in a third."""
    colours = {"ours": COLOURS[0], "Redis alone": COLOURS[2]}
    panels = {
        "requests/s, or deliveries/s": lambda one: one.rate,
        "CPU µs of one": lambda one: one.cpu * 1e6,
        "p99, ms": lambda one: one.p99 * 1e3,
    }
    shown = {
        head: [(row.name, middle(figure(one[row]) for one in rounds), _colour(colours, row.name)) for row in rounds[0]]
        for head, figure in panels.items()
    }
    return bars("What a request costs, ours beside others", shown)


def _colour(colours: Mapping[str, str], name: str) -> str:
    return colours.get(name.partition(":")[0], COLOURS[1])


def figures(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Medians, in seconds and MB; by row."""
    return {
        row.name: {
            field: float(f"{middle(getattr(one[row], field) for one in rounds):.4g}") for field in Figures._fields
        }
        for row in rounds[0]
    }


def words_of(
    said: argparse.Namespace, facts: Mapping[str, str], left_out: Sequence[str], base: Mapping[str, Row]
) -> str:
    lines = [
        f"{said.rounds} rounds of {said.requests:,} requests a row over 32 connections, and {said.sends:,} deliveries."
    ]
    lines.append(_report.told(facts) + ".")
    if any(row.name.startswith("Go stand-in") for row in base.values()):
        lines.append("**The Go rows are a stand-in** (bench/go), not knadh/otpgateway itself: `--peer` measures that.")
    lines += [f"Left out: {one}." for one in left_out]
    return "\n".join(lines)


# --- the run ----------------------------------------------------------------------------------------------------------


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5000, help="a round and row")
    parser.add_argument("--sends", type=int, default=4000, help="a round and delivery row")
    parser.add_argument("--rows", default=",".join(SUBJECTS), help="some of these, by commas; all by default")
    parser.add_argument("--peer", type=Path, action="append", default=[], help="its description; may be given often")
    _report.add_options(parser)
    said = parser.parse_args()
    if said.quick:
        said.rounds, said.requests, said.sends = 1, 200, 1000
    said.rows = [name for name in said.rows.split(",") if name]
    if unknown := set(said.rows) - set(SUBJECTS):
        parser.error(f"--rows: {', '.join(sorted(unknown))}: not known; there are {', '.join(SUBJECTS)}")
    try:
        said.peers = [read(path) for path in said.peer]
    except PeerError as error:
        parser.error(f"--peer: {error}")
    return said


def main() -> None:
    said, facts = options(), _report.machine()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-")))
        pin(0, 1)
        ours, other = stack.enter_context(valkey()), stack.enter_context(valkey())
        place = Place(stack, lambda url: Installation(folder, url), ours, other, said.sends)
        rounds, left_out = run(place, said.rows, said.peers, said.rounds, said.requests)
    base = bases(list(rounds[0]), said.peers)
    words = words_of(said, facts, left_out, base)
    text = "\n\n".join([words, table(rounds, base), goals(rounds, base)])
    print(text)
    write(said, facts, rounds, text)


def write(said: argparse.Namespace, facts: Mapping[str, str], rounds: Sequence[Round], text: str) -> None:
    kept: dict[str, Any] = {"machine": facts, "rounds": said.rounds, "rows": figures(rounds)}
    _capacity.write(*_report.publish(said, SCRIPT, kept, text, picture(rounds)))


if __name__ == "__main__":
    main()
