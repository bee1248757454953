"""What so many verifications a second need, from the measured costs: the arithmetic of docs/capacity.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _report

SCRIPT = "_capacity.py"
RATES = (10, 1_000, 100_000)
"""Verifications a second."""
CHECKS, DELIVERIES = 1.3, 1.1
"""Of one verification: some mistype, some ask for the code again."""
PLANNED = 0.6
"""Of a core. The rest is for the peak within a second, and for whoever takes over from one that died."""
BESIDE = 1.5
"""What reports, webhooks and counters beside the three calls make of Redis's work. Not measured: an allowance."""
ROOM = 1.3
"""What Redis needs of memory for each byte of its data: tables that grow by doubling, fragments, connections."""
MASTER_GB = 25
"""Of data that one master holds here: more takes minutes to load and to copy to a replica."""
PARTITIONS = 32
"""Of the service; one is never divided, so no more masters than these have work."""
AGAIN = 3.5 * 86_400
"""Seconds until the same person verifies again. Not measured. What is kept for a person longer is kept once."""
PERSONAL = frozenset({"ok:…", "d:…"})
FEW = frozenset({"pg:…", "c:…", "cf:…", "held", "control"})
"""As many as there are prefixes, countries or channels, however much is sent."""
HTTP = 4_000
"""Bytes of a verification on the callers' and gateways' wires, with TLS. Not measured."""
TRIES, SHORTEST_TRIES = "t:…", 2 * 3600
"""The keys whose life `[retention] tries` says, and the shortest that it may say, in seconds."""


@dataclass(frozen=True)
class Costs:
    """Seconds of CPU, MB, bytes."""

    api_start: float
    api_check: float
    worker: float
    redis_start: float
    redis_check: float
    redis_delivery: float
    api_mb: float
    worker_mb: float
    wire: float
    """Bytes between the service and Redis, of one verification."""
    kept: Mapping[str, tuple[float, float]]
    """By kind of key: bytes of one verification, and the seconds that they live; 0 for what is bounded otherwise."""

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Costs | None:
        """From the file of figures; None while it lacks one of the scripts' or of their rows."""
        rows = figures.get("comparison.py", {}).get("rows", {})
        growth = figures.get("growth.py")
        try:
            start, check, delivery = (rows[f"ours: {name}"] for name in ("start", "check", "delivery, gateway 100 ms"))
            largest = growth["sizes"][max(growth["sizes"], key=int)]
            kept = {one["kind"]: (one["bytes"], one["life"]) for one in growth["kept"]}
            return cls(
                start["cpu"],
                check["cpu"],
                delivery["cpu"],
                largest["start, Redis"],
                largest["check, Redis"],
                delivery["redis"],
                start["rss"],
                delivery["rss"],
                growth["wire"],
                kept,
            )
        except (KeyError, TypeError):
            return None

    @property
    def api(self) -> float:
        """Of one verification, as `redis` and `delivered`."""
        return self.api_start + CHECKS * self.api_check

    @property
    def delivered(self) -> float:
        return DELIVERIES * self.worker

    @property
    def redis(self) -> float:
        return (self.redis_start + CHECKS * self.redis_check + DELIVERIES * self.redis_delivery) * BESIDE

    def held(self, tries: float | None = None) -> float:
        """Bytes in Redis for each verification a second; `tries`: how long those are kept, in seconds."""
        return sum(size * life_of(kind, life, tries) for kind, (size, life) in self.kept.items()) * ROOM


def life_of(kind: str, life: float, tries: float | None) -> float:
    """Seconds; 0 for what does not grow with the rate."""
    if kind in FEW:
        return 0
    if kind == TRIES and tries is not None:
        return tries
    return min(life, AGAIN) if kind in PERSONAL else life


@dataclass(frozen=True)
class Need:
    """For one rate."""

    api: int
    workers: int
    masters: int
    gigabytes: float
    service_mb: float
    megabits: float


