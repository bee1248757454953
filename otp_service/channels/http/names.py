"""Names to addresses, in threads that neither the event loop nor the end of the program ever waits for."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any

Endpoint = tuple[int, int, int, Any]
"""Family, type and protocol of a socket, and the address to connect it to."""
LookUp = Callable[[str, int], list[Endpoint]]
"""Host and port to endpoints; may block, for 30 s when a name server is silent. Raises `OSError` or `UnicodeError`."""

MAX_LOOK_UPS = 32
"""Threads that one client may have waiting for name servers."""


def system_look_up(host: str, port: int) -> list[Endpoint]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


class Names:
    """Asks for one name once at a time, however many wait for it; keeps nothing, so that a change is seen at once.

    Not in the event loop's own pool of threads: a few slow names would fill it, and leaving the loop waits for it.
    """

    def __init__(self, look_up: LookUp = system_look_up) -> None:
        self._look_up = look_up
        self._asked: dict[tuple[str, int], asyncio.Future[list[Endpoint]]] = {}

    async def endpoints(self, host: str, port: int) -> list[Endpoint]:
        """At least one. Raises `OSError` or `UnicodeError`; who no longer waits may cancel, and others still get it."""
        if _is_ip_address(host):
            return _numeric(host, port)
        answer = self._asked.get((host, port)) or self._ask(host, port)
        found = await asyncio.shield(answer)
        if not found:
            raise OSError("the name has no address")
        return found

    def _ask(self, host: str, port: int) -> asyncio.Future[list[Endpoint]]:
        if len(self._asked) >= MAX_LOOK_UPS:
            raise OSError("too many name look-ups wait for an answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Endpoint]] = loop.create_future()

        def settle(found: list[Endpoint], error: Exception | None) -> None:
            del self._asked[host, port]
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)
                answer.exception()  # nobody may be left to hear of it

        def ask() -> None:
            found, failure = [], None
            try:
                found = self._look_up(host, port)
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is gone, and so is who asked
                loop.call_soon_threadsafe(settle, found, failure)

        threading.Thread(target=ask, name="name look-up", daemon=True).start()
        self._asked[host, port] = answer
        return answer


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _numeric(host: str, port: int) -> list[Endpoint]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]
