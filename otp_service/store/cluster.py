"""`Cluster`: what stores ask of a `redis.Redis`, asked of a Redis Cluster, and `Batch`: several commands at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from redis.client import Redis
from redis.commands import CoreCommands

from otp_service.store.cluster_lane import ClusterLane
from otp_service.store.lane import Asks, Lane
from otp_service.store.wire import Words

if TYPE_CHECKING:
    from otp_service.store.cluster_nodes import ClusterNodes

_READINGS: Mapping[str, Any] = Redis(protocol=2).response_callbacks
"""What redis-py makes of a raw reply, by its command."""


class Cluster(CoreCommands):
    """Threads share one. It knows commands whose first word is followed by a key; for what is said of a server as a
    whole (INFO, CONFIG, SCAN), ask each of `masters`."""

    _event_dispatcher: Any = None

    def __init__(self, nodes: ClusterNodes) -> None:
        self.nodes = nodes
        self.lane = ClusterLane(nodes)

    def execute_command(self, *words: Any, **options: Any) -> Any:
        return self.pipeline().execute_command(*words, **options).execute()[0]

    def pipeline(self, transaction: bool = False) -> Batch:
        """As that of `redis.Redis`, but never a transaction: masters have none together."""
        assert not transaction
        return Batch(self.lane)

    def masters(self) -> list[Redis]:
        """One of several may not answer. Raises what redis-py raises where none does."""
        return [master.client for master in self.nodes.all()]

    def scan_iter(
        self, match: Any = None, count: int | None = None, _type: str | None = None, **options: Any
    ) -> Iterator[Any]:
        """Of all masters. What moves meanwhile from one that is still to be read to one that was read is not seen."""
        for master in self.masters():
            yield from master.scan_iter(match, count, _type, **options)

    def close(self) -> None:
        self.nodes.close()


class Batch(CoreCommands):
    """Commands and their options, until `execute` asks them all: in one trip to each master that has to do with it."""

    _event_dispatcher: Any = None

    def __init__(self, lane: Asks) -> None:
        self._lane = lane
        self._asked: list[tuple[Words, dict[str, Any]]] = []

    def __len__(self) -> int:
        return len(self._asked)

    def execute_command(self, *words: Any, **options: Any) -> Self:
        options.pop("keys", None)
        self._asked.append((words, options))
        return self

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Replies in the order in which they were asked for. Raises the first refusal, or leaves it where it stands."""
        asked, self._asked = self._asked, []
        replies = self._lane.ask([words for words, _ in asked]) if asked else []
        for reply in replies:
            if raise_on_error and isinstance(reply, Exception):
                raise reply
        return [_read(*one, reply) for one, reply in zip(asked, replies, strict=True)]


def _read(words: Words, options: dict[str, Any], reply: Any) -> Any:
    reading = None if isinstance(reply, Exception) else _READINGS.get(str(words[0]))
    return reading(reply, **options) if reading else reply


def lane_to(client: Redis | Cluster) -> Asks:
    """The lean way to a server, or to the masters of a cluster."""
    return client.lane if isinstance(client, Cluster) else Lane(client)
