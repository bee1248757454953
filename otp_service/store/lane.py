"""`Lane`: bytes to Redis and replies back, for calls whose round trip must cost little more than its system calls.

redis-py makes the connections (TLS, passwords, the master's address, limits on how many), and their replies are read
by its parser; what it does around each single command costs as much as the command. A connection that has worked is
kept here, and taken again without asking whether it is still good: one that is not says so by its first reply, and
`Line` may ask once more.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import redis
from redis.exceptions import ResponseError


class Lane:
    """Threads share one; each has a connection of its own for its trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._idle: deque[Any] = deque()

    def ask(self, packed: bytes, replies: int = 1) -> list[Any]:
        """What the server says to so many packed commands, refusals among it. Nothing is asked twice.

        Raises redis-py's ConnectionError and TimeoutError: then nobody knows what was done.
        """
        connection = self._take()
        try:
            connection.send_packed_command((packed,))
            read = [_read(connection) for _ in range(replies)]
        except BaseException:
            # What is still to come must not pass for the answer to somebody else's question.
            connection.disconnect()
            self._pool.release(connection)
            self._forget_idle()
            raise
        self._idle.append(connection)
        return read

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.get_connection()

    def _forget_idle(self) -> None:
        """Where one was lost the others are old: the next to ask begin anew."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.disconnect()
            self._pool.release(connection)


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refusal:
        return refusal
