"""A wire asks a server by one call out and one in, and says in redis-py's words what came of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from otp_service.store import wire
from otp_service.store.wire import Wire, packed

GET = packed([("GET", "a")])


class Server:
    """Says what a test has it say, whatever it is asked."""

    def __init__(self, timeout: float) -> None:
        self.end, ours = socket.socketpair()
        ours.settimeout(timeout)
        self.wire = Wire(SimpleNamespace(_sock=ours, _parser=BaseParser, disconnect=ours.close))

    def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.end.sendall(piece)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()
        self.end.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(timeout=30) as server:
        yield server


@pytest.fixture
def much_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    at = time.monotonic() + wire.IDLE_SECONDS + 1
    return lambda: monkeypatch.setattr(time, "monotonic", lambda: at)


def test_replies_come_in_the_order_of_the_commands(server: Server) -> None:
    server.wire.send(GET + GET)
    server.says(b"$1\r\nx\r\n:5\r\n")
    assert server.wire.read(2) == [b"x", 5]
    assert server.end.recv(100) == GET + GET


def test_a_reply_may_come_in_pieces(server: Server) -> None:
    server.wire.send(GET)
    saying = threading.Thread(target=server.says, args=(b"$5\r\nab", b"cde", b"\r\n"))
    saying.start()
    assert server.wire.read(1) == [b"abcde"]
    saying.join()


def test_nothing_and_an_empty_list_are_replies_too(server: Server) -> None:
    server.says(b"$-1\r\n*0\r\n")
    assert server.wire.read(2) == [None, []]


def test_a_refusal_is_a_reply(server: Server) -> None:
    server.says(b"-NOSCRIPT no such script\r\n")
    assert isinstance(server.wire.read(1)[0], NoScriptError)


@pytest.mark.parametrize("said", [b"-LOADING not yet\r\n", b"-READONLY a replica\r\n", b"-NOAUTH who is it\r\n"])
def test_a_server_that_can_do_nothing_now_is_no_connection(server: Server, said: bytes) -> None:
    server.says(said)
    with pytest.raises(RedisConnectionError):
        server.wire.read(1)


def test_a_closed_end_is_told_from_a_silent_one(server: Server) -> None:
    server.end.close()
    with pytest.raises(RedisConnectionError):
        server.wire.read(1)


def test_a_silent_end_is_waited_for_no_longer_than_its_timeout() -> None:
    with Server(timeout=0.05) as server, pytest.raises(RedisTimeoutError):
        server.wire.read(1)


def test_an_end_that_takes_nothing_is_waited_for_no_longer_than_its_timeout() -> None:
    with Server(timeout=0.05) as server, pytest.raises(RedisTimeoutError):
        server.wire.send(bytes(64 * 1024 * 1024))


def test_a_socket_whose_time_the_kernel_does_not_keep_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_time_by_kernel", lambda connected: None)  # as with TLS
    with Server(timeout=0.05) as server, pytest.raises(RedisTimeoutError):
        server.wire.read(1)


def test_after_a_long_rest_it_is_asked_whether_it_is_still_good(server: Server, much_later: Callable[[], None]) -> None:
    much_later()
    server.says(b"+PONG\r\n$1\r\nx\r\n")
    server.wire.send(GET)
    assert server.wire.read(1) == [b"x"]
    assert server.end.recv(100) == packed([("PING",)]) + GET


def test_what_went_bad_in_a_long_rest_gets_no_command(server: Server, much_later: Callable[[], None]) -> None:
    much_later()
    server.end.close()
    with pytest.raises(RedisConnectionError):
        server.wire.send(GET)
