"""How many deliveries a worker process makes in a second on one core, with gateways that answer after 0 and 100 ms.

Each round puts thousands of sends into the outbox through `Verifier.start`, then starts `otp-service worker` on them,
with its default settings but for the limits. The worker has a core of its own; Valkey, the gateway and this program
share the other one. A rate is taken from the tenth of the sends on, when connections stand, to the last one that is
settled; CPU is the worker's process (and Valkey's, beside it), a delivery. A shared machine drifts by a factor of two:
the best round says what the code can do, the CPU says it more steadily.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from _ground import Ground, cpu_seconds, family, gateways, grounds, load, memory, mobiles, taken

LATENCIES = (0.0, 0.1)
"""Seconds."""
WARM = 0.1
"""Of the sends: the worker begins, and opens its connections."""


TRIES = 3


class Unsettled(Exception):
    """Some sends were not accepted, though no worker has anything to do. Says how many."""


class Figures(NamedTuple):
    rate: float
    """Deliveries a second."""
    cpu: float
    """Seconds of the worker's CPU a delivery; `redis`: of Valkey's."""
    redis: float
    rss: float
    """The worker's memory, as `_ground.memory`."""
    pss: float


def measure(ground: Ground, numbers: list[str]) -> Figures:
    ids = [ground.start(number) for number in numbers]
    valkey = int(ground.redis.info("server")["process_id"])
    samples: list[tuple[float, int, float, float]] = []
    with ground.process("worker") as worker:
        start = (time.monotonic(), 0, 0.0, cpu_seconds(valkey))
        waiting = len(ids)
        while waiting:
            time.sleep(0.02)
            waiting = ground.waiting()
            if waiting <= len(ids) * (1 - WARM):
                done = len(ids) - waiting
                samples.append((time.monotonic(), done, cpu_seconds(worker.pid), cpu_seconds(valkey)))
        kept = memory(family(worker.pid))
    states = ground.deliveries(ids)
    if states != {"accepted": len(ids)}:
        # A breaker that opened puts sends off: they leave the outbox, and come back to it when they are due.
        raise Unsettled(f"{states}, of {len(ids)} sends; {ground.put_off()} are put off")
    (began, first, cpu, server_cpu), (ended, last, cpu_after, server_cpu_after) = samples[0], samples[-1]
    if last == first:  # so few, or so fast, that we looked but once: its begin is among them
        began, first, cpu, server_cpu = start
    done = last - first
    of_valkey = (server_cpu_after - server_cpu) / done
    return Figures(done / (ended - began), (cpu_after - cpu) / done, of_valkey, *kept)


def rounds(count: int, sends: int) -> Iterator[list[Figures]]:
    """The figures of one round, by latency."""
    with gateways(*LATENCIES) as ports, grounds(*([port] for port in ports)) as by_latency:
        for _ in range(count):
            yield [once_more(ground, port, sends) for ground, port in zip(by_latency, ports, strict=True)]


def once_more(ground: Ground, port: int, sends: int) -> Figures:
    """On an empty Redis. On a machine that others use up, the gateway is late, the breaker opens and sends are put off:
    then all is done again. Raises Unsettled after the third time."""
    for left in reversed(range(TRIES)):
        ground.redis.flushall()
        taken(port)  # what is still there of the last time is forgotten
        try:
            found = measure(ground, mobiles(sends))
        except Unsettled as unsettled:
            print(f"measured again: {unsettled}, {load()}", file=sys.stderr)
            if not left:
                raise
            continue
        assert len(taken(port)) == sends
        return found
    raise AssertionError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sends", type=int, default=5000, help="a round and latency")
    options = parser.parse_args()
    found = list(itertools.chain(rounds(options.rounds, options.sends)))
    print(f"{options.rounds} rounds of {options.sends} sends, {load()}\n")
    print(f"{'gateway':>8} {'deliveries/s':>13} {'best':>6} {'CPU µs':>7} {'least':>6} {'of Valkey':>10}")
    for latency, figures in zip(LATENCIES, zip(*found, strict=True), strict=True):
        rates, cpu, server_cpu, _, _ = zip(*figures, strict=True)
        row = f"{latency * 1000:5.0f} ms {statistics.median(rates):13.0f} {max(rates):6.0f}"
        row += f" {statistics.median(cpu) * 1e6:7.0f} {min(cpu) * 1e6:6.0f} {statistics.median(server_cpu) * 1e6:10.0f}"
        print(row)


if __name__ == "__main__":
    main()
