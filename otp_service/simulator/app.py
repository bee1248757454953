"""The simulator as one process: the gateway's paths, the site beside them, and the server that carries both."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from otp_service.simulator.accounts import Accounts
from otp_service.simulator.api import Api
from otp_service.simulator.centre import Centre
from otp_service.simulator.deliveries import Deliveries
from otp_service.simulator.endpoints import ENDPOINTS
from otp_service.simulator.events import Events
from otp_service.simulator.gateway import Gateway
from otp_service.simulator.inbox import Inbox
from otp_service.simulator.journal import Journal
from otp_service.simulator.pages import Pages
from otp_service.simulator.protocols import Counter
from otp_service.simulator.push import Pusher
from otp_service.simulator.server import Server
from otp_service.simulator.site import Site
from otp_service.simulator.wire import Reply, Request, Response

_STOPPING = (signal.SIGTERM, signal.SIGINT)

KEPT_MESSAGES = 10_000
"""The newest messages that are kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the simulator listens. `port` 0 takes a free one; `allowed_hosts` may name the page and the API too."""

    host: str = "127.0.0.1"
    port: int = 8025
    allowed_hosts: tuple[str, ...] = ()
    keep: int = KEPT_MESSAGES
    log: Path | None = None
    """An append-only file with every request, answer and report, numbers and codes in clear: see `journal`."""
    push_hosts: tuple[str, ...] = ()
    """Hosts beside this machine that reports may be pushed to."""
    accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """More than those of `DEMO`, by name, as `PUT /api/accounts/{account}` takes them."""


class App:
    """Hands a request to the family's gateway, to the desk of another protocol, or to the site."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        events = Events()
        inbox = Inbox(events, settings.keep)
        deliveries = Deliveries(Pusher(frozenset(settings.push_hosts)), journal)
        accounts = Accounts()
        for name, given in settings.accounts.items():
            accounts.put(name, dict(given))
        centre = Centre(accounts, inbox, journal, deliveries)
        self._counter = Counter(centre)
        self._gateway = Gateway(centre)
        routes = {**Api(centre, events).routes(), **Pages(inbox, events).routes()}
        names = frozenset(name.lower() for name in (settings.host, *settings.allowed_hosts))
        self._site = Site(routes, names)

    async def handle(self, request: Request) -> Reply:
        endpoint = ENDPOINTS.get(request.path.lower())
        if endpoint is not None:
            return await self._gateway.handle(endpoint, request)
        desk = self._counter.desk(request)
        if desk is None:
            return await self._site.handle(request)
        if request.header(b"origin"):
            # No gateway's client is a page; one elsewhere could have reports pushed into this machine.
            return Response(403, b"A browser may not send here.")
        return await desk.handle(request)


async def serve(settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or cancellation, then stop within a second. `ready` is told the port.

    Raises `OSError` when the address is taken or not this machine's, or the log can't be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        # Signals belong to the main thread; elsewhere the one who started us cancels instead.
        with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    journal = Journal(settings.log)
    server = Server(App(settings, journal).handle)
    try:
        port = await server.listen(settings.host, settings.port)
        if ready is not None:
            ready(port)
        await stop.wait()
    finally:
        await server.close()
        journal.close()
        for number in _STOPPING:
            with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
                loop.remove_signal_handler(number)


def run(
    host: str = "127.0.0.1",
    port: int = 8025,
    *,
    allowed_hosts: Sequence[str] = (),
    log: Path | None = None,
    push_hosts: Sequence[str] = (),
    accounts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ready: Callable[[int], None] | None = None,
) -> None:
    """`serve`, from code that has no event loop."""
    settings = Settings(host, port, tuple(allowed_hosts), log=log, push_hosts=tuple(push_hosts), accounts=accounts)
    asyncio.run(serve(settings, ready=ready))
