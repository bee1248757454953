"""A day with pumpers in it (`_pumping_day.py`), without Redis and faster than life: what the guard lets through.

    python bench/pumping.py [--sends 1000000] [--attack 10000] [--seed 1] [--write]

`--write` makes docs/pumping.svg and the tables in docs/pumping.md anew.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

from _pumping_day import ATTACKS, PRICE, Attack, Day, simulate

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
COLOURS = ("#d1495b", "#2e86ab", "#7a9e3a", "#b8690f", "#7b5ea7", "#1b998b", "#c0399f", "#8c6d46", "#5b7a99")
STYLE = (
    "path{fill:none;stroke-width:2}text{font:11px system-ui,sans-serif;fill:#222}"
    ".grid{stroke:#8886;stroke-width:1}.bare{stroke:#888;stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def across(count: float) -> float:
    return LEFT + math.log10(max(count, 1)) / DECADES * (RIGHT - LEFT)


def up(count: float) -> float:
    return BOTTOM - math.log10(max(count, 1)) / DECADES * (BOTTOM - TOP)


def plot(day: Day) -> str:
    """Sends let through over sends asked for, both logarithmic; readable on white and on black."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    title = "<title>Sends that the pumping guard lets through, by attack</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *grid(), *curves(day), *legends(), "</svg>", ""])


def grid() -> list[str]:
    parts = []
    for decade in range(DECADES + 1):
        at, label = 10**decade, f"{10**decade:,}"
        parts.append(f'<path class="grid" d="M{LEFT} {up(at):.1f}H{RIGHT}M{across(at):.1f} {TOP}V{BOTTOM}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{up(at) + 4:.1f}" text-anchor="end">{label}</text>')
        parts.append(f'<text x="{across(at):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{label}</text>')
    parts.append(f'<path class="bare" d="M{across(1)} {up(1)}L{across(10**4)} {up(10**4)}"/>')
    parts.append(f'<text x="{RIGHT - 90}" y="{TOP + 14}" text-anchor="end">no guard</text>')
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
        parts.append(f'<path d="{path}" stroke="{colour}"/>')
        parts.append(f'<path d="M{RIGHT + 14} {at - 4}h18" stroke="{colour}"/>')
        parts.append(f'<text x="{RIGHT + 38}" y="{at}">{attack.name}: {day.sent[attack.name]:,}</text>')
    return parts


def legends() -> list[str]:
    middle, half = f"{(LEFT + RIGHT) / 2:.0f}", f"{(TOP + BOTTOM) / 2:.0f}"
    return [
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">sends that an attacker asked for</text>',
        f'<text transform="translate(14 {half}) rotate(-90)" text-anchor="middle">let through</text>',
    ]


MARK = "<!-- figures of bench/pumping.py -->"


def write(text: str, picture: str) -> None:
    docs = Path(__file__).parents[1] / "docs"
    (docs / "pumping.svg").write_text(picture, "utf-8")
    page = docs / "pumping.md"
    head, _, rest = page.read_text("utf-8").partition(MARK)
    _, _, tail = rest.partition(MARK)
    page.write_text(f"{head}{MARK}\n{text}\n{MARK}{tail}", "utf-8")


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
