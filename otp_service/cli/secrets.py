"""`secrets`: the keys that the service itself lives by."""

from __future__ import annotations

import base64
import datetime
import secrets as chance
from collections.abc import Sequence
from pathlib import Path

import click

from otp_service.cli.options import DEFAULT_FILE, json_option, load_config, own_config_option
from otp_service.cli.output import print_json
from otp_service.cli.typed import as_typed
from otp_service.config.key_material import KEY_BYTES, WEBHOOK_PREFIX

KEEP_DAYS = 5
"""How long an old key is needed: an event that waits for its webhook holds the number's mask sealed, for 91 h at most
after an end that comes 2.5 h after the start at most. Tokens, tombstones and claims need it for less."""


def new_secret() -> str:
    """A key, base64, from the system's source of chance."""
    return base64.b64encode(chance.token_bytes(KEY_BYTES)).decode()


def new_key_id(taken: Sequence[str] = ()) -> str:
    """Today's date, and a letter where that is taken."""
    today = f"{datetime.datetime.now(datetime.UTC):%Y%m%d}"
    return next(
        kid for kid in (f"{today}{letter}" for letter in ("", *"abcdefghijklmnopqrstuvwxyz")) if kid not in taken
    )


@click.group()
def secrets() -> None:
    """Make and rotate the service's own secrets."""


@secrets.command()
@click.option("--webhook", is_flag=True, help="Make a secret of [[webhooks]] or of a channel, whsec_…, instead.")
@json_option
def new(webhook: bool, as_json: bool) -> None:
    """Make an entry of secret_keys and a fingerprint_key."""
    if webhook:
        made = f"{WEBHOOK_PREFIX}{new_secret()}"
        if as_json:
            print_json({"secrets": [made]})
        else:
            click.echo(f'secrets = ["{made}"]')
        return
    entry, fingerprint_key = f"{new_key_id()}:{new_secret()}", new_secret()
    if as_json:
        print_json({"secret_keys": [entry], "fingerprint_key": fingerprint_key})
        return
    click.echo(f'secret_keys = ["{entry}"]')
    click.echo(f'fingerprint_key = "{fingerprint_key}"')


@secrets.command()
@own_config_option
@json_option
def rotate(config_path: Path | None, as_json: bool) -> None:
    """Print how to change secret_keys without refusing anybody, with a fresh key."""
    is_configured = config_path is not None or Path(DEFAULT_FILE).exists()
    kids = [kid for kid, _ in load_config(config_path).secret_key_pairs()] if is_configured else ["<old kid>"]
    entry = f"{new_key_id(kids)}:{new_secret()}"
    # The old keys stand in the file already; a terminal's scrollback is no place for them.
    old = [f"{kid}:…" for kid in kids]
    steps = [[*old, entry], [entry, *old]]
    if as_json:
        print_json({"new": entry, "steps": [{"secret_keys": step} for step in steps], "remove_after_days": KEEP_DAYS})
        return
    appended, moved = (", ".join(f'"{item}"' for item in step) for step in steps)
    click.echo("An entry that ends in … stays as it is in the file. fingerprint_key does not rotate.\n")
    click.echo("1. Append the new key, then send SIGHUP to every serve and worker, or restart them in turn:")
    click.echo(f"   secret_keys = [{appended}]")
    click.echo("2. When all of them run with it, move it to the front and do the same again:")
    click.echo(f"   secret_keys = [{moved}]")
    click.echo("   otp_key_info of every admin_bind shows which keys a process has, and which one signs.")
    click.echo(f"After {KEEP_DAYS} days nothing needs the old keys: take them out, and do it once more.")
    click.echo(
        as_typed("Clients that check tokens offline fetch `otp-service keys token-key CLIENT` again before step 2.")
    )
