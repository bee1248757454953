"""What processes hold, from the beginning to the end, and whether it grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.soak.plant import Burden, Part, Plant

WARM_UP = 0.25
"""Of the samples of a process: caches, pools and threads come into being with the first requests."""


@dataclass
class Watch:
    """Samples of each process; one that is begun anew is another."""

    seen: dict[str, list[tuple[float, Burden]]] = field(default_factory=dict)

    def look(self, plant: Plant, now: float) -> None:
        """`now` is in seconds."""
        for part in plant.parts():
            if burden := self._of(part):
                assert part.process is not None
                self.seen.setdefault(f"{part.name} {part.process.pid}", []).append((now, burden))

    @staticmethod
    def _of(part: Part) -> Burden | None:
        burden = part.burden()
        return burden if burden.rss else None

    def table(self) -> list[str]:
        """A line for each process that was seen often enough to say something of it."""
        return [self._line(name, samples) for name, samples in sorted(self.seen.items()) if len(samples) >= 8]

    def _line(self, name: str, samples: Sequence[tuple[float, Burden]]) -> str:
        steady = samples[int(len(samples) * WARM_UP) :]
        drift = slope([at for at, _ in steady], [burden.rss / 1e6 for _, burden in steady]) * 3600
        first, last = steady[0][1], steady[-1][1]
        minutes = (steady[-1][0] - steady[0][0]) / 60
        return (
            f"{name.partition(' ')[0]:<9}{minutes:6.1f} min  RSS {last.rss / 1e6:6.1f} MB, {drift:+7.1f} MB/h  "
            f"threads {first.threads}–{max(b.threads for _, b in steady)}, at last {last.threads}  "
            f"files {first.files}–{max(b.files for _, b in steady)}, at last {last.files}  sockets {last.sockets}"
        )


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the straight line that is nearest by least squares; 0 where there is none."""
    return statistics.linear_regression(xs, ys).slope if len(set(xs)) > 1 else 0.0
