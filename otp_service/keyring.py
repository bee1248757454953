"""`Keyring`: every keyed operation, one derived key a use (HKDF-SHA256, RFC 5869), several secrets while one rotates.

Two kinds of key stand behind it. `secret_keys` rotate: what they made carries their key id (`kid`). `fingerprint_key`
does not: it names things in Redis (recipients, scopes, addresses), and another one would start every counter anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from otp_service import base64url, codes
from otp_service.base62 import Base62
from otp_service.errors import OtpServiceError
from otp_service.macs import Mac, mac

PARTITIONS = 32
NONCE_BYTES = 12
_NAME_BYTES = 8
"""Of a recipient or an owner: 10^9 of them meet by chance at odds of 1 in 37."""
_PREFIX_BYTES = 5
_ID_PREFIX = "ver_"
_BODY = Base62(NONCE_BYTES + _NAME_BYTES + _PREFIX_BYTES)
"""Of an id, which is a part of five names and values in Redis: to the base 32 each would be six characters longer."""
_ID = re.compile(rf"{_ID_PREFIX}([0-9A-Za-z]{{{_BODY.digits}}})")
_LONG_NAME_BYTES = 12
"""Of what is named by more than a number: 10^12 of them meet by chance at odds of 1 in 10^5."""
_DIGEST_BYTES = 16
"""What a record keeps of a code's HMAC-SHA256 (RFC 2104 §5: at least half of it): a code has far less to tell."""
_NAMED = (
    "recipient",
    "prefix",
    "owner",
    "mask",
    "scope",
    "bucket",
    "device",
    "context",
    "idempotency",
    "report",
    "captcha",
)


class SealBroken(OtpServiceError):
    """What a record holds can't be used: altered, moved to another record, or its key is no longer configured."""


class VerificationId(NamedTuple):
    """What an id tells those who hold the fingerprint key."""

    text: str
    nonce: str
    """By which the request that started it is known."""
    partition: int
    recipient: str
    """Fingerprint of the recipient."""
    prefix: str
    """Fingerprint of the recipient's prefix."""


