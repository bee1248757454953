"""`check`: check a code with a running service."""

from __future__ import annotations

import re

import click

from otp_service.cli.api_client import post, service_options
from otp_service.cli.options import json_option
from otp_service.cli.output import print_json


@click.command()
@click.argument("verification_id", metavar="ID")
@click.argument("code")
@service_options
@json_option
def check(verification_id: str, code: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Check the CODE of the verification ID; without --url and --key with the running demo."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", verification_id):
        raise click.BadParameter("write the id that the start answered, ver_…", param_hint="ID")
    answer = post(url, key, f"/v1/verifications/{verification_id}/check", {"code": code})
    if as_json:
        print_json(answer)
        return
    click.echo(f"status {answer['status']}")
    click.echo(f"token {answer['token']}")
