"""`AsyncCluster`: the nodes of a Redis Cluster as a worker knows them, and which of them has a slot.

redis-py has such a client. It sends ASKING on one connection and the command after it on another, and where a slot has
moved it cuts connections on which others still wait for their replies.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import structlog

from otp_service.ports import StoreDown
from otp_service.redis_url import Node as Address
from otp_service.store.trips import Trips

_LOG = structlog.get_logger("otp_service.store")

SLOTS = 16384
_SAID_WITHIN = 1.0
"""Seconds that a node has to say who serves what; another is asked then."""
_LOOK_SECONDS = 0.2
"""Between two looks: while a master's slots go over to its replica every command finds reason for one."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One server; all that goes there at one time goes in one trip."""

    address: Address
    client: redis.asyncio.Redis
    trips: Trips


class AsyncCluster:
    """For one event loop. `make` gives the client of a node; `first` are the nodes that are asked for the others."""

    def __init__(self, first: tuple[Address, ...], make: Callable[[Address], redis.asyncio.Redis]) -> None:
        self._make = make
        self.first = first
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = [None] * SLOTS
        self._looking: asyncio.Task[None] | None = None
        self._looked = 0.0
        self._is_closed = False

    async def owner(self, slot: int) -> Node:
        """Who has a slot, as far as is known. Raises StoreDown where no node says."""
        if self._owners[slot] is None:
            await self.look()
        if node := self._owners[slot]:
            return node
        raise StoreDown("no node of the cluster says who has a slot")

    def at(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            client = self._make(address)
            node = self._nodes[address] = Node(address, client, Trips(client, {}))
        return node

    def moved(self, slot: int, address: Address) -> Node:
        """A node has said where a slot is now."""
        node = self._owners[slot] = self.at(address)
        return node

    async def look(self) -> None:
        """Return once a node was asked who serves what, if one answers; whoever waits meanwhile waits for the same."""
        self.look_soon()
        if self._looking:
            await asyncio.shield(self._looking)

    def look_soon(self) -> None:
        """Look in the background, unless it is being done."""
        if self._looking is None and not self._is_closed:
            self._looking = asyncio.get_running_loop().create_task(self._look())
            self._looking.add_done_callback(self._seen)

    def _seen(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("the cluster's nodes could not be read", exc_info=error)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._looked + _LOOK_SECONDS - now()) if self._looked else 0)
        try:
            # Not all workers ask the same one; those of the configuration come last, and are then what is left.
            known = self._serving()
            secrets.SystemRandom().shuffle(known)
            for address in dict.fromkeys((*known, *self.first, *self._nodes)):
                if await self._is_told_by(self.at(address)):
                    await self._leave_former()
                    return
        finally:
            self._looked = now()

    async def _is_told_by(self, node: Node) -> bool:
        try:
            async with asyncio.timeout(_SAID_WITHIN):
                ranges = await node.trips.command("CLUSTER", "SLOTS")
        except (StoreDown, TimeoutError):
            return False
        for first, last, master, *_ in ranges:
            owner = self.at(_address(master, node))
            self._owners[first : last + 1] = [owner] * (last + 1 - first)
        return bool(ranges)

    def _serving(self) -> list[Address]:
        return list({node.address: None for node in self._owners if node})

    async def _leave_former(self) -> None:
        """A node without slots is not kept connected; what waits for a reply there gets it."""
        serving = self._serving()
        for address, node in list(self._nodes.items()):
            if address not in serving:
                await node.client.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Whoever still waits for a reply is told that it is lost."""
        self._is_closed = True
        if self._looking:
            self._looking.cancel()
        for node in list(self._nodes.values()):
            await node.client.aclose()
            await node.trips.ended()
            await node.client.aclose()


def _address(said: Any, by: Node) -> Address:
    """A node that knows no name of a server, or not its own, means the one that it was asked at."""
    host, port = said[0], int(said[1])
    return (host.decode() if host not in {None, b"", b"?"} else by.address[0]), port
