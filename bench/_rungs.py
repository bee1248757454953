"""Rungs below our service: what no Python service behind the same server could go below.

A WSGI application that answers at once ("bare"), the same with one small script in Redis by a plain socket ("bare +
script"), and Flask that answers at once ("Flask hello"). `python bench/_rungs.py NAME PORT REDIS_URL THREADS` serves
one; it knows nothing of our service, so that its memory is its own.
"""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

_SCRIPT = b"local n = redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 60000) return {n, ARGV[1]}"
"""About what the smallest check would do."""
ANSWER = b'{"id":"ver_0f3k9q2m7x1c4b8d","status":"pending"}'

Application = Callable[[dict[str, Any], Any], Any]


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


def bare_with_script(redis_url: str) -> Application:
    from threading import local

    own, numbers = local(), itertools.count()
    with _line(redis_url) as line:
        sha = _asked(line, b"SCRIPT", b"LOAD", _SCRIPT).split(b"\r\n")[1]

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if not hasattr(own, "line"):
            own.line = _line(redis_url)
        _asked(own.line, b"EVALSHA", sha, b"1", b"bench:%d" % (next(numbers) % 1000), b"x")
        return bare(environ, start_response)

    return application


def _line(redis_url: str) -> socket.socket:
    parts = urlsplit(redis_url)
    line = socket.create_connection((parts.hostname, parts.port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _asked(line: socket.socket, *words: bytes) -> bytes:
    line.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    return bytes(line.recv(4096))


def flask_hello() -> Application:
    from flask import Flask, Response

    app = Flask("hello")
    app.add_url_rule("/", view_func=lambda: Response(ANSWER, content_type="application/json"), methods=["POST"])
    return app


BELOW = ("bare", "bare + script", "Flask hello")


def application(name: str, redis_url: str) -> Application:
    return {"bare": lambda: bare, "bare + script": lambda: bare_with_script(redis_url), "Flask hello": flask_hello}[
        name
    ]()


def serve(name: str, port: int, redis_url: str, threads: int) -> None:
    """What `cli/api_server.py` does, for another application."""
    import multiprocessing

    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    multiprocessing.set_start_method("fork", force=True)
    server = Granian(
        "bench",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=threads,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=lambda *_: application(name, redis_url), wrap_loader=False)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
