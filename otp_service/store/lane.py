"""`Lane`: bytes to Redis and replies back, for calls whose round trip must cost little more than its system calls.

redis-py makes the connections (TLS, passwords, the master's address, limits on how many), and their replies are read
by its parser; what it does around each single command costs as much as the command. A connection that has worked is
kept here, and taken again without asking whether it is still good: one that is not says so by its first reply, and
`Line` may ask once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import redis
from hiredis import pack_command
from redis.exceptions import ResponseError

Words = Sequence[str | bytes | int]


class Asks(Protocol):
    def ask(self, commands: Sequence[Words]) -> list[Any]:
        """What is said to these commands, refusals among it, in one trip. Nothing that may have been done is repeated.

        Raises redis-py's ConnectionError and TimeoutError: then nobody knows what was done.
        """


class Lane:
    """To one server. Threads share one; each has a connection of its own for its trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._idle: deque[Any] = deque()

    def ask(self, commands: Sequence[Words]) -> list[Any]:
        return self.read(self.send(packed(commands)), len(commands))

    def send(self, commands: bytes) -> Any:
        """The connection on which they are under way: `read` from it, or `drop` it."""
        connection = self._take()
        try:
            connection.send_packed_command((commands,))
        except BaseException:
            self.drop(connection)
            raise
        return connection

    def read(self, connection: Any, replies: int) -> list[Any]:
        try:
            read = [_read(connection) for _ in range(replies)]
        except BaseException:
            self.drop(connection)
            raise
        self._idle.append(connection)
        return read

    def drop(self, connection: Any) -> None:
        """What is still to come must not pass for the answer to somebody else's question."""
        connection.disconnect()
        self._pool.release(connection)
        self.forget_idle()

    def forget_idle(self) -> None:
        """Where one was lost the others are old: the next to ask begin anew."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.disconnect()
            self._pool.release(connection)

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._pool.get_connection()


def packed(commands: Sequence[Words]) -> bytes:
    """As they stand on the wire."""
    return b"".join([pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refusal:
        return refusal
