"""`[[webhooks]]` is read as strictly as the rest: a fault is named by its key, and no secret and no URL is shown."""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.errors import ConfigError
from tests.hooks.hook_world import new_secret
from tests.test_config import tables

SECRET = new_secret("configured")
URL = "https://shop.example.com/events?token=s3cret"


def load(environ: dict[str, str] | None = None, folder: Path = Path(), **changes: Any) -> config.Config:
    webhook: dict[str, Any] = {"name": "shop-events", "url": URL, "secrets": [SECRET], **changes}
    document = tables()
    document["webhooks"] = [{key: value for key, value in webhook.items() if value is not None}]
    return config.parse(document, environ or {}, folder)


def fault(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**changes)
    return str(caught.value)


def whsec(raw: bytes) -> str:
    return f"whsec_{base64.b64encode(raw).decode()}"


def test_a_webhook_is_told_of_everything_unless_it_says_otherwise() -> None:
    [webhook] = [section.domain() for section in load().webhooks]
    assert (webhook.name, webhook.url, webhook.secrets) == ("shop-events", URL, (SECRET,))
    assert (webhook.client, webhook.events, webhook.allow) == ("", ("*",), frozenset())


def test_neither_its_address_nor_its_secrets_are_shown() -> None:
    loaded = load()
    for shown in (repr(loaded), repr(loaded.webhooks[0].domain())):
        assert "s3cret" not in shown
        assert SECRET[6:] not in shown


def test_a_client_is_listened_to_if_any_webhook_may_be_told_of_it() -> None:
    assert load().rules().listened == {"*"}
    assert load(client="shop").rules().listened == {"shop"}
    assert config.parse(tables(), {}, Path()).rules().listened == frozenset()


def test_the_environment_finds_it_by_its_name(tmp_path: Path) -> None:
    second = tmp_path / "secret"
    second.write_text(new_secret("of a file") + "\n" + SECRET + "\n")
    loaded = load(
        {
            "OTP_WEBHOOKS__SHOP_EVENTS__URL": "https://other.example.com/",
            "OTP_WEBHOOKS__SHOP_EVENTS__SECRETS_FILE": str(second),
            "OTP_WEBHOOKS__SHOP_EVENTS__EVENTS": "delivery.*,balance.low",
        },
        secrets=None,
    )
    [webhook] = [section.domain() for section in loaded.webhooks]
    assert webhook.url == "https://other.example.com/"
    assert webhook.secrets == (new_secret("of a file"), SECRET)
    assert webhook.events == ("delivery.*", "balance.low")


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_may_have_24_to_64_bytes(size: int) -> None:
    load(secrets=[whsec(secrets.token_bytes(size))])


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (SECRET[6:], "does not begin with whsec_"),
        ("whsec_", "0 bytes"),
        ("whsec_<base64>", "not whsec_ and base64"),
        (whsec(secrets.token_bytes(23)), "23 bytes"),
        (whsec(secrets.token_bytes(65)), "65 bytes"),
        (whsec(bytes(32)), "too few different bytes"),
        (whsec(b"a secret that somebody thought up"), "plain text"),
        (whsec(bytes(range(32))), "follow a pattern"),
        (whsec(hashlib.sha256(b"drawn once").digest()[:20] * 3), "repeats itself"),
    ],
    ids=lambda value: "" if value.startswith("whsec_") else value,
)
def test_a_secret_that_is_none_or_weak_is_refused_and_not_repeated(secret: str, says: str) -> None:
    said = fault(secrets=[secret])
    assert said.startswith("webhooks.shop-events.secrets[0]: ")
    assert says in said
    assert "otp-service secrets new --webhook" in said
    assert len(secret) < 15 or secret[6:] not in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"secrets": []}, "secrets: empty; write"),
        ({"secrets": None}, "secrets: missing; write"),
        ({"secrets": [new_secret(n) for n in "abc"]}, "secrets: too many; write"),
        ({"secrets": [SECRET, SECRET]}, "secrets: twice the same"),
        ({"url": None}, "url: missing; write"),
        ({"url": "https://10.0.0.1/s3cret"}, "url: its address is not of the open Internet"),
        ({"url": "http://shop.example.com/s3cret"}, "url: not https://; plain http only to a host:port that `allow`"),
        ({"url": "https://shop.example.com:6379/s3cret"}, "url: not on port 443 or 8443"),
        ({"url": "https://user:s3cret@shop.example.com/"}, "url: holds a user or a fragment"),
        ({"events": []}, "events: empty; write"),
        ({"events": ["delivery.acepted"]}, "events: 'delivery.acepted' fits no event; there are delivery.accepted,"),
        ({"allow": ["hooks.internal"]}, "allow: 'hooks.internal' is no \"host:port\"; write one"),
        ({"allow": ["https://hooks.internal:80"]}, 'is no "host:port"; write one'),
        ({"allow": ["*:80"]}, 'is no "host:port"; write one'),
        ({"client": "Shop"}, "client: not in the form that is allowed; write"),
        ({"client": "shoq"}, "client: no client is called 'shoq'; there are shop; did you mean \"shop\"?"),
        ({"secret": SECRET}, "secret: unknown key; allowed here: name, url, secrets"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:24],
)
def test_a_fault_is_named_by_its_key(changes: dict[str, Any], says: str) -> None:
    said = fault(**changes)
    assert said.startswith("webhooks.shop-events.")
    assert says in said
    assert "s3cret" not in said


def test_two_webhooks_do_not_share_a_name() -> None:
    document = tables()
    document["webhooks"] = [{"name": name, "url": URL, "secrets": [SECRET]} for name in ("a-b", "a_b")]
    with pytest.raises(ConfigError, match="two have this name"):
        config.parse(document, {}, Path())


def test_a_receiver_in_ones_own_network_is_excepted() -> None:
    [webhook] = load(url="http://hooks.internal:8080/a", allow=["hooks.internal:8080"]).webhooks
    assert webhook.domain().allow == {"hooks.internal:8080"}
