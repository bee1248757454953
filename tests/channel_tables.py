"""A `[[channels]]` table as an operator writes it, read like the whole file and built like the worker builds it."""

from __future__ import annotations

import asyncio
import base64
import datetime
import secrets
import tomllib
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.errors import ConfigError
from otp_service.ports import Channel, Message, TryResult
from otp_service.wiring import build_channel

SECRET = "pa55word-of-ours"
TEXT = 'Acme: 345678 is your code, "ok" <&>\n@login.example.com #345678'
MESSAGE = Message(
    "+447400123456", TEXT, code="345678", minutes=5, purpose="login", locale="en", extno="77", reference="ref-1"
)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


_WHOLE: dict[str, Any] = {
    "service": {"secret_keys": [f"a:{_key()}"], "fingerprint_key": _key()},
    "redis": {"url": "redis://localhost/0"},
    "routing": {"regions": ["*"]},
    "purposes": {"login": {"locale": "en"}},
}


def load(table: str, **changes: Any) -> config.Config:
    """`table` in TOML, without its name; None in `changes` takes a key out."""
    channel = {"name": "own", **tomllib.loads(table), **changes}
    channel = {key: value for key, value in channel.items() if value is not None}
    return config.parse({**_WHOLE, "channels": [channel]}, {}, Path())


def refusal(table: str, **changes: Any) -> str:
    """What the start says; no secret is in it."""
    with pytest.raises(ConfigError) as refused:
        load(table, **changes)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def warnings(table: str, **changes: Any) -> list[str]:
    return load(table, **changes).warnings(datetime.date(2026, 1, 1))


def build(table: str, **changes: Any) -> Channel:
    return build_channel(load(table, **changes).channels[0])


def deliver(table: str, message: Message = MESSAGE, **changes: Any) -> TryResult:
    """One try by a channel made for it."""

    async def run() -> TryResult:
        channel = build(table, **changes)
        try:
            return await channel.deliver(message)
        finally:
            await channel.aclose()

    return asyncio.run(run())
