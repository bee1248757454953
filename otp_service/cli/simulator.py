"""`simulator`: the SMS gateway simulator alone."""

from __future__ import annotations

from pathlib import Path

import click

from otp_service.simulator import run


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 takes a free one.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name that callers may use for it.")
@click.option("--push-host", multiple=True, metavar="NAME", help="A further host that reports may be pushed to.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append a JSON line for every request, answer and report. Numbers and codes stand there in clear.",
)
def simulator(host: str, port: int, allow_host: tuple[str, ...], push_host: tuple[str, ...], log: Path | None) -> None:
    """Run the SMS gateway simulator alone, with its inbox. It never forwards a message."""
    shown = f"[{host}]" if ":" in host else host
    try:
        run(
            host,
            port,
            allowed_hosts=allow_host,
            log=log,
            push_hosts=push_host,
            ready=lambda bound: click.echo(f"inbox http://{shown}:{bound}/"),
        )
    except OSError as error:
        if error.filename is not None:
            raise click.ClickException(f"--log: can't write {log}: {error.strerror}") from error
        raise click.ClickException(f"can't listen on {shown}:{port}: {error.strerror or error}") from error
