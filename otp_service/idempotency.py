"""One Idempotency-Key, one effect: who claims it, and the first answer kept.

Kept are keyed hashes of key and request, and the row that rebuilds the answer; never a token, a code or a body.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from os import urandom
from typing import Any, NamedTuple

from otp_service import base64url
from otp_service.calls import Idempotency
from otp_service.errors import IdempotencyMismatch, OtpServiceError
from otp_service.keyring import NONCE_BYTES, Keyring
from otp_service.ports import Claim, Row, Store, TurnedAway

KEPT = frozenset({"created", "resent", "approved", "mismatch", "valid"})
"""The results that changed or counted something: their answers are given again, every other request runs anew."""


class Done(NamedTuple):
    """What a transition did, to which verification."""

    id: str
    row: Row
    replayed: bool = False


def new_nonce() -> str:
    """Names one request: asked again with the same nonce, a script gives its first answer."""
    return base64url.encode(urandom(NONCE_BYTES))


def once(
    store: Store, keyring: Keyring, client: str, idempotency: Idempotency | None, transition: Callable[[str], Done]
) -> Done:
    """Run `transition(nonce)`, or give what the same key and request did before. Raises IdempotencyMismatch.

    A claim that nobody finished (its node died, or is still at work) is run again with the first one's nonce: the
    scripts then give the first one's result. So there is no lock, and no answer that can't be fetched again.
    """
    nonce = new_nonce()
    if idempotency is None:
        return transition(nonce)
    name, request, claim = _claim(store, keyring, client, idempotency, nonce)
    if claim.answer is not None:
        return _decode(claim.answer)
    try:
        done = transition(claim.nonce)
    except (OtpServiceError, TurnedAway):
        store.release(name, claim.nonce)
        raise
    if done.row.result in KEPT:
        store.keep(name, request, claim.nonce, _encode(done))
    else:
        store.release(name, claim.nonce)
    return Done(done.id, done.row, replayed=claim.nonce != nonce)


def act_once(
    store: Store, keyring: Keyring, client: str, idempotency: Idempotency | None, act: Callable[[], None]
) -> bool:
    """Do what has no answer of its own, and what it does no harm to do again while nobody knows that it was done.

    True when the same key and request did it before. Raises IdempotencyMismatch.
    """
    if idempotency is None:
        act()
        return False
    name, request, claim = _claim(store, keyring, client, idempotency, new_nonce())
    if claim.answer is not None:
        return True
    act()
    store.keep(name, request, claim.nonce, b"done")
    return False


def refuse_other(store: Store, keyring: Keyring, client: str, idempotency: Idempotency | None) -> None:
    """For a call that changes nothing, whose answer is not kept: its key must not be another request's.

    Raises IdempotencyMismatch.
    """
    if idempotency is None:
        return
    nonce = new_nonce()
    name, _, claim = _claim(store, keyring, client, idempotency, nonce)
    if claim.nonce == nonce:
        store.release(name, nonce)


def _claim(store: Store, keyring: Keyring, client: str, idempotency: Idempotency, nonce: str) -> tuple[str, str, Claim]:
    """The key's name, the request's, and who holds it."""
    name = keyring.idempotency(client, idempotency.key)
    request = keyring.idempotency(client, idempotency.path, hashlib.sha256(idempotency.body).hexdigest())
    claim = store.claim(name, request, nonce)
    if claim.request != request:
        raise IdempotencyMismatch("This Idempotency-Key was used with another path or body; use a new one.")
    return name, request, claim


def _encode(done: Done) -> bytes:
    return json.dumps([done.id, done.row._asdict() | {"guard": None}], default=_packed, separators=(",", ":")).encode()


def _packed(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _unpacked(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["b64"]) if value.keys() == {"b64"} else value


def _decode(answer: bytes) -> Done:
    id, row = json.loads(answer, object_hook=_unpacked)
    return Done(id, Row(**row), replayed=True)
