"""What one verification leaves in Redis once it was delivered and approved: by kind of key, and for how long."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from _ground import KEYS, SHOP, Ground, code_of, gateways, valkey

from otp_service.calls import CheckRequest
from otp_service.keyring import PARTITIONS

_SPAN = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Kept(NamedTuple):
    kind: str
    """Its name, with what differs left out."""
    keys: float
    """Of one verification; below 1 where several share one."""
    bytes: float
    """Of one verification, by MEMORY USAGE: the key's own name and its entry are among them."""
    life: float
    """Seconds until the last of them goes, up to whole minutes; 0 for what is bounded by something else."""

    @property
    def life_told(self) -> str:
        if not self.life:
            return "bounded otherwise"
        unit, name = next(pair for pair in _SPAN if self.life >= pair[0] * 1.5 or pair[0] == 1)
        return f"{self.life / unit:.0f} {name}"


def left_behind(folder: Path, count: int) -> tuple[list[Kept], float]:
    """Of so many, each with a number and one delivery of its own, ten to a prefix; the largest first.

    Beside it the bytes between the service and Redis, of one verification.
    """
    with valkey() as url, gateways(0.0) as ports:
        ground = Ground(folder, url, ports, limits="")
        before = _wire(ground)
        numbers = [f"138{nth // 10:04d}{nth % 10:04d}" for nth in range(count)]
        ids = [ground.start(number) for number in numbers]
        with ground.process("worker"):
            _wait_for(lambda: not ground.waiting())
            for id in ids:
                ground.verifier.check(SHOP, id, CheckRequest(code_of(ground.redis, ground.keyring, id)))
            _wait_for(lambda: _is_settled(ground))
        wire = (_wire(ground) - before) / count
        return _by_kind(ground, count), round(wire)


def _wait_for(done: Callable[[], bool]) -> None:
    for _ in range(3000):
        if done():
            return
        time.sleep(0.02)
    raise TimeoutError("the worker did not come to its end within a minute")


def _is_settled(ground: Ground) -> bool:
    """Whether the worker has told the channels of every approval."""
    pipeline = ground.redis.pipeline(transaction=False)
    for partition in range(PARTITIONS):
        pipeline.zcard(KEYS.due(partition))
    return not sum(pipeline.execute())


def _wire(ground: Ground) -> int:
    facts = ground.redis.info("stats")
    return int(facts["total_net_input_bytes"]) + int(facts["total_net_output_bytes"])


def _by_kind(ground: Ground, count: int) -> list[Kept]:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key in ground.redis.scan_iter(count=1000):
        size, life = ground.redis.memory_usage(key, samples=0) or 0, int(ground.redis.pttl(key))
        found[_kind(key.decode())].append((size, life))
    kept = []
    for kind, keys in found.items():
        size, life = sum(size for size, _ in keys), max(life for _, life in keys)
        kept.append(Kept(kind, len(keys) / count, size / count, -(-max(0, life) // 60_000) * 60.0))
    return sorted(kept, key=lambda one: -one.bytes)


def _kind(key: str) -> str:
    """`otp:{cq0}:v:ver_…` is `v:…`, `otp:{c:primary}` is `c:…`; a partition's only one of its kind is its name."""
    owned = re.match(r"\w+:\{(\w+):", key)
    words = re.sub(r"^\w+:(\{\w+\}:)?", "", key).split(":")
    return f"{owned[1]}:…" if owned else f"{words[0]}:…" if len(words) > 1 else words[0]
