"""`python -m tests.soak`: ten minutes at half load, with a fault a minute; `SOAK=48h` for those who have the time.

Exits 1 when an invariant failed, a key had no TTL that needs one, or somebody was never answered.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from tests.soak.plant import Plant
from tests.soak.soak import Soak

EPOCH_SECONDS = 600.0
"""After each the invariants are judged, and what was noted is forgotten: a night fits into memory."""
_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(said: str) -> float:
    """Of `90s`, `10m` or `48h`. Raises ValueError."""
    if not (found := re.fullmatch(r"(\d+)([smh])", said)):
        raise ValueError(f"SOAK={said} is no time; say 90s, 10m or 48h")
    return float(int(found[1]) * _UNITS[found[2]])


def main() -> int:
    left = seconds_of(os.environ.get("SOAK", "10m"))
    with tempfile.TemporaryDirectory(prefix="otp-soak-") as folder, Plant(Path(folder), workers=2, apis=2) as plant:
        soak = Soak(plant, say=lambda line: print(line, flush=True))
        while left >= 1:
            epoch = min(left, EPOCH_SECONDS)
            soak.run(epoch)
            print(*soak.watch.table(), sep="\n", flush=True)
            left -= epoch
    print(*soak.wrong, f"{len(soak.wrong)} violations", sep="\n")
    return bool(soak.wrong)


if __name__ == "__main__":
    sys.exit(main())
