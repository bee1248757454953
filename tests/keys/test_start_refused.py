"""T72: no process starts with a weak, published, missing or shared secret; each line says what to write."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, wiring
from otp_service.config.key_material import decode_key
from otp_service.errors import ConfigError
from tests.test_config import FINGERPRINT_KEY, SECRET_KEY, new_key, refusal, tables

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").glob("*"))]
MAKE = "otp-service secrets new"


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def whsec(raw: bytes | None = None) -> str:
    return f"whsec_{encoded(raw or secrets.token_bytes(32))}"


def hook(name: str = "shop-events", *made: str) -> dict[str, Any]:
    return {"name": name, "url": f"https://{name}.example.com/", "secrets": list(made) or [whsec()]}


def own(name: str = "own", *made: str) -> dict[str, Any]:
    return {"name": name, "protocol": "webhook", "url": "https://own.example.com/", "secrets": list(made) or [whsec()]}


PRIMARY = tables()["channels"][0]

WEAK = {
    "all bytes equal": b"\x07" * 32,
    "letters": b"abcdefghijklmnopqrstuvwxyzABCDEF",
    "a sentence and a line end": b"correct horse battery staple, all of it\n",
    "Chinese": "这不是随机的密钥，这只是一句中文".encode(),
    "counting down": bytes(range(255, 191, -1)),
    "31 bytes": bytes(range(31)),
    "eight random bytes, padded": bytes.fromhex("9f3c1177e0b2d548") + bytes(24),
    "a pair of keys that are one": bytes.fromhex("9f3c1177e0b2d5489f3c1177e0b2d548") * 2,
    "the hash of a word": hashlib.sha256(b"changeme").digest(),
    "the hash of a word and a line end": hashlib.sha256(b"secret\n").digest(),
    "the long hash of a word": hashlib.sha512(b"password").digest(),
    "the hash of nothing": hashlib.sha256().digest(),
    "a key of NIST's": bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
}


@pytest.mark.parametrize("raw", WEAK.values(), ids=WEAK)
def test_a_weak_key_is_refused_in_every_place(raw: bytes) -> None:
    text = refusal(
        service__secret_keys=[f"a:{new_key()}", f"b:{encoded(raw)}"],
        service__fingerprint_key=encoded(raw),
        webhooks=[hook("shop-events", whsec(raw))],
        channels=[PRIMARY, own("own", whsec(raw))],
    )
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    places = ("service.secret_keys[1]", "service.fingerprint_key")
    if len(raw) >= 32:
        assert set(lines) == {*places, "webhooks.shop-events.secrets[0]", "channels.own.secrets[0]"}
    assert all(MAKE in lines[place] for place in places)
    assert encoded(raw) not in text


@pytest.mark.parametrize(
    "word",
    [
        "changemechangeme",
        "secret-password-1",
        "aaaaaaaaaaaaaaaa",
        "0123456789abcdef",
        "1234567812345678",
        "demo-secret",
    ],
)
def test_a_weak_secret_of_a_gateways_pushes_is_refused(word: str) -> None:
    text = refusal(channels=[{**PRIMARY, "reports": "push", "report_secret": word}])
    assert text.startswith("channels.primary.report_secret: ")
    assert "openssl rand -hex 24" in text
    assert word not in text


@pytest.mark.parametrize("make", [lambda: secrets.token_hex(16), lambda: secrets.token_urlsafe(18), whsec])
def test_a_drawn_secret_is_taken(make: Any) -> None:
    for _ in range(50):
        config.parse(tables(channels=[{**PRIMARY, "reports": "push", "report_secret": make()}]), {}, Path())


SHARED = whsec()
WORD = secrets.token_hex(24)
BARE = SHARED.removeprefix("whsec_")
PUSHED = {**PRIMARY, "reports": "push"}
EQUAL: dict[str, tuple[dict[str, Any], str, str]] = {
    "two webhooks": (
        {"webhooks": [hook("one", SHARED), hook("two", SHARED)]},
        "webhooks.two.secrets[0]",
        "webhooks.one.secrets[0]",
    ),
    "a webhook and a channel": (
        {"webhooks": [hook("one", whsec(), SHARED)], "channels": [PRIMARY, own("own", SHARED)]},
        "webhooks.one.secrets[1]",
        "channels.own.secrets[0]",
    ),
    "twice in one channel": (
        {"channels": [PRIMARY, own("own", SHARED, SHARED)]},
        "channels.own.secrets[1]",
        "channels.own.secrets[0]",
    ),
    "a webhook and fingerprint_key": (
        {"webhooks": [hook("one", SHARED)], "service__fingerprint_key": BARE},
        "webhooks.one.secrets[0]",
        "service.fingerprint_key",
    ),
    "a channel and a secret key": (
        {"channels": [PRIMARY, own("own", SHARED)], "service__secret_keys": [f"a:{SECRET_KEY}", f"b:{BARE}"]},
        "channels.own.secrets[0]",
        "service.secret_keys[1]",
    ),
    "the pushes of two channels": (
        {"channels": [{**PUSHED, "report_secret": WORD}, {**PUSHED, "name": "backup", "report_secret": WORD}]},
        "channels.backup.report_secret",
        "channels.primary.report_secret",
    ),
    "a gateway's password and a key of ours": (
        {"channels": [{**PRIMARY, "password": FINGERPRINT_KEY}]},
        "channels.primary.password",
        "service.fingerprint_key",
    ),
}


@pytest.mark.parametrize(("changes", "place", "other"), EQUAL.values(), ids=EQUAL)
def test_one_secret_in_two_places_is_refused(changes: dict[str, Any], place: str, other: str) -> None:
    text = refusal(**changes)
    assert text.startswith(f"{place}: the same secret as {other}; each use has its own, so ")
    assert len(text.splitlines()) == 1
    assert "`otp-service secrets new" in text or "openssl" in text
    assert not [secret for secret in (BARE, WORD, FINGERPRINT_KEY) if secret in text]


def test_channels_of_one_account_have_one_password() -> None:
    """The gateway gave it; it is no key of ours."""
    assert config.parse(tables(channels=[PRIMARY, {**PRIMARY, "name": "backup"}]), {}, Path())


@pytest.mark.parametrize(
    ("channel", "key"),
    [
        ({"protocol": "sms_aspx", "reports": "push"}, "report_secret"),
        ({"protocol": "webhook", "secrets": None}, "secrets"),
    ],
)
def test_a_missing_secret_is_named(channel: dict[str, Any], key: str) -> None:
    table = own() if channel["protocol"] == "webhook" else PRIMARY
    table = {key: value for key, value in {**table, **channel}.items() if value is not None}
    assert f".{key}: missing" in refusal(channels=[table])


def test_a_lost_key_file_stops_the_start(tmp_path: Path) -> None:
    """F31: a process without the keys would refuse everybody; it names the file that it misses."""
    text = refusal(folder=tmp_path, service__secret_keys=None, service__secret_keys_file="keys")
    assert text == f"service.secret_keys_file: can't read {tmp_path / 'keys'}: No such file or directory"


def shown_in(pattern: str) -> set[str]:
    return {found for path in DOCUMENTS for found in re.findall(pattern, path.read_text("utf-8", "replace"))}


def test_no_secret_of_the_documents_can_start_anything() -> None:
    """What can be copied will be copied."""
    for text in shown_in(r"\bwhsec_[A-Za-z0-9+/=]{16,}"):
        assert "webhooks.one.secrets[0]" in refusal(webhooks=[hook("one", text)])
    for text in shown_in(r"(?<![A-Za-z0-9+/_=])[A-Za-z0-9+/]{43}=(?!=)"):
        with pytest.raises(ValueError, match="weak"):
            decode_key(text)


def test_no_api_key_of_the_documents_opens_anything() -> None:
    keys = shown_in(r"\botp_[0-9a-hjkmnp-tv-z]{46}\b")
    assert keys
    for key in keys:
        key_hash = f"{key[4:12]}:{hashlib.sha256(key.encode()).hexdigest()}"
        text = refusal(clients__key_hashes=[key_hash])
        assert "clients.shop.key_hashes: holds the key of an example" in text
        assert "otp-service keys new shop" in text


def test_a_debugger_is_refused() -> None:
    loaded = config.parse(tables(), {}, Path())
    with pytest.raises(ConfigError, match="FLASK_DEBUG"):
        wiring.check_start(loaded, {"FLASK_DEBUG": "1"})
