"""`serve`: the API."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otp_service import metrics, wiring
from otp_service.cli.addresses import is_free
from otp_service.cli.admin_server import serve_admin, shared_admin_address
from otp_service.cli.api_server import GRACE_SECONDS, ApiServer, Draining
from otp_service.cli.options import meant, own_config_option, warn, warn_about
from otp_service.cli.processes import leave_no_core
from otp_service.cli.reloading import Asked, Reloader, Site, Source, keep_up
from otp_service.cli.server_check import server_is_fit, watch_server
from otp_service.config import Config
from otp_service.config.fields import Address
from otp_service.logs import configure_logs, hear_everything, write_beside, write_rest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 64
"""Four would do for the work. The others are for what waits: for its turn, for Redis, a CAPTCHA service or a first
outcome, and for bodies that stop half-way, as WSGI's read has no deadline here; a proxy in front that buffers bodies
ends that.
"""


@click.command()
@own_config_option
@click.option("--threads", type=click.IntRange(1, 64), default=THREADS, show_default=True, help="Requests at a time.")
def serve(config_path: Path | None, threads: int) -> int:
    """Run the API. More processes: start it more than once behind a balancer. SIGHUP reads the configuration anew."""
    source = Source(meant(config_path), os.environ)
    loaded = source.load()
    warn_about(loaded)
    if not any(client.key_hashes for client in loaded.clients):
        warn("no client has a key, so every call is answered 401; make one with `otp-service keys new NAME`")
    if not is_free(loaded.service.bind):
        raise click.ClickException(f"{loaded.service.bind} is taken or not ours; set service.bind to a free address")
    admin = shared_admin_address(loaded.service.admin_bind)
    configure_logs()
    return run_api(loaded, admin, threads, GRACE_SECONDS, source)


def run_api(loaded: Config, admin: Address, threads: int, grace: float, source: Source | None = None) -> int:
    """Serve until a signal ends it; returns the exit status. Raises ConfigError for an evicting Redis.

    `source` is where `loaded` was read, and is read anew; None where it can't be.
    """
    is_fit = server_is_fit(loaded)
    hear_everything()
    leave_no_core()
    # Forking keeps what is imported and checked; granian's own choice would import everything once more.
    multiprocessing.set_start_method("fork", force=True)
    draining, asked = Draining(), Asked()

    def build(config: Config) -> tuple[WSGIApplication, WSGIApplication]:
        verifier = wiring.build_verifier(config)
        administration = wiring.build_admin(config, verifier.store_is_up, draining)
        return wiring.build_app(config, verifier, draining, threads), administration

    def load() -> WSGIApplication:
        # Exits of such a child run no atexit.
        multiprocessing.util.Finalize(None, write_rest, exitpriority=0)
        write_beside(metrics.LOG_LINES_LOST.inc)
        watch_server(loaded, is_fit)
        api, administration = map(Site, build(loaded))
        serve_admin(admin, administration)

        def put(config: Config) -> None:
            for site, app in zip((api, administration), build(config), strict=True):
                site.put(app)

        if source:
            keeping_up = (Reloader(source, loaded, asked), put, draining)
            threading.Thread(target=keep_up, args=keeping_up, name="configuration", daemon=True).start()
        return api

    return ApiServer(loaded.service.bind, load, draining, threads, grace, asked.ask if source else None).run()
