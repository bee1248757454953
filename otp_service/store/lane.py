"""`Lane`: bytes to Redis and replies back, for calls whose round trip must cost little more than its system calls.

redis-py makes the connections: TLS, passwords, the master's address, limits on how many. One that has worked is kept
here, and taken again without asking whether it is still good: one that is not says so by its first reply, and `Line`
may ask once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import redis

from otp_service.store.wire import Wire, Words, packed


class Asks(Protocol):
    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """What is said to these commands, refusals among it, in one trip. Nothing that may have been done is repeated.

        Raises redis-py's ConnectionError and TimeoutError: then nobody knows what was done.
        """


class Lane:
    """To one server. Threads share one; each has a wire of its own for its trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._idle: deque[Wire] = deque()

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        return self.read(self.send(packed(commands)), len(commands))

    def send(self, commands: bytes) -> Wire:
        """On which they are under way: `read` from it, or `drop` it."""
        wire = self._take()
        try:
            wire.send(commands)
        except BaseException:
            self.drop(wire)
            raise
        return wire

    def read(self, wire: Wire, replies: int) -> list[Any]:
        try:
            read = wire.read(replies)
        except BaseException:
            self.drop(wire)
            raise
        self._idle.append(wire)
        return read

    def drop(self, wire: Wire) -> None:
        """What is still to come must not pass for the answer to somebody else's question."""
        self._give_back(wire)
        self.forget_idle()

    def forget_idle(self) -> None:
        """Where one was lost the others are old: the next to ask begin anew."""
        while self._idle:
            try:
                wire = self._idle.pop()
            except IndexError:
                return
            self._give_back(wire)

    def _take(self) -> Wire:
        try:
            return self._idle.pop()
        except IndexError:
            return Wire(self._pool.get_connection())

    def _give_back(self, wire: Wire) -> None:
        wire.close()
        self._pool.release(wire.connection)
