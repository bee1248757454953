"""A gateway of raw sockets in threads of its own: it keeps the bytes that it got and plays those it was given."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

Play = Callable[[socket.socket], None]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def http_answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """One whole answer, its length declared unless `headers` lie about it."""
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def says(*answers: bytes) -> Play:
    """Plays one answer a request, the last one again and again; the connection stays open."""
    left = list(answers)

    def play(line: socket.socket) -> None:
        line.sendall(left.pop(0) if len(left) > 1 else left[0])

    return play


def resets(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    line.close()


class RawGateway:
    """Listens on a free port of this machine; `play` is called once a request, after the whole request was read."""

    def __init__(self, play: Play, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked = threading.Event()
        self.closing = threading.Event()
        self._play = play
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> RawGateway:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for line in self._lines:
            with contextlib.suppress(OSError):  # the play or the client has closed it
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.close()

    def targets(self) -> list[str]:
        """The request lines, without the HTTP version."""
        return [request.split(b"\r\n")[0].decode().removesuffix(" HTTP/1.1") for request in self.requests]

    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    def forms(self, encoding: str = "utf-8") -> list[dict[str, str]]:
        return [dict(parse_qsl(body.decode(), True, encoding=encoding)) for body in self.bodies()]

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._lines.append(line)
            thread = threading.Thread(target=self._serve, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        try:
            if self._tls:
                line = self._tls.wrap_socket(line, server_side=True)
                self._lines.append(line)
            while request := _read_request(line):
                self.requests.append(request)
                self.asked.set()
                self._play(line)
        except OSError:
            pass  # the client went away, or the play closed the line

    def wait_for_end(self, line: socket.socket) -> None:
        """Says nothing until the client has closed or the test is over."""
        while not self.closing.is_set() and line.recv(65536):
            pass


def _read_request(line: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        if not (chunk := line.recv(65536)):
            return b""
        got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body
