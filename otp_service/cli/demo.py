"""`demo`: the whole service on this machine, with nothing to install beside it."""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from otp_service import config, simulator
from otp_service.cli import embedded_valkey
from otp_service.cli.addresses import free_port, is_free, own_or_free
from otp_service.cli.demo_settings import BACKUP, HOST, DemoSecrets, demo_tables, on_top
from otp_service.cli.family import Asked, ChildEnded, Family
from otp_service.cli.options import json_option, warn_about
from otp_service.cli.output import print_json
from otp_service.cli.processes import Child
from otp_service.cli.running_demo import RunningDemo
from otp_service.cli.serve import THREADS, run_api
from otp_service.cli.typed import program
from otp_service.cli.worker import run_worker
from otp_service.config.fields import Address
from otp_service.logs import configure_logs

READY_SECONDS = 30.0
STOP_SECONDS = 6.0
"""More than a worker's drain takes here, and less than anybody waits after a Ctrl-C."""
_LOCK_SECONDS = 1.5


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Of the API.  [default: 8000]")
@click.option("--inbox-port", type=click.IntRange(1, 65535), default=8025, show_default=True, help="Of the simulator.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Lies on top of the demo's own.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Keeps everything for the next time."
)
@json_option
def demo(port: int | None, inbox_port: int, config_path: Path | None, data_dir: Path | None, as_json: bool) -> int:
    """Run all in one on this machine: API, worker, SMS gateway simulator with an inbox, embedded Valkey.

    Its configuration is read once, at the start: SIGHUP ends it, as a closed terminal and Ctrl-C do.
    """
    configure_logs()
    given = config.read_tables(config_path) if config_path else {}
    folder_of_file = config_path.parent if config_path else Path()
    with _data_directory(data_dir) as folder:
        plan = _Plan.make(given, folder_of_file, folder, port, Address(HOST, inbox_port))
        return _run(plan, as_json, keeps_logs=data_dir is not None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that is decided before the first process starts."""

    loaded: config.Config
    secrets: DemoSecrets
    folder: Path
    inbox: Address
    worker_admin: Address
    socket: Path | None
    """Of the embedded Valkey; None where the file or the environment names a Redis."""
    tables: config.Tables
    folder_of_file: Path

    @classmethod
    def make(cls, given: config.Tables, folder_of_file: Path, folder: Path, port: int | None, inbox: Address) -> _Plan:
        secrets = DemoSecrets.of(folder)
        socket = embedded_valkey.socket_path(folder)
        own_url = embedded_valkey.url(socket)
        own = demo_tables(secrets, Address(HOST, 8000), Address(HOST, free_port()), inbox, own_url)
        tables = on_top(own, given)
        loaded = config.parse(tables, os.environ, folder_of_file)
        warn_about(loaded)
        service = loaded.service
        api = Address(HOST, port or service.bind.port)
        if api.port == inbox.port:
            raise click.ClickException(f"API and simulator can't share port {api.port}; give another with --inbox-port")
        for address in (api, inbox):
            if not is_free(address):
                raise click.ClickException(f"port {address.port} is taken; give another with --port or --inbox-port")
        admin = own_or_free(Address(HOST, service.admin_bind.port), taken=(api, inbox))
        loaded = loaded.model_copy(update={"service": service.model_copy(update={"bind": api, "admin_bind": admin})})
        is_embedded = loaded.redis.url.get_secret_value() == own_url
        embedded = socket if is_embedded else None
        return cls(loaded, secrets, folder, inbox, Address(HOST, free_port()), embedded, tables, folder_of_file)


def _run(plan: _Plan, as_json: bool, keeps_logs: bool) -> int:
    service = plan.loaded.service
    running = RunningDemo(
        f"http://{service.bind}",
        plan.secrets.key,
        os.getpid(),
        plan.tables,
        str(plan.folder_of_file.resolve()),
        RunningDemo.settings(os.environ),
    )
    try:
        with Family(plan.folder, STOP_SECONDS) as family:
            _start(plan, family)
            if not family.wait_until(lambda: _is_ready(plan), READY_SECONDS):
                mend = f"see the logs in {plan.folder}" if keeps_logs else "give a --data-dir, which keeps the logs"
                raise click.ClickException(f"not ready after {READY_SECONDS:.0f} s; {mend}")
            running.announce()
            _print_ready(plan, as_json)
            family.watch()
    except Asked:
        return 0
    except ChildEnded as ended:
        raise click.ClickException(_last_words(ended.child, keeps_logs)) from ended
    finally:
        running.withdraw()
    return 0


def _last_words(child: Child, keeps_logs: bool) -> str:
    log = f"its log, {child.log}," if keeps_logs else "its log"
    lines = child.last_lines()
    said = [f"{log} ends with:", *lines] if lines else [f"{log} is empty"]
    return "\n".join([f"{child.name} ended, and with it the demo; {said[0]}", *said[1:]])


def _start(plan: _Plan, family: Family) -> None:
    loaded = plan.loaded
    if plan.socket:
        program, socket = embedded_valkey.binary(), plan.socket
        family.start(valkey=lambda: embedded_valkey.run(program, plan.folder / "valkey", socket))
        family.wait_until(lambda: embedded_valkey.listens(socket), READY_SECONDS)
    family.start(simulator=lambda: simulator.run(plan.inbox.host, plan.inbox.port, accounts=BACKUP))
    # The worker asks for reports at once, and `status` would tell that nobody answered.
    family.wait_until(lambda: _answers(plan.inbox, "/api/messages"), READY_SECONDS)
    family.start(
        worker=lambda: run_worker(loaded, plan.worker_admin),
        api=lambda: run_api(loaded, loaded.service.admin_bind, THREADS, grace=0),
    )


def _is_ready(plan: _Plan) -> bool:
    service = plan.loaded.service
    return all(
        _answers(address, path)
        for address, path in (
            (service.bind, "/readyz"),
            (service.admin_bind, "/livez"),
            (plan.worker_admin, "/livez"),
        )
    )


def _answers(address: Address, path: str) -> bool:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _print_ready(plan: _Plan, as_json: bool) -> None:
    service, key = plan.loaded.service, plan.secrets.key
    facts = {"api": f"http://{service.bind}", "inbox": f"http://{plan.inbox}", "admin": f"http://{service.admin_bind}"}
    if as_json:
        print_json({**facts, "key": key})
        return
    for name, value in {**facts, "key": key}.items():
        click.echo(f"{name} {value}")
    click.echo(f"""
curl -s {facts["api"]}/v1/verifications -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"to": "13800138000", "purpose": "login"}}'

The message is in the inbox. Then, with the id of the answer and the code of the message:
{program()} check ID CODE""")


@contextmanager
def _data_directory(wanted: Path | None) -> Iterator[Path]:
    """The given directory, locked; or one that is gone afterwards."""
    if wanted is None:
        folder = Path(tempfile.mkdtemp(prefix="otp-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (wanted / "lock").open("w") as lock:
            _lock(lock.fileno(), wanted)
            yield wanted
    except OSError as error:
        raise click.ClickException(f"{wanted}: {error.strerror}; give another --data-dir") from error


def _lock(descriptor: int, folder: Path) -> None:
    """Wait a moment: the children of a demo that was just killed may still be on their way out."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise click.ClickException(f"another demo uses {folder}; end it, or give another --data-dir") from None
            time.sleep(0.05)
