"""`ClusterTrips`: what is asked for in one turn of the event loop goes to each node of a cluster in one trip.

A node that has not the slot of a key says so before it does anything: whatever it refused so may be asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError

from otp_service.ports import StoreDown
from otp_service.store.async_cluster import AsyncCluster, Node
from otp_service.store.scripts import Script
from otp_service.store.slots import slot_of
from otp_service.store.trips import Trips, Word

REFUSED_FOR = 10.0
"""Seconds after which it is given up: a slot that moves with many keys refuses for so long what names several of them,
and a lost master's slots are served again much sooner."""
_PAUSE = 0.05
_ELSEWHERE = (AskError, ClusterDownError, TryAgainError)
"""MOVED is an ASK to redis-py."""


class ClusterTrips(Trips):
    is_cluster = True

    def __init__(self, cluster: AsyncCluster, scripts: Mapping[str, Script]) -> None:
        self.cluster = cluster
        self._scripts = scripts
        self._brought = {}

    async def command(self, *words: Word) -> Any:
        return await self._led(words, lambda node: node.trips.command(*words))

    async def alone(self, *words: Word, asking: bool = False) -> Any:
        return await self._led(words, lambda node: node.trips.alone(*words, asking=asking))

    async def _led(self, words: tuple[Word, ...], ask: Callable[[Node], Awaitable[Any]]) -> Any:
        """Ask the slot's node, and wherever it says instead. Raises StoreDown."""
        slot = slot_of(words)
        if slot is None:
            raise ValueError("a command without a key has no node")
        end = asyncio.get_running_loop().time() + REFUSED_FOR
        node, refusals, is_asked_for = await self.cluster.owner(slot), 0, False
        while True:
            try:
                # What an ASK says holds for one command, and says nothing of the slot.
                return await (node.trips.alone(*words, asking=True) if is_asked_for else ask(node))
            except StoreDown as failure:
                refusal = failure.__cause__
                if not isinstance(refusal, ResponseError):
                    self.cluster.look_soon()
                if not isinstance(refusal, _ELSEWHERE) or asyncio.get_running_loop().time() > end:
                    raise
            refusals += 1
            if refusals > 2 or not isinstance(refusal, AskError):
                await asyncio.sleep(_PAUSE)
            is_asked_for = isinstance(refusal, AskError) and not isinstance(refusal, MovedError)
            node = await self._instead(node, slot, refusal)

    async def _instead(self, node: Node, slot: int, refusal: Exception) -> Node:
        if isinstance(refusal, AskError):
            # A node that knows no name of the other means its own host.
            address = (refusal.host or node.address[0], refusal.port)
            return self.cluster.moved(slot, address) if isinstance(refusal, MovedError) else self.cluster.at(address)
        if isinstance(refusal, ClusterDownError):
            await self.cluster.look()
        return await self.cluster.owner(slot)


def trips_to(client: Any, scripts: Mapping[str, Script]) -> Trips:
    """`client` is what `connect_async` gives."""
    return ClusterTrips(client, scripts) if isinstance(client, AsyncCluster) else Trips(client, scripts)
