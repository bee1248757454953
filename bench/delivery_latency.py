"""How long a person waits: 200 starts a second, while the first gateway is well, then dead, then silent.

`otp-service serve` and `otp-service worker` run as they are, the worker on a core of its own. Starts are paced, not
pushed: one every 5 ms over connections that stand. The time runs from the moment at which a start is asked for to the
first request that a living gateway gets (CLOCK_MONOTONIC, which all processes share), so it includes the start itself.

- well: two gateways that answer in 20 ms.
- dead: nothing listens at the first channel's address. Its breaker opens after ten refusals in a row.
- silent: the first gateway takes requests and never answers. Each send that meets it waits `answer_within` (1.5 s);
  silent calls count twice, so the breaker opens soon after the first five of them have been silent for so long; what
  was asked until then is what the percentiles show. Afterwards one send at a time, the probe, meets it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Sequence

from _ground import Ground, free_port, gateways, grounds, load, mobiles, taken

from otp_service.api_keys import new_key

RATE = 200
"""Starts a second."""
LANES = 32
"""Connections to the API, each with one start at a time."""
WITHIN = 3.0


async def start_all(ground: Ground, key: str, numbers: Sequence[str]) -> dict[str, tuple[float, float]]:
    """When each number's start was asked for, and when it was answered."""
    asked: dict[str, tuple[float, float]] = {}
    lanes: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    bind = ground.config.service.bind
    for _ in range(LANES):
        lanes.put_nowait(await asyncio.open_connection(bind.host, bind.port))

    async def start(number: str, at: float) -> None:
        await asyncio.sleep(at - time.monotonic())
        reader, writer = await lanes.get()
        body = json.dumps({"to": number, "purpose": "login"})
        head = f"POST /v1/verifications HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        began = time.monotonic()
        writer.write((head + body).encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(answer.partition(b"content-length:")[2].split(b"\r", 1)[0]))
        if answer.split(b" ", 2)[1] != b"201":
            sys.exit(answer.decode())
        asked[number] = began, time.monotonic()
        lanes.put_nowait((reader, writer))

    began = time.monotonic() + 0.1
    await asyncio.gather(*(start(number, began + nth / RATE) for nth, number in enumerate(numbers)))
    return asked


def wait_for_api(ground: Ground) -> None:
    bind = ground.config.service.bind
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://{bind.host}:{bind.port}/readyz", timeout=1)
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("the API does not answer")


def measure(ground: Ground, key: str, living: int, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds that each start took, and from it to the first request for it at the living gateway."""
    numbers = mobiles(round(RATE * seconds))
    taken(living)
    with ground.process("serve", 1), ground.process("worker"):
        wait_for_api(ground)
        time.sleep(2)  # the worker is up as well
        asked = asyncio.run(start_all(ground, key, numbers))
        ended = time.monotonic() + 20
        while ground.waiting() and time.monotonic() < ended:
            time.sleep(0.1)
    came = taken(living)
    starts = sorted(answered - began for began, answered in asked.values())
    return starts, sorted(came.get(number, math.inf) - began for number, (began, _) in asked.items())


def quantiles(row: Sequence[float]) -> list[float]:
    """p50, p90, p99 and the most, in ms."""
    cuts = statistics.quantiles(row, n=100)
    return [one * 1000 for one in (cuts[49], cuts[89], cuts[98], max(row))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="of starts, a case")
    options = parser.parse_args()
    key = new_key()
    with gateways(0.02, math.inf) as (well, silent):
        cases = {"well": [well, well], "dead": [free_port(), well], "silent": [silent, well]}
        with grounds(*cases.values(), key_hashes=json.dumps(key.hash)) as found:
            print(f"{RATE} starts/s for {options.seconds:g} s each, {os.cpu_count()} cores for everything, {load()}\n")
            print(f"{'first gateway':14} {'':10} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'most ms':>8} {'≤ 3 s':>8}")
            for name, ground in zip(cases, found, strict=True):
                starts, requests = measure(ground, key.text, well, options.seconds)
                share = sum(one <= WITHIN for one in requests) / len(requests)
                row = "".join(f" {one:8.1f}" for one in quantiles(starts))
                print(f"{name:14} {'answered':10}{row}")
                row = "".join(f" {one:8.1f}" for one in quantiles(requests))
                print(f"{'':14} {'request':10}{row} {share:8.2%}")


if __name__ == "__main__":
    main()
