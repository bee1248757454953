"""A small TCP proxy of the tests' own: it loses the replies that a test names, after the server has done the work."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from urllib.parse import urlsplit


class CuttingProxy:
    """Stands between a client and the server at `url`; `self.url` is its own address. Speaks `tls`, if any."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._server = (parts.hostname, parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.url = f"redis{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
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

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), self._spoken(accepted) as client, self._to_server() as server:
            doomed = False
            while not self._closing.is_set():
                for ready in select.select([client, server], [], [], 0.02)[0]:
                    data = _all_of(ready)
                    if not data or (ready is server and doomed):
                        return
                    if ready is client:
                        doomed = doomed or self._is_marked(data)
                    (server if ready is client else client).sendall(data)

    def _spoken(self, accepted: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted

    def _to_server(self) -> socket.socket:
        return socket.create_connection(self._server)

    def _is_marked(self, request: bytes) -> bool:
        with self._lock:
            if not self._times or self._mark not in request:
                return False
            self._times -= 1
            self.cut += 1
            return True


def _all_of(ready: socket.socket) -> bytes:
    """TLS may have deciphered more than one `recv` gives, of which `select` then knows nothing."""
    data = ready.recv(1 << 16)
    while isinstance(ready, ssl.SSLSocket) and ready.pending():
        data += ready.recv(ready.pending())
    return data
