"""A day with pumpers in it (`_pumping_day.py`), without Redis and faster than life: what the guard lets through.

    python bench/pumping.py [--sends 1000000] [--attack 10000] [--seed 1] [--write]

`--write` makes docs/pumping.svg and the tables in docs/pumping.md anew.
"""

from __future__ import annotations

import argparse
import math
import time

from _plot import COLOURS, label, line, picture, ruled, upright
from _pumping_day import ATTACKS, PRICE, Attack, Day, simulate
from _report import DOCS, insert

KINDS = ((False, True), (False, False), (True, True))
"""Cold or warm; whether a miss is weighed by how known recipients fare."""


def row(day: Day, attack: Attack) -> str:
    each = [n for (whose, _), n in day.sent_to.items() if whose == attack.name]
    sent = day.sent[attack.name]
    share = sent / day.tried[attack.name]
    return (
        f"| {attack.name} | {sum(each) / len(each):.1f} | {max(each)} | {share:.2%} | {sent:,} | {sent * PRICE:.2f} |"
    )


def honest_row(name: str, day: Day) -> str:
    why = {reason: n for (whose, reason), n in day.refused.items() if not whose}
    blocked = sum(why.values())
    reasons = ", ".join(f"{n:,} by {reason}" for reason, n in sorted(why.items(), key=lambda one: -one[1]))
    tried = day.tried[""]
    share = f"{day.approved[''] / day.sent['']:.0%}"
    return f"| {name} | {share} | {blocked:,} of {tried:,} | {blocked / tried:.3%} | {reasons} |"


def table(warm: Day, blind: Day, cold: Day) -> str:
    lines = [
        "| attack, 10⁴ sends asked for | let through a prefix, mean | most | share of its spend | sends | $ |",
        "|---|---|---|---|---|---|",
        *(row(warm, attack) for attack in ATTACKS),
        "",
        "| honest people | approved/sent | refused | share | by what |",
        "|---|---|---|---|---|",
        honest_row("a usual day", warm),
        honest_row("the same, known recipients not looked at", blind),
        honest_row("the first day of an installation", cold),
    ]
    return "\n".join(lines)


# --- the plot ---------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 460, 60, 20, 570, 410
"""The picture's size, and where its curves are drawn; the names stand to their right."""
DECADES = 4


def across(count: float) -> float:
    return LEFT + math.log10(max(count, 1)) / DECADES * (RIGHT - LEFT)


def up(count: float) -> float:
    return BOTTOM - math.log10(max(count, 1)) / DECADES * (BOTTOM - TOP)


def plot(day: Day) -> str:
    """Sends let through over sends asked for, both logarithmic."""
    title = "Sends that the pumping guard lets through, by attack"
    return picture(WIDTH, HEIGHT, title, [*grid(), *curves(day), *legends()])


def grid() -> list[str]:
    parts = []
    for decade in range(DECADES + 1):
        at, words = 10**decade, f"{10**decade:,}"
        parts.append(ruled(f"M{LEFT} {up(at):.1f}H{RIGHT}M{across(at):.1f} {TOP}V{BOTTOM}"))
        parts.append(label(f"{LEFT - 8}", f"{up(at) + 4:.1f}", words, "end"))
        parts.append(label(f"{across(at):.1f}", f"{BOTTOM + 18}", words, "middle"))
    parts.append(ruled(f"M{across(1)} {up(1)}L{across(10**4)} {up(10**4)}", "bare"))
    parts.append(label(f"{RIGHT - 90}", f"{TOP + 14}", "no guard", "end"))
    return parts


def curves(day: Day) -> list[str]:
    """One an attack, with its name beside it in the order in which they end."""
    parts = []
    ends = sorted((up(day.sent[attack.name]), nth) for nth, attack in enumerate(ATTACKS))
    place = {nth: TOP + 40 + order * 22 for order, (_, nth) in enumerate(ends)}
    for nth, attack in enumerate(ATTACKS):
        path = f"M{across(1):.1f} {up(1):.1f}"
        path += "".join(f"H{across(tried):.1f}V{up(sent):.1f}" for tried, sent in day.progress[attack.name])
        path += f"H{across(day.tried[attack.name]):.1f}"
        colour, at = COLOURS[nth], place[nth]
        parts.append(line(path, colour))
        parts.append(line(f"M{RIGHT + 14} {at - 4}h18", colour))
        parts.append(label(f"{RIGHT + 38}", f"{at}", f"{attack.name}: {day.sent[attack.name]:,}"))
    return parts


def legends() -> list[str]:
    middle, half = f"{(LEFT + RIGHT) / 2:.0f}", f"{(TOP + BOTTOM) / 2:.0f}"
    return [
        label(middle, f"{HEIGHT - 10}", "sends that an attacker asked for", "middle"),
        upright(14, half, "let through"),
    ]


SCRIPT = "pumping.py"


def write(text: str, drawn: str) -> None:
    (DOCS / "pumping.svg").write_text(drawn, "utf-8")
    insert(DOCS / "pumping.md", SCRIPT, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sends", type=int, default=1_000_000)
    parser.add_argument("--attack", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    said = parser.parse_args()
    began = time.monotonic()
    days = [simulate(said.sends, said.attack, said.seed, cold=cold, compare=compare) for cold, compare in KINDS]
    figures = table(*days)
    print(figures)
    print(f"\n{time.monotonic() - began:.0f} s")
    if said.write:
        write(figures, plot(days[0]))
