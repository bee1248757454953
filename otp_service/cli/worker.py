"""`worker`: the delivery worker."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otp_service import metrics, wiring
from otp_service.cli.admin_server import serve_admin, shared_admin_address
from otp_service.cli.lean import collect_seldom
from otp_service.cli.options import meant, own_config_option, warn_about
from otp_service.cli.processes import leave_no_core
from otp_service.cli.reloading import Asked, Reloader, Site, Source, keep_up
from otp_service.cli.server_check import server_is_fit, watch_server
from otp_service.config import Config
from otp_service.config.fields import Address
from otp_service.delivery.shifts import Shifts
from otp_service.delivery.worker import BLOCK_MS
from otp_service.logs import configure_logs, hear_everything, write_beside, write_rest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@click.command()
@own_config_option
def worker(config_path: Path | None) -> int:
    """Run the delivery worker. More of them share the work. SIGHUP reads the configuration anew."""
    source = Source(meant(config_path), os.environ)
    loaded = source.load()
    warn_about(loaded)
    configure_logs()
    admin = shared_admin_address(loaded.delivery.admin_bind or loaded.service.admin_bind)
    return run_worker(loaded, admin, source)


def run_worker(loaded: Config, admin: Address, source: Source | None = None) -> int:
    """Work until SIGTERM or SIGINT, then finish what is under way. Raises ConfigError for an evicting Redis.

    `source` is where `loaded` was read, and is read anew; None where it can't be.
    """
    is_fit = server_is_fit(loaded)
    hear_everything()
    leave_no_core()

    async def work() -> None:
        shifts, asked = Shifts(), Asked()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, shifts.stop)
        if source:
            loop.add_signal_handler(signal.SIGHUP, asked.ask)
        site = Site(_admin(loaded, shifts))
        serve_admin(admin, site)
        watch_server(loaded, is_fit)
        await _begin(loaded, shifts)
        if source:
            await _keep_up(Reloader(source, loaded, asked), shifts, site)
        await shifts.ended()

    wiring.build_worker  # noqa: B018 - asking for it imports it: now, and not between sends
    collect_seldom()
    # From here on nothing forks; a stderr that nobody reads must not hold up the loop.
    write_beside(metrics.LOG_LINES_LOST.inc)
    try:
        asyncio.run(work())
    finally:
        write_rest()
    return 0


def _admin(config: Config, shifts: Shifts) -> WSGIApplication:
    return wiring.build_admin(config, wiring.build_verifier(config).store_is_up, lambda: shifts.draining)


async def _begin(config: Config, shifts: Shifts) -> None:
    # The last read may wait for BLOCK_MS before the drain begins.
    await shifts.relieve(wiring.build_worker(config), max(config.delivery.drain_seconds - BLOCK_MS / 1000, 0.5))


async def _keep_up(reloader: Reloader, shifts: Shifts, site: Site) -> None:
    """Have a new crew for each new configuration, until the process drains."""
    loop = asyncio.get_running_loop()

    def put(config: Config) -> None:
        """On a thread: to read and to check a configuration takes longer than sends should wait."""
        administration = _admin(config, shifts)
        asyncio.run_coroutine_threadsafe(_begin(config, shifts), loop).result()
        site.put(administration)

    await asyncio.to_thread(keep_up, reloader, put, lambda: shifts.draining)
