"""`worker`: the delivery worker."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from otp_service import wiring
from otp_service.cli.admin_server import serve_admin
from otp_service.cli.options import config_option, load_config, warn_about
from otp_service.cli.processes import leave_no_core
from otp_service.cli.serve import shared_admin_address
from otp_service.cli.server_check import server_is_fit, watch_server
from otp_service.config import Config
from otp_service.config.fields import Address
from otp_service.delivery.worker import BLOCK_MS
from otp_service.logs import configure_logs, hear_everything


@click.command()
@config_option
def worker(config_path: Path | None) -> int:
    """Run the delivery worker. More of them share the work."""
    loaded = load_config(config_path)
    warn_about(loaded)
    configure_logs()
    return run_worker(loaded, shared_admin_address(loaded.delivery.admin_bind or loaded.service.admin_bind))


def run_worker(loaded: Config, admin: Address) -> int:
    """Work until SIGTERM or SIGINT, then finish what is under way. Raises ConfigError for an evicting Redis."""
    is_fit = server_is_fit(loaded)
    hear_everything()
    leave_no_core()
    stopping = False

    def draining() -> bool:
        return stopping

    async def work() -> None:
        async with wiring.build_worker(loaded) as delivering:

            def stop() -> None:
                nonlocal stopping
                stopping = True
                delivering.stop()

            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            serve_admin(admin, wiring.build_admin(loaded, wiring.build_verifier(loaded).store_is_up, draining))
            if not is_fit:
                watch_server(loaded)
            # The last read may wait for BLOCK_MS before the drain begins.
            await delivering.run(max(loaded.delivery.drain_seconds - BLOCK_MS / 1000, 0.5))

    asyncio.run(work())
    return 0
