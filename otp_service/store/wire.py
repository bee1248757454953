"""`Wire`: a connection that redis-py made, asked by one system call out and one in.

What redis-py does around each command costs as much as the command. A socket of Python's that has a timeout asks the
kernel before each call whether the call would wait, which is two more calls a trip: here the kernel keeps the time.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

Words = Sequence[str | bytes | int]

IDLE_SECONDS = 30.0
"""What was unused for longer is asked whether it is still good: some networks forget what is silent for a minute."""
_PIECE = 16 * 1024
"""Bytes that are read at once; an answer has some hundred."""


class Wire:
    """One thread's, from `send` to `read`. Each raises redis-py's ConnectionError or TimeoutError; then `close` it."""

    def __init__(self, connection: Any) -> None:
        """`connection` is one of redis-py's, and connected."""
        self.connection = connection
        self._socket: socket.socket = connection._sock
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=connection._parser.parse_error)
        self._used_at = time.monotonic()
        _time_by_kernel(self._socket)

    def send(self, commands: bytes) -> None:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._send(_PING)
            self.read(1)
        self._send(commands)

    def read(self, replies: int) -> list[Any]:
        """Refusals are among them."""
        gets, read = self._reader.gets, []
        for _ in range(replies):
            while (reply := gets()) is False:  # which RESP2 has no other use for
                self._reader.feed(self._received())
            if isinstance(reply, RedisConnectionError):  # it still loads, or knows us no longer
                raise reply
            if isinstance(reply, ReadOnlyError):
                raise RedisConnectionError("no master any more") from reply
            read.append(reply)
        self._used_at = time.monotonic()
        return read

    def close(self) -> None:
        self.connection.disconnect()

    def _send(self, commands: bytes) -> None:
        try:
            self._socket.sendall(commands)
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("the server took nothing in time") from error
        except OSError as error:
            raise RedisConnectionError(type(error).__name__) from error

    def _received(self) -> bytes:
        try:
            received = self._socket.recv(_PIECE)
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("the server said nothing in time") from error
        except OSError as error:
            raise RedisConnectionError(type(error).__name__) from error
        if not received:
            raise RedisConnectionError("the server closed the connection")
        return received


def packed(commands: Sequence[Words]) -> bytes:
    """As they stand on the wire."""
    return b"".join([hiredis.pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]


_PING = packed([("PING",)])


def _time_by_kernel(connected: socket.socket) -> None:
    """Give a plain socket's timeout to the kernel; one of TLS keeps its own."""
    seconds = connected.gettimeout()
    if type(connected) is not socket.socket or not seconds:
        return
    span = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    with suppress(OSError):  # then Python goes on keeping it
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
        connected.settimeout(None)
