"""Which secrets stand where: one secret has one use, so that what one of them opens says nothing about another."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from otp_service.config.key_material import WEBHOOK_PREFIX

if TYPE_CHECKING:
    from otp_service.config.model import Config

_GIVEN_TO_US = frozenset(
    {
        "url",
        "proxy",
        "code",
        "password",
        "auth_token",
        "api_secret",
        "api_key_secret",
        "access_key_secret",
        "secret_key",
        "signature_secret",
    }
)
"""Gateways and others chose these: two channels of one account have the same. A key that is not here is ours."""
_KID = re.compile(r"[a-z0-9]{1,16}:")
_KEY_BYTES = 16


def shared(config: Config) -> Iterator[str]:
    """A line for each secret that has a second use, with the place of the first one; no secret is repeated."""
    held = sorted(_secrets(config, ""), key=lambda one: one[1] in _GIVEN_TO_US)
    first: dict[bytes, str] = {}
    for path, key, text in held:
        material = _material(text)
        if material not in first:
            if key not in _GIVEN_TO_US:
                first[material] = path
        else:
            yield f"{path}: the same secret as {first[material]}; each use has its own, so {_mend(path, key, text)}"


def _mend(path: str, key: str, text: str) -> str:
    if key in _GIVEN_TO_US:
        return "take another one there; `otp-service secrets new` makes it"
    if text.startswith(WEBHOOK_PREFIX):
        return "make another one here with `otp-service secrets new --webhook`"
    if path.startswith("service."):
        return "make another one with `otp-service secrets new`"
    return "write here what `openssl rand -hex 24` prints"


def _secrets(value: object, path: str, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, key and text of every secret in a table and the tables below it."""
    if isinstance(value, SecretStr):
        yield path, key, value.get_secret_value().strip()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), f"{path}.{name}" if path else name, name)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            name = getattr(item, "name", "")
            yield from _secrets(item, f"{path}.{name}" if name else f"{path}[{index}]", key)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _secrets(item, f"{path}.{name}", key)


def _material(text: str) -> bytes:
    """The key itself, however it is written: `<kid>:<base64>`, `whsec_<base64>`, base64; else the text's bytes."""
    bare = _KID.sub("", text.removeprefix(WEBHOOK_PREFIX), count=1)
    try:
        key = base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
    return key if len(key) >= _KEY_BYTES else text.encode()
