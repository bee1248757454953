"""What goes wrong in a soak: each fault happens to a plant that is at work, and is over when its function returns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import redis

from tests.soak.plant import CHANNELS, Part, Plant

STOPPED_SECONDS = 5.0
PAUSED_MS = 3000
ILL_SECONDS = 15.0
"""Of a gateway: long enough for a breaker to open, short enough for it to close again before the next fault."""


async def _again(part: Part, number: signal.Signals) -> None:
    """It ends, and begins as it was. On a thread: the callers go on meanwhile."""
    await asyncio.to_thread(part.end, number)
    await asyncio.to_thread(part.begin)


async def _stopped(part: Part) -> None:
    part.tell(signal.SIGSTOP)
    try:
        await asyncio.sleep(STOPPED_SECONDS)
    finally:
        part.tell(signal.SIGCONT)


async def paused(plant: Plant) -> None:
    with contextlib.suppress(redis.RedisError):
        await asyncio.to_thread(plant.redis.execute_command, "CLIENT", "PAUSE", PAUSED_MS, "ALL")
    await asyncio.sleep(PAUSED_MS / 1000)


async def _ill(plant: Plant, fault: Mapping[str, Any]) -> None:
    """Of the two channels one only: codes go out by the other."""
    await asyncio.to_thread(_set, plant, fault)
    try:
        await asyncio.sleep(ILL_SECONDS)
    finally:
        await asyncio.to_thread(_set, plant, None)


def _set(plant: Plant, fault: Mapping[str, Any] | None) -> None:
    with httpx.Client(base_url=plant.gateway_url, trust_env=False, timeout=30) as gateway:
        answer = gateway.put(f"/api/accounts/{CHANNELS[0]}", json={"fault": fault})
        answer.raise_for_status()


FAULTS: Mapping[str, Callable[[Plant], Awaitable[None]]] = {
    "a worker is killed": lambda plant: _again(plant.workers[-1], signal.SIGKILL),
    "an API is killed": lambda plant: _again(plant.apis[-1], signal.SIGKILL),
    "Redis is stopped": lambda plant: _stopped(plant.valkey),
    "Redis is paused": paused,
    "Redis begins anew": lambda plant: _again(plant.valkey, signal.SIGTERM),
    "Redis is killed": lambda plant: _again(plant.valkey, signal.SIGKILL),
    "the gateways are stopped": lambda plant: _stopped(plant.gateway),
    "a gateway hangs": lambda plant: _ill(plant, {"name": "hang"}),
    "a gateway is slow": lambda plant: _ill(plant, {"name": "slow"}),
    "a gateway resets": lambda plant: _ill(plant, {"name": "reset_unsent"}),
    "a gateway is down": lambda plant: _ill(plant, {"name": "http_503"}),
    "a worker is stopped": lambda plant: _stopped(plant.workers[-1]),
}
"""The last worker and the last API are killed: the first ones live through all of it, and are measured."""
