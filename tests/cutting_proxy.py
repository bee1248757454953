"""A small TCP proxy of the tests' own: it loses the replies that a test names, after the server has done the work."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from urllib.parse import urlsplit


class CuttingProxy:
    """Stands between a client and the server at `url`; `self.url` is its own address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._server = (parts.hostname, parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self._mark = b""
        self._times = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._closing = threading.Event()
        self.cut = 0
        """How many replies were lost."""

    def __enter__(self) -> CuttingProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def lose(self, mark: str, times: int = 1) -> None:
        """Lose the reply to the next `times` requests that hold `mark`, and with it the connection."""
        with self._lock:
            self._mark, self._times = mark.encode(), times

    def _accept(self) -> None:
        while not self._closing.is_set():
            if select.select([self._listener], [], [], 0.02)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._server)
        with client, server, contextlib.suppress(OSError):
            doomed = False
            while not self._closing.is_set():
                for ready in select.select([client, server], [], [], 0.02)[0]:
                    data = ready.recv(1 << 16)
                    if not data or (ready is server and doomed):
                        return
                    if ready is client:
                        doomed = doomed or self._is_marked(data)
                    (server if ready is client else client).sendall(data)

    def _is_marked(self, request: bytes) -> bool:
        with self._lock:
            if not self._times or self._mark not in request:
                return False
            self._times -= 1
            self.cut += 1
            return True
