"""A channel's outcomes and latencies, a hash for each ten minutes. `lua/note.lua` counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from otp_service.store.rows import text

SPAN_SECONDS = 600
"""Of one hash of figures. By the worker's clock: it decides nothing."""
_HOUR = 6
_STEP = "ms:"
"""Fields `ms:<step>` count answers that took up to 2^(step/2) ms; the others are `outcome:reason`."""


def span_of(seconds: float) -> int:
    return int(seconds) // SPAN_SECONDS


def spans(seconds: float) -> list[int]:
    """Those of the last hour, the running one included."""
    return [span_of(seconds) - ago for ago in range(_HOUR)]


def in_the_last_hour(figures: Sequence[Mapping[bytes, bytes]]) -> tuple[dict[str, int], int | None, int | None]:
    """Outcomes, and the median and 95th percentile of the latencies in milliseconds."""
    outcomes: Counter[str] = Counter()
    steps: Counter[int] = Counter()
    for counted in figures:
        for field, count in counted.items():
            name = text(field)
            if name.startswith(_STEP):
                steps[int(name.removeprefix(_STEP))] += int(count)
            else:
                outcomes[name.rstrip(":")] += int(count)
    return dict(outcomes.most_common()), _quantile(steps, 0.5), _quantile(steps, 0.95)


def _quantile(steps: Counter[int], share: float) -> int | None:
    passed, wanted = 0, share * steps.total()
    for step in sorted(steps):
        passed += steps[step]
        if passed >= wanted:
            return round(2 ** ((step - 0.5) / 2)) if step else 1
    return None