class Keyring:
    """`secret_keys`: (kid, secret) pairs; the first makes, all verify. Secrets are at least 32 random bytes."""

    def __init__(self, secret_keys: Sequence[tuple[str, bytes]], fingerprint_key: bytes) -> None:
        self._secrets = dict(secret_keys)
        self.kids = tuple(self._secrets)
        self.current = self.kids[0]
        self._naming = {use: mac(_hkdf(fingerprint_key, use)) for use in _NAMED}
        # Bound per instance, so that the derived keys live no longer than the keyring.
        self._key = lru_cache(maxsize=4096)(self._derive)
        self._mac = lru_cache(maxsize=4096)(self._derive_mac)
        self._cipher = lru_cache(maxsize=64)(lambda kid: AESGCM(self._key(kid, "seal")))

    # --- names in Redis: keyed hashes that do not rotate -------------------------------------------------------

    def recipient(self, e164: str) -> str:
        """Fingerprint of a recipient, in hex."""
        return self._short_name("recipient", _NAME_BYTES, e164)

    def prefix(self, prefix: str) -> str:
        """Fingerprint of what a number and its neighbours share, in hex."""
        return self._short_name("prefix", _PREFIX_BYTES, prefix)

    def owner(self, client: str, recipient: str) -> str:
        """Names the pair of a client and a recipient's fingerprint: wrong codes are counted under it."""
        return self._short_name("owner", _NAME_BYTES, client, recipient)

    def partition(self, prefix: str) -> int:
        """0–31, from the number less its last four digits: keyed, so nobody can choose where a number lands."""
        return _partition(bytes.fromhex(self.prefix(prefix)))

    def scope(self, client: str, purpose: str, e164: str, session: str | None) -> str:
        """Names "the four" that a pending verification and its cooldown belong to."""
        return self._name("scope", client, purpose, e164, session)

    def scopes(self, client: str, purposes: Iterable[str], e164: str) -> tuple[str, ...]:
        """Names of "the fours" of one client and recipient that have no session: a session is nobody else's to name."""
        return tuple([self.scope(client, purpose, e164, None) for purpose in purposes])

    def bucket(self, limit: str, *parts: str) -> str:
        """Names what a limit counts for: an address, a client's session."""
        return self._name("bucket", limit, *parts)

    def device(self, client: str, device: str) -> str:
        return self._name("device", client, device)

    def context(self, context: Mapping[str, str] | None) -> str:
        """Equal for equal contexts in any order; empty for none."""
        return "" if context is None else self._name("context", *_flat(context))

    def idempotency(self, client: str, *parts: str) -> str:
        return self._name("idempotency", client, *parts)

    def report(self, channel: str, gateway_id: str) -> str:
        """The try that a gateway's id stands for."""
        return self._name("report", channel, gateway_id)

    def captcha(self, identity: str) -> str:
        """A CAPTCHA token that was spent."""
        return self._name("captcha", identity)

    def _name(self, use: str, *parts: str | None) -> str:
        return base64url.encode(self._naming[use](_framed(*parts))[:_LONG_NAME_BYTES])

    def _short_name(self, use: str, length: int, *parts: str) -> str:
        return self._naming[use](_framed(*parts))[:length].hex()

    # --- ids ------------------------------------------------------------------------------------------------------

    def new_id(self, e164: str, prefix: str, nonce: bytes) -> VerificationId:
        """An id that carries, masked, whom it is for: a check finds every key that it needs in the id.

        `nonce` is 12 random bytes. Two ids of one recipient show nothing in common to those without the key.
        """
        recipient, shared = self.recipient(e164), self.prefix(prefix)
        names = bytes.fromhex(recipient + shared)
        text = _ID_PREFIX + _BODY.encode(nonce + self._masked(nonce, names))
        return VerificationId(text, base64url.encode(nonce), _partition(bytes.fromhex(shared)), recipient, shared)

    def parse_id(self, text: str) -> VerificationId | None:
        """None for what can't be an id of ours. An id that was never given parses as well: only Redis knows."""
        match = _ID.fullmatch(text)
        raw = _BODY.decode(match[1]) if match else None
        if raw is None:
            return None
        nonce = raw[:NONCE_BYTES]
        names = self._masked(nonce, raw[NONCE_BYTES:])
        recipient, shared = names[:_NAME_BYTES], names[_NAME_BYTES:]
        return VerificationId(text, base64url.encode(nonce), _partition(shared), recipient.hex(), shared.hex())

    def _masked(self, nonce: bytes, names: bytes) -> bytes:
        mask = self._naming["mask"](nonce)[: len(names)]
        masked = int.from_bytes(names, "big") ^ int.from_bytes(mask, "big")
        return masked.to_bytes(len(names), "big")

    # --- codes ----------------------------------------------------------------------------------------------------

    def code(self, kid: str, verification_id: str, seed: bytes, counter: int, length: int) -> str:
        return codes.derive(self._mac(kid, "code"), verification_id, seed, counter, length)

    def binding(
        self, kid: str, verification_id: str, client: str, session: str | None, context: Mapping[str, str] | None
    ) -> bytes:
        """32 bytes for what a code is bound to. Absent differs from empty; the order of a context is free."""
        bound = None if context is None else _joined(_flat(context))
        return self._mac(kid, "binding")(_framed(verification_id, client, session, bound))

    def digest(self, kid: str, binding: bytes, code: str) -> bytes:
        """16 bytes that stand for a code in its binding, so that a rotated code needs no session or context again."""
        return self._mac(kid, "digest")(binding + code.encode())[:_DIGEST_BYTES]

    # --- sealing --------------------------------------------------------------------------------------------------

    def seal(self, kid: str, verification_id: str, field: str, text: str) -> bytes:
        """AES-256-GCM, bound to the record and the field: a value moved elsewhere does not open.

        Where it stands is its nonce as well, so that none is kept beside it: an id has 96 random bits, and with the
        field behind them that is the RBG-based construction of NIST SP 800-38D §8.2.2. So a place must have one text
        for good, as a number, its mask, the mask of a prefix and the body of one request have.
        """
        place = _framed(verification_id, field)
        return self._cipher(kid).encrypt(place, text.encode(), place)

    def unseal(self, kid: str, verification_id: str, field: str, sealed: bytes) -> str:
        """Raises SealBroken."""
        try:
            place = _framed(verification_id, field)
            opened = self._cipher(kid).decrypt(place, sealed, place)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the sealed {field} of {verification_id} does not open") from error
        return opened.decode()

    # --- tokens ---------------------------------------------------------------------------------------------------

    def token_key(self, kid: str, client: str, purpose: str) -> bytes:
        """32 bytes, given to that client for offline checks: it can't mint for another client or purpose."""
        return self._key(kid, "token", client, purpose)

    def audit_seal(self, kid: str, link: str) -> str:
        """Stands for one entry of the audit trail, in hex. Raises SealBroken for a key that is no longer configured."""
        return self._mac(kid, "audit")(link.encode()).hex()

    # --- derivation -----------------------------------------------------------------------------------------------

    def _derive(self, kid: str, *use: str) -> bytes:
        if kid not in self._secrets:
            raise SealBroken(f"the secret key {kid!r} is no longer configured")
        return _hkdf(self._secrets[kid], *use)

    def _derive_mac(self, kid: str, *use: str) -> Mac:
        return mac(self._key(kid, *use))


def _partition(prefix: bytes) -> int:
    return prefix[0] % PARTITIONS


def _hkdf(secret: bytes, *use: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"otp-service v1" + _framed(*use)).derive(secret)


def _framed(*parts: str | None) -> bytes:
    return _joined(parts).encode()


def _joined(parts: Iterable[str | None]) -> str:
    """Each part behind its length, so that ("a", "bc") and ("ab", "c") differ, and None differs from ""."""
    return "".join(["-" if part is None else f"{len(part)}:{part}" for part in parts])


def _flat(context: Mapping[str, str]) -> list[str]:
    return [text for pair in sorted(context.items()) for text in pair]
