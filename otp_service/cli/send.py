"""`send`: start a verification at a running service."""

from __future__ import annotations

import click

from otp_service.cli.api_client import post, service_options
from otp_service.cli.options import json_option
from otp_service.cli.output import print_json
from otp_service.cli.typed import program


@click.command()
@click.argument("number")
@click.option("--purpose", default="login", show_default=True)
@click.option("--channel", help="The only channel to send by: no other takes over when it fails.")
@click.option("--locale", help="Of the text, such as zh-CN or en.")
@service_options
@json_option
def send(
    number: str,
    purpose: str,
    channel: str | None,
    locale: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Send a code to NUMBER through a running service; without --url and --key through the running demo."""
    body = {"to": number, "purpose": purpose, "channel": channel, "locale": locale}
    answer = post(url, key, "/v1/verifications", body, Prefer="wait=5")
    if as_json:
        print_json(answer)
        return
    click.echo(f"id {answer['id']}")
    click.echo(f"to {answer['to']}")
    click.echo(f"delivery {answer['delivery']}")
    click.echo(f"Then: {program()} check {answer['id']} CODE", err=True)
