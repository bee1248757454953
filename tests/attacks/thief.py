"""What a thief may read of a Redis, its files, its wire and our logs, and how he would look for a secret there."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import redis


def contents(client: redis.Redis) -> bytes:
    """Every key, every value of every type, and what DUMP says of it."""
    found = bytearray()
    for key in client.scan_iter(count=1000):
        reads: dict[bytes, Callable[[], Any]] = {
            b"hash": lambda key=key: client.hgetall(key),
            b"list": lambda key=key: client.lrange(key, 0, -1),
            b"zset": lambda key=key: client.zrange(key, 0, -1, withscores=True),
            b"stream": lambda key=key: [client.xrange(key), client.xinfo_stream(key, full=True)],
            b"string": lambda key=key: client.get(key),
        }
        found += b"\n" + key + b" "
        for value in flat(reads[client.type(key)]()):
            found += value + b" "
        found += client.dump(key) or b""
    return bytes(found)


def flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def write_down_everything(client: redis.Redis) -> None:
    """Append-only file, slow log, snapshots without compression."""
    client.config_set("rdbcompression", "no")
    client.config_set("slowlog-log-slower-than", 0)
    client.config_set("slowlog-max-len", 100_000)
    client.slowlog_reset()
    client.config_set("appendfsync", "always")
    client.config_set("appendonly", "yes")
    while client.info("persistence")["aof_rewrite_in_progress"] or client.info("persistence")["aof_rewrite_scheduled"]:
        time.sleep(0.01)


def files(client: redis.Redis) -> bytes:
    """The snapshot and the append-only file, as they lie on the disk."""
    client.save()
    folder = Path(client.config_get("dir")["dir"])
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@contextmanager
def watched(url: str, heard: bytearray) -> Iterator[None]:
    """MONITOR: every command with its arguments, as anyone with access to the server can watch it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=0.05) as line:
        if parts.password:
            line.sendall(f"AUTH {parts.password}\r\n".encode())
            assert line.recv(100) == b"+OK\r\n"
        line.sendall(b"MONITOR\r\n")
        done = threading.Event()

        def listen() -> None:
            while True:
                try:
                    heard.extend(line.recv(1 << 16))
                except TimeoutError:
                    if done.is_set():
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            while b"+OK" not in heard:
                time.sleep(0.001)
            yield
        finally:
            done.set()
            thread.join()


def spoken(host: str, port: int, request: bytes, patience: float = 30.0) -> bytes:
    """Say it, whatever it is, and hear the answer to its end."""
    with socket.create_connection((host, port), timeout=patience) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        heard = b""
        while part := line.recv(65536):
            heard += part
    return heard


@cache
def spellings(secret: str) -> frozenset[bytes]:
    """Ways in which a program may have written it: as it is, escaped, in hexadecimal, in base64, backwards."""
    raw = secret.encode("latin-1")
    wide = secret.encode("utf-16-be")
    found = {raw, raw[::-1], quote(secret, safe="").encode(), repr(secret)[1:-1].encode()}
    for text in (raw, wide):
        found |= {text.hex().encode(), text.hex().upper().encode(), text.hex(" ").encode()}
    # Within a longer text base64 has three ways to write it, of which the inner characters alone are sure.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)[(0, 2, 3)[shift] :]
        sure = encoded.rstrip(b"=")[: -1 if (len(raw) + shift) % 3 else None]
        found |= {sure, sure.translate(bytes.maketrans(b"+/", b"-_"))}
    return frozenset(one for one in found if len(one) >= 4)


def assert_silent(place: str, text: bytes, secrets: Mapping[str, str]) -> None:
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            at = text.find(spelling)
            assert at < 0, f"{place} holds the {name}: {text[max(0, at - 200) : at + 100]!r}"
