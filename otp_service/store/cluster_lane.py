"""`ClusterLane`: a lane to all masters of a Redis Cluster. A command goes to whoever has the slot of its first key.

A node that has not the slot, or not now, says so before it does anything: what was refused so may be asked again, and
is, wherever the refusal points to. Replicas are asked nothing: what they say may be of before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.store.connection import Lost
from otp_service.store.slots import slot_of as slot_of
from otp_service.store.wire import Words, packed

if TYPE_CHECKING:
    from otp_service.store.cluster_nodes import ClusterNodes, Master

REFUSED_FOR = 1.0
"""Seconds for which what is refused so is asked again; then who asks gets 503. A request may take about two."""
ANYWHERE_FOR = 3.0
"""Seconds for which more than two masters are asked what any can answer: one that hangs costs two of them."""
_PAUSE = 0.02
_ROUNDS = 3
"""Redirections that are followed at once, however long they took; more of them are of nodes that don't agree yet."""
_NOT_DONE = (AskError, TryAgainError, ClusterDownError)
"""MOVED is an ASK to redis-py."""
_ASKING = packed([("ASKING",)])


@dataclass(frozen=True, slots=True)
class _Way:
    master: Master
    asking: bool = False
    """For one command the node takes a slot as its own that is still on its way to it."""


class ClusterLane:
    """Threads share one. Commands for one master make one trip, those of several masters are under way together."""

    def __init__(self, nodes: ClusterNodes, refused_for: float = REFUSED_FOR) -> None:
        self._nodes = nodes
        self._refused_for = refused_for

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """As `Asks`. What has no key goes where the first key of its trip lies; alone, to any master."""
        slots = [slot_of(command) for command in commands]
        first = next((slot for slot in slots if slot is not None), None)
        if first is None:
            return self._anywhere(commands)
        ways = {n: _Way(self._nodes.of(first if slot is None else slot)) for n, slot in enumerate(slots)}
        replies: list[Any] = [None] * len(commands)
        gives_up, rounds = time.monotonic() + self._refused_for, 0
        while True:
            self._travel(commands, ways, replies)
            refused = [n for n in ways if isinstance(replies[n], _NOT_DONE)]
            rounds += 1
            if not refused or (rounds > _ROUNDS and time.monotonic() > gives_up):
                return replies
            if rounds > _ROUNDS or not all(isinstance(replies[n], AskError) for n in refused):
                time.sleep(_PAUSE)
            ways = self._instead(slots, refused, replies)

    def _anywhere(self, commands: Sequence[Words]) -> list[Any]:
        """What has no key is asked of one master after the other, until one answers: it changes nothing."""
        replies: list[Any] = [None] * len(commands)
        gives_up, tried = time.monotonic() + ANYWHERE_FOR, set[str]()
        while True:
            master = self._nodes.of(None, but=tried)
            try:
                self._travel(commands, {n: _Way(master) for n in range(len(commands))}, replies)
                return replies
            except Lost:
                tried.add(master.name)
                if len(tried) >= self._nodes.count() or (len(tried) > 1 and time.monotonic() > gives_up):
                    raise

    def _instead(self, slots: Sequence[int | None], refused: Sequence[int], replies: Sequence[Any]) -> dict[int, _Way]:
        ways = {n: self._way(slots[n], replies[n]) for n in refused}
        along = next((slot for slot in slots if slot is not None), None)
        with_key = next((n for n in refused if slots[n] == along), None)
        if with_key is not None:
            # WAIT speaks of what the same connection wrote.
            ways |= {n: _Way(ways[with_key].master) for n, slot in enumerate(slots) if slot is None}
        return dict(sorted(ways.items()))

    def _way(self, slot: int | None, refusal: Exception) -> _Way:
        match refusal:
            case MovedError():
                self._nodes.moved(refusal)
            case AskError():
                return _Way(self._nodes.at(refusal), asking=True)
            case ClusterDownError():
                with suppress(*Lost):
                    self._nodes.look()
        return _Way(self._nodes.of(slot))

    def _travel(self, commands: Sequence[Words], ways: Mapping[int, _Way], replies: list[Any]) -> None:
        trips: dict[str, list[int]] = {}
        for n, way in ways.items():
            trips.setdefault(way.master.name, []).append(n)
        under_way: list[tuple[Master, list[int], Any]] = []
        try:
            for numbers in trips.values():
                master = ways[numbers[0]].master
                under_way.append((master, numbers, master.lane.send(_written(commands, ways, numbers))))
            while under_way:
                master, numbers, connection = under_way.pop(0)
                expected = len(numbers) + sum(ways[n].asking for n in numbers)
                read = iter(master.lane.read(connection, expected))
                self._nodes.answers(master)
                for n in numbers:
                    if ways[n].asking:
                        next(read)
                    replies[n] = next(read)
        except BaseException as error:
            for other, _, connection in under_way:
                other.lane.drop(connection)
            if isinstance(error, Lost):
                self._nodes.lost(master, isinstance(error, RedisTimeoutError))
            raise


def _written(commands: Sequence[Words], ways: Mapping[int, _Way], numbers: Iterable[int]) -> bytes:
    return b"".join([(_ASKING if ways[n].asking else b"") + packed([commands[n]]) for n in numbers])
