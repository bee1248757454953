"""`ClusterNodes`: who has which slot of a Redis Cluster, as redis-py keeps it, and a lane to each master."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.cluster import PRIMARY, ClusterNode, NodesManager
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.exceptions import AskError, MovedError, RedisClusterException, RedisError, SlotNotCoveredError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.redis_url import Node
from otp_service.store.lane import Lane

SILENT_FOR = 1.0
"""Seconds after which one caller asks a master again that was silent. The others are refused until it has answered.

Else all threads would wait for it, and none be left for what the other masters serve.
"""
_NoAnswer = (RedisError, RedisClusterException, OSError)


@dataclass(frozen=True, slots=True)
class Master:
    name: str
    """Host and port."""
    client: redis.Redis
    lane: Lane


class ClusterNodes:
    """Threads share one. What reads raises what redis-py raises where no node answers, or nobody has a slot.

    Nothing is dialled before somebody asks: a process may start before its Redis does. `options` are those of a
    connection to each node.
    """

    def __init__(self, first: Sequence[Node], options: Mapping[str, Any], silent_for: float = SILENT_FOR) -> None:
        self._first = first
        self._options = options
        self._known: Any = None
        self._masters: dict[str, Master] = {}
        self._looking = threading.Lock()
        self._looks = 0
        self._lost = ""
        self._silent_for = silent_for
        self._asked_at: dict[str, float] = {}
        """When a master that is silent was last asked, by its name."""

    def of(self, slot: int | None, but: Collection[str] = ()) -> Master:
        """Who has a slot; without one any master, but not the one that was lost last, and none of those named `but`.

        Raises redis-py's TimeoutError at once for one that is silent, unless it is time to ask it again.
        """
        known = self._known or self.look()
        if slot is None:
            masters = known.get_nodes_by_server_type(PRIMARY)
            rest = [node for node in masters if node.name not in but] or masters
            return self._master(next((node for node in rest if node.name != self._lost), rest[0]))
        try:
            master = self._master(known.get_node_from_slot(slot))
        except SlotNotCoveredError:
            master = self._master(self.look().get_node_from_slot(slot))
        if self._asked_at:
            self._refuse_silent(master)
        return master

    def all(self) -> list[Master]:
        """As they are now."""
        return [self._master(node) for node in self.look().get_nodes_by_server_type(PRIMARY)]

    def count(self) -> int:
        """How many masters there are, as it was known at the latest look."""
        return len((self._known or self.look()).get_nodes_by_server_type(PRIMARY))

    def unserved(self) -> int:
        """How many slots nobody has."""
        return int(REDIS_CLUSTER_HASH_SLOTS) - len((self._known or self.look()).slots_cache)

    def owners(self, slots: Sequence[int]) -> list[str | None]:
        """Who has each of them, by host and port, as it was known at the latest look; None where nobody has it."""
        known = (self._known or self.look()).slots_cache
        return [known[slot][0].name if known.get(slot) else None for slot in slots]

    def at(self, said: AskError) -> Master:
        """Whom an ASK names."""
        host, port = said.host, said.port
        return self._master(self._known.get_node(host, port) or ClusterNode(host, port, PRIMARY))  # type: ignore[no-untyped-call]

    def moved(self, said: MovedError) -> None:
        try:
            self._known.move_slot(said)
        except KeyError:  # nobody had it before
            self.look()

    def answers(self, master: Master) -> None:
        if self._asked_at:
            self._asked_at.pop(master.name, None)

    def lost(self, master: Master, silent: bool) -> None:
        """It does not answer, or was silent for too long: perhaps another has its slots."""
        self._lost = master.name
        if silent:
            self._asked_at[master.name] = time.monotonic()
        with suppress(*_NoAnswer):
            self.look()

    def look(self) -> Any:
        """Ask a node who has what. Who comes while another does so takes what that one learns."""
        before = self._looks
        with self._looking:
            if before == self._looks:
                try:
                    self._known = self._asked()
                finally:
                    self._looks += 1
                self._leave_former()
        if self._known is None:
            raise RedisClusterException("no node of the cluster answers")
        return self._known

    def close(self) -> None:
        for master in list(self._masters.values()):
            master.lane.forget_idle()
            master.client.close()

    def _asked(self) -> Any:
        """Those that are known now first; where none answers, by the addresses that are configured."""
        if self._known:
            with suppress(*_NoAnswer):
                self._known.initialize(last_failed_node_name=self._lost or None)
                return self._known
        # Where some slots are served by nobody, the others are still good.
        first = [ClusterNode(*node) for node in self._first]  # type: ignore[no-untyped-call]
        return NodesManager(first, require_full_coverage=False, **self._options)

    def _refuse_silent(self, master: Master) -> None:
        asked_at, now = self._asked_at.get(master.name), time.monotonic()
        if asked_at is None:
            return
        if now < asked_at + self._silent_for:
            raise RedisTimeoutError("this master was silent a moment ago")
        self._asked_at[master.name] = now

    def _master(self, node: Any) -> Master:
        master = self._masters.get(node.name)
        if master is None:
            self._known.create_redis_connections([node])
            client = node.redis_connection
            master = self._masters.setdefault(node.name, Master(node.name, client, Lane(client)))
        return master

    def _leave_former(self) -> None:
        for name in set(self._masters) - set(self._known.nodes_cache):
            if gone := self._masters.pop(name, None):
                gone.lane.forget_idle()
