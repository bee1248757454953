"""API keys: how one is written, and which client it belongs to. Pure: no I/O.

    otp_ | 8 characters of id | 32 of secret (160 bits) | 6 of checksum

The alphabet is Crockford's base 32 in lower case, so a key read aloud or from paper has no twins (no i, l, o, u). The
checksum tells a mistyped key, or a leaked one in a log, from noise without any look-up. It is no secret and no defence.

Only a plain SHA-256 of a key is configured. A slow hash guards what people choose; 160 random bits can't be searched,
and a slow hash on every request would only help an attacker to tire the service.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from otp_service.errors import ConfigError, Unauthorized
from otp_service.policy import Client

KEYS_PER_CLIENT = 2
"""One in use and one to roll over to."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_CHARACTERS = 8
_SECRET_CHARACTERS = 32
_CHECKSUM_CHARACTERS = 6
_ID = slice(4, 4 + _ID_CHARACTERS)

_NOT_WHOLE = "This is not a whole API key; copy it again, all 50 characters, in lower case."
_KEY = re.compile(rf"otp_[{_ALPHABET}]{{{_ID_CHARACTERS + _SECRET_CHARACTERS + _CHECKSUM_CHARACTERS}}}")
_KEY_ID = re.compile(rf"[{_ALPHABET}]{{{_ID_CHARACTERS}}}")
_KEY_HASH = re.compile(rf"([{_ALPHABET}]{{{_ID_CHARACTERS}}}):([0-9a-f]{{64}})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new key. `text` is shown once, to its owner; `hash` is what `key_hashes` holds."""

    text: str = field(repr=False)
    id: str
    hash: str


def new_key() -> ApiKey:
    """Draw a key from the system's source of chance."""
    key_id = _draw(_ID_CHARACTERS)
    unchecked = f"otp_{key_id}{_draw(_SECRET_CHARACTERS)}"
    text = unchecked + _checksum(unchecked)
    return ApiKey(text=text, id=key_id, hash=f"{key_id}:{_digest(text)}")


def id_of(text: str) -> str:
    """The id that is meant by an id, or by a whole key. Raises ValueError, which never repeats it."""
    if _KEY_ID.fullmatch(text):
        return text
    if is_well_formed(text):
        return text[_ID]
    raise ValueError("neither a key's id, 8 characters, nor a whole key")


def is_well_formed(text: str) -> bool:
    """Whether `text` is spelt as a key is, checksum included. Says nothing about whether it is anybody's."""
    return _KEY.fullmatch(text) is not None and text[-_CHECKSUM_CHARACTERS:] == _checksum(text[:-_CHECKSUM_CHARACTERS])


@dataclass(frozen=True, slots=True)
class _Owner:
    client: Client | None
    digest: str = field(repr=False)


_NOBODY = _Owner(client=None, digest=_ALPHABET * 2)
"""Unknown ids are compared with this: no digest holds a letter after f, so it equals none."""


class ClientKeys:
    """The directory of keys. Takes each client with its `key_hashes`; raises ConfigError when they can't be used."""

    def __init__(self, entries: Iterable[tuple[Client, Sequence[str]]]) -> None:
        self._owners: dict[str, _Owner] = {}
        for client, key_hashes in entries:
            if len(key_hashes) > KEYS_PER_CLIENT:
                raise ConfigError(
                    f'client "{client.name}": key_hashes holds {len(key_hashes)} keys; '
                    f"{KEYS_PER_CLIENT} at most may be active, so remove the oldest"
                )
            for key_hash in key_hashes:
                self._add(client, key_hash)

    def _add(self, client: Client, key_hash: str) -> None:
        match = _KEY_HASH.fullmatch(key_hash)
        if match is None:
            raise ConfigError(
                f'client "{client.name}": an entry of key_hashes is not "<id>:<sha256>"; '
                f"write the one that `otp-service keys new {client.name}` prints"
            )
        if match[1] in self._owners:
            raise ConfigError(f'client "{client.name}": the key {match[1]} stands in key_hashes twice; remove one')
        self._owners[match[1]] = _Owner(client, match[2])

    def owners(self) -> Mapping[str, str]:
        """The client's name by each key's id."""
        return {id: owner.client.name for id, owner in self._owners.items() if owner.client}

    def without(self, ids: Collection[str]) -> ClientKeys:
        """The same directory, in which these keys are nobody's: each is answered as an unknown one is."""
        less = ClientKeys(())
        less._owners = {id: owner for id, owner in self._owners.items() if id not in ids}
        return less

    def client_for(self, authorization: str | None) -> Client:
        """The client whose key the `Authorization` header holds. Raises Unauthorized.

        An unknown id and a wrong secret cost the same and are answered alike.
        """
        key = _key_in(authorization)
        owner = self._owners.get(key[_ID], _NOBODY)
        genuine = hmac.compare_digest(_digest(key), owner.digest)
        if not genuine or owner.client is None:
            # Last, as a genuine key needs no checksum.
            if not is_well_formed(key):
                raise Unauthorized(_NOT_WHOLE)
            raise Unauthorized("The API key is not known here; it may be revoked, or belong to another installation.")
        return owner.client


def _key_in(authorization: str | None) -> str:
    if not authorization:
        raise Unauthorized("Send the header `Authorization: Bearer otp_…` with an API key.")
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer":  # RFC 9110 §11.1: the scheme's word has no case
        raise Unauthorized("The Authorization header must use the scheme Bearer: `Authorization: Bearer otp_…`.")
    key = key.strip(" ")
    if not _KEY.fullmatch(key):
        raise Unauthorized(_NOT_WHOLE)
    return key


def _draw(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(unchecked: str) -> str:
    """The low 30 bits of CRC-32, as six characters."""
    crc = zlib.crc32(unchecked.encode())
    return "".join(_ALPHABET[crc >> shift & 31] for shift in range(25, -1, -5))