def need(costs: Costs, rate: float, tries: float | None = None) -> Need:
    """Two of each at least, so that one may die."""
    api, workers = (max(2, math.ceil(rate * cost / PLANNED)) for cost in (costs.api, costs.delivered))
    gigabytes = rate * costs.held(tries) / 1e9
    masters = max(1, math.ceil(rate * costs.redis / PLANNED), math.ceil(gigabytes / MASTER_GB))
    megabits = rate * (costs.wire + HTTP) * 8 / 1e6
    return Need(api, workers, masters, gigabytes, api * costs.api_mb + workers * costs.worker_mb, megabits)


# --- as it is told ----------------------------------------------------------------------------------------------------


def text(costs: Costs) -> str:
    return "\n\n".join([_sums(costs), _table(costs), _memory(costs), _ends(costs)])


def _sums(costs: Costs) -> str:
    api = f"{_micro(costs.api_start)} + {CHECKS} × {_micro(costs.api_check)}"
    redis = f"{_micro(costs.redis_start)} + {CHECKS} × {_micro(costs.redis_check)}"
    redis += f" + {DELIVERIES} × {_micro(costs.redis_delivery)}"
    lines = [
        "| CPU of one verification | arithmetic | µs | one process or master carries |",
        "|---|---|---:|---:|",
        f"| API | {api} | {_micro(costs.api)} | {_carried(costs.api)} |",
        f"| worker | {DELIVERIES} × {_micro(costs.worker)} | {_micro(costs.delivered)} | {_carried(costs.delivered)} |",
        f"| Redis | ({redis}) × {BESIDE} | {_micro(costs.redis)} | {_carried(costs.redis)} |",
    ]
    return "\n".join(lines)


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def _carried(seconds: float) -> str:
    return f"{PLANNED / seconds:,.0f}/s"


def _table(costs: Costs) -> str:
    heads = ["verifications/s", "API processes", "workers", "their memory", "Redis masters"]
    heads += ["data in Redis", "the same, tries kept 2 h", "network"]
    lines = [f"| {' | '.join(heads)} |", "|---:" * len(heads) + "|"]
    for rate in RATES:
        usual, short = need(costs, rate), need(costs, rate, SHORTEST_TRIES)
        masters = _beyond(usual.masters) + _if_other(short.masters, usual.masters)
        cells = [f"{rate:,}", f"{usual.api:,}", f"{usual.workers:,}", _gigabytes(usual.service_mb / 1e3), masters]
        cells += [_gigabytes(usual.gigabytes), _gigabytes(short.gigabytes), f"{usual.megabits:,.1f} Mbit/s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _beyond(masters: int) -> str:
    return f"{masters:,}" if masters <= PARTITIONS else f"**{masters:,}**"


def _if_other(short: int, usual: int) -> str:
    return f" ({_beyond(short)} with short tries)" if short != usual else ""


def _gigabytes(size: float) -> str:
    return f"{size:,.0f} GB" if size >= 10 else f"{size:.1f} GB"


def _memory(costs: Costs) -> str:
    lines = ["| key | bytes of one | seconds kept | MB for each verification a second |", "|---|---:|---:|---:|"]
    parts = [(kind, size, life_of(kind, life, None)) for kind, (size, life) in costs.kept.items()]
    for kind, size, life in sorted(parts, key=lambda one: -one[1] * one[2]):
        if size * life * ROOM >= 5e4:
            lines.append(f"| `{kind}` | {size:,.0f} | {life:,.0f} | {size * life * ROOM / 1e6:,.1f} |")
    return "\n".join(lines)


def _ends(costs: Costs) -> str:
    cpu = PLANNED / costs.redis
    usual, short = (MASTER_GB * 1e9 / costs.held(tries) for tries in (None, SHORTEST_TRIES))
    lines = []
    for masters, name in ((1, "One Redis"), (PARTITIONS, f"{PARTITIONS} masters, one a partition")):
        memory = f"{masters * usual:,.0f} by memory ({masters * short:,.0f} with tries kept for two hours)"
        lines.append(f"- {name}: {masters * cpu:,.0f} verifications a second by CPU, {memory}.")
    return "\n".join(lines)


def write(folder: Path, figures: Mapping[str, Any]) -> None:
    """Renew capacity.md, once everything is measured that it needs."""
    costs = Costs.of(figures)
    if costs:
        _report.insert(folder / "capacity.md", SCRIPT, text(costs))
