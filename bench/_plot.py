"""SVG by hand, for the pictures in the docs: no library to install, and text that stays text.

Readable on white and on black, as GitHub shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

COLOURS = ("#d1495b", "#2e86ab", "#7a9e3a", "#b8690f", "#7b5ea7", "#1b998b", "#c0399f", "#8c6d46", "#5b7a99")
STYLE = (
    "path{fill:none;stroke-width:2}text{font:11px system-ui,sans-serif;fill:#222}"
    ".grid{stroke:#8886;stroke-width:1}.bare{stroke:#888;stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def picture(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def label(x: str, y: str, words: str, anchor: str = "") -> str:
    """Words at a point: to its right, or by `anchor` "middle" or "end"."""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x}" y="{y}"{where}>{escape(words)}</text>'


def upright(x: int, y: str, words: str) -> str:
    """Words that run upwards, with their middle at this point."""
    return f'<text transform="translate({x} {y}) rotate(-90)" text-anchor="middle">{escape(words)}</text>'


def line(way: str, colour: str) -> str:
    return f'<path d="{way}" stroke="{colour}"/>'


def ruled(way: str, kind: str = "grid") -> str:
    return f'<path class="{kind}" d="{way}"/>'


# --- bars -------------------------------------------------------------------------------------------------------------

_NAMES, _BAR, _VALUES, _STEP, _HEAD = 270, 250, 70, 20, 50


def bars(title: str, panels: Mapping[str, Sequence[tuple[str, float, str]]]) -> str:
    """Panels side by side, by their headings. A bar is (name, value, colour); all panels name the same in one order.

    A value of 0 is one that was not measured, and has no bar.
    """
    names = [name for name, _, _ in next(iter(panels.values()))]
    width, height = _NAMES + len(panels) * (_BAR + _VALUES), _HEAD + len(names) * _STEP + 10
    parts = [label(str(_NAMES - 10), str(_HEAD + nth * _STEP + 12), name, "end") for nth, name in enumerate(names)]
    for nth, (heading, values) in enumerate(panels.items()):
        left = _NAMES + nth * (_BAR + _VALUES)
        parts.append(label(str(left), str(_HEAD - 20), heading))
        parts.append(ruled(f"M{left} {_HEAD - 8}V{height - 8}"))
        most = max((value for _, value, _ in values), default=0) or 1
        for row, (_, value, colour) in enumerate(values):
            if value:
                long, y = value / most * _BAR, _HEAD + row * _STEP
                parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{_STEP - 5}" fill="{colour}"/>')
                parts.append(label(f"{left + long + 6:.1f}", str(y + 12), f"{value:,.0f}"))
    return picture(width, height, title, parts)
