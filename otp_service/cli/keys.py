"""`keys`: API keys, and the keys with which a client checks tokens itself."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import click

from otp_service.api_keys import new_key
from otp_service.cli.options import config_option, json_option, load_config
from otp_service.cli.output import print_json, print_rows
from otp_service.keyring import Keyring


@click.group()
def keys() -> None:
    """Make API keys and the keys of offline token checks."""


@keys.command()
@click.argument("client")
@json_option
def new(client: str, as_json: bool) -> None:
    """Make an API key for CLIENT. The key is shown once; only its hash is configured."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", client):
        raise click.BadParameter("write a name of a-z, 0-9, _ and -, beginning with a letter", param_hint="CLIENT")
    key = new_key()
    if as_json:
        print_json({"client": client, "key": key.text, "key_hash": key.hash})
        return
    click.echo(f"key {key.text}")
    click.echo(f'key_hashes = ["{key.hash}"]')
    click.echo(f"Give the key to {client}; it is not shown again.", err=True)
    click.echo(f'Put the hash into [[clients]] name = "{client}", beside the old one while both are in use.', err=True)


@keys.command("token-key")
@click.argument("client")
@config_option
@json_option
def token_key(client: str, config_path: Path | None, as_json: bool) -> None:
    """Print the keys with which CLIENT can check its tokens offline: kid, purpose, base64."""
    loaded = load_config(config_path)
    found = next((entry for entry in loaded.clients if entry.name == client), None)
    if found is None:
        known = ", ".join(entry.name for entry in loaded.clients) or "none"
        raise click.ClickException(f"no client is called {client!r}; configured: {known}")
    keyring = Keyring(loaded.secret_key_pairs(), loaded.fingerprint_key())
    rows = [
        (kid, purpose, base64.b64encode(keyring.token_key(kid, client, purpose)).decode())
        for kid in keyring.kids
        for purpose in found.purposes
    ]
    if as_json:
        print_json([{"kid": kid, "purpose": purpose, "key": key} for kid, purpose, key in rows])
    else:
        print_rows(("kid", "purpose", "key"), rows)
