"""`keys`: API keys, and the keys with which a client checks tokens itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from otp_service import wiring
from otp_service.api_keys import ClientKeys, id_of, new_key
from otp_service.cli.acting import acting, reason_option
from otp_service.cli.operating import installation, moment, redis_must_answer, who
from otp_service.cli.options import config_option, json_option
from otp_service.cli.output import print_json, print_rows
from otp_service.cli.typed import as_typed
from otp_service.config import Config
from otp_service.keyring import Keyring
from otp_service.ports import Revoked, TooManyRevoked


@click.group()
def keys() -> None:
    """Make, list and revoke API keys; show the keys of offline token checks."""


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


@keys.command("list")
@config_option
@json_option
def list_keys(config_path: Path | None, as_json: bool) -> None:
    """Show every client's key ids and whether they are revoked; no key is shown, as none is kept."""
    loaded = installation(config_path)
    owners = ClientKeys(loaded.client_keys()).owners()
    with redis_must_answer(loaded), wiring.revocations(loaded) as revocations:
        revoked = {one.id: one for one in revocations.look()}
    # Those that no client holds any more come last: their place in the list of the revoked may be given up.
    shown = [*owners.items(), *((id, "") for id in revoked if id not in owners)]
    if as_json:
        print_json([_document(id, client, revoked.get(id)) for id, client in shown])
    else:
        rows = [_document(id, client, revoked.get(id)).values() for id, client in shown]
        print_rows(("id", "client", "state", "revoked", "by"), [[str(field or "-") for field in row] for row in rows])


def _document(id: str, client: str, one: Revoked | None) -> dict[str, str | None]:
    return {
        "id": id,
        "client": client or None,
        "state": "revoked" if one else "active",
        "revoked_at": moment(one.at) if one else None,
        "revoked_by": one.by if one else None,
    }


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--undo", is_flag=True, help="Let the key in again, if its hash is configured.")
@reason_option
@config_option
@json_option
def revoke(key_id: str, undo: bool, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Refuse the API key ID (or the whole key) in every process, within five seconds.

    Then take its hash out of key_hashes: this word stands in Redis, and is lost with it.
    """
    try:
        id = id_of(key_id.strip())
    except ValueError as error:
        raise click.BadParameter(f"{error}; `otp-service keys list` shows the ids", param_hint="ID") from None
    loaded = installation(config_path)
    owners = ClientKeys(loaded.client_keys()).owners()
    with redis_must_answer(loaded), acting(loaded, "keys.restore" if undo else "keys.revoke", f"key:{id}", reason):
        act = _Act.undo(loaded, id) if undo else _Act.revoke(loaded, id)
    if as_json:
        print_json({**_document(id, owners.get(id, ""), act.revoked), "changed": act.changed})
        return
    click.echo(act.told(f"{id} of {owners[id]}" if id in owners else id))
    for line in _what_is_left(id, owners, act) if act.revoked else ():
        click.echo(as_typed(line), err=True)


@dataclass(frozen=True, slots=True)
class _Act:
    """What was done to a key: here, and nowhere else, a key is revoked or let in again."""

    revoked: Revoked | None
    """None for a key that is good again."""
    changed: bool
    """False where it stood so before."""
    all_revoked: frozenset[str]

    @classmethod
    def revoke(cls, loaded: Config, id: str) -> _Act:
        with wiring.revocations(loaded) as revocations:
            try:
                one, is_new = revocations.revoke(id, who())
            except TooManyRevoked:
                mend = "`otp-service keys list` shows those that no client has; end some with keys revoke --undo ID"
                raise click.ClickException(f"{id} is not revoked: there are too many revoked keys; {mend}") from None
            return cls(one, is_new, revocations.ids())

    @classmethod
    def undo(cls, loaded: Config, id: str) -> _Act:
        with wiring.revocations(loaded) as revocations:
            return cls(None, revocations.restore(id), revocations.ids())

    def told(self, key: str) -> str:
        if self.revoked is None:
            return f"{key} is good again" if self.changed else f"{key} was not revoked"
        if not self.changed:
            return f"{key} was revoked before, at {moment(self.revoked.at)} by {self.revoked.by}"
        return f"{key} is revoked; every process refuses it within five seconds"


def _what_is_left(id: str, owners: Mapping[str, str], act: _Act) -> Iterator[str]:
    client = owners.get(id)
    if client is None:
        yield "No client of this configuration has this key; it is refused wherever one does."
        return
    yield f"Take its hash out of key_hashes of {client} as well: a Redis that is emptied or restored forgets this."
    if all(owner != client or other in act.all_revoked for other, owner in owners.items()):
        yield f"{client} has no other key: its calls answer 401. `otp-service keys new {client}` makes one."


@keys.command("token-key")
@click.argument("client")
@config_option
@json_option
def token_key(client: str, config_path: Path | None, as_json: bool) -> None:
    """Print the keys with which CLIENT can check its tokens offline: kid, purpose, base64."""
    loaded = installation(config_path)
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
