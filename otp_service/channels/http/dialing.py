"""From endpoints to a connected socket: each in turn, and the next beside one that does not answer (RFC 8305)."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import Iterable, Sequence

from otp_service.channels.http.names import Endpoint

HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305, 8: "Connection Attempt Delay")."""


async def dial(endpoints: Sequence[Endpoint], head_start: float = HEAD_START) -> socket.socket:
    """The first connection that stands. Raises the `OSError` of the last address that failed when none does."""
    if len(endpoints) == 1:
        return await _connected(endpoints[0])
    waiting, running = deque(_alternating(endpoints)), set[asyncio.Task[socket.socket]]()
    failure: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connected(waiting.popleft())))
            patience = head_start if waiting else None
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                failure = task.exception()
                if failure is None:
                    running |= done - {task}
                    return task.result()
    finally:
        for task in running:
            task.add_done_callback(_close)
            task.cancel()
    raise failure or OSError("no address")


async def _connected(endpoint: Endpoint) -> socket.socket:
    family, kind, protocol, address = endpoint
    line = socket.socket(family, kind, protocol)
    try:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, address)
    except BaseException:
        line.close()
        raise
    return line


def _close(task: asyncio.Task[socket.socket]) -> None:
    """A connection that nobody waits for any more, because another one stood first."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _alternating(endpoints: Iterable[Endpoint]) -> Iterable[Endpoint]:
    """The system's order, but the address families by turns: a broken IPv6 costs one head start, not one an address."""
    families: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints:
        families.setdefault(endpoint[0], []).append(endpoint)
    for rank in itertools.zip_longest(*families.values()):
        yield from (endpoint for endpoint in rank if endpoint is not None)
