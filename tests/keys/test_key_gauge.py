"""`otp_key_info`: which keys a process goes by, so that one sees when a rotation has reached all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from otp_service import config, wiring
from otp_service.api_keys import ApiKey, new_key
from otp_service.store import RedisRevocations
from tests.test_config import new_key as new_secret
from tests.test_config import tables
from tests.world import Server


def metrics(loaded: config.Config) -> str:
    """As the admin address of an API or of a worker shows them: it is the same application."""
    app = wiring.build_admin(loaded, is_up=lambda: True, draining=lambda: False)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    return b"".join(app(environ, lambda *_: lambda _: None)).decode()  # type: ignore[arg-type]


def shown(text: str) -> list[str]:
    return sorted(line.removeprefix("otp_key_info") for line in text.splitlines() if line.startswith("otp_key_info"))


@pytest.fixture
def keys() -> list[ApiKey]:
    return [new_key(), new_key()]


def configured(url: str, keys: list[ApiKey]) -> tuple[config.Config, list[str]]:
    """With two secret keys; and every secret that the configuration holds."""
    made = [new_secret() for _ in range(3)]
    document = tables(
        redis__url=url,
        service__secret_keys=[f"2026b:{made[0]}", f"2026a:{made[1]}"],
        service__fingerprint_key=made[2],
        clients__key_hashes=[key.hash for key in keys],
    )
    return config.parse(document, {}, Path()), [*made, *(key.text for key in keys), *(key.hash[9:] for key in keys)]


def test_it_names_the_key_that_signs_and_those_that_verify(real_server: Server, keys: list[ApiKey]) -> None:
    loaded, secrets = configured(real_server.url, keys)
    text = metrics(loaded)
    assert shown(text) == sorted(
        [
            '{kid="2026b",role="signs",use="secret_keys"} 1.0',
            '{kid="2026a",role="verifies",use="secret_keys"} 1.0',
            *(f'{{kid="{key.id}",role="verifies",use="clients.shop"}} 1.0' for key in keys),
        ]
    )
    assert not [secret for secret in secrets if secret in text]


def test_a_revoked_key_is_absent(real_server: Server, keys: list[ApiKey]) -> None:
    RedisRevocations(real_server.client).revoke(keys[0].id, "ann@ops")
    text = metrics(configured(real_server.url, keys)[0])
    assert keys[0].id not in text
    assert keys[1].id in text


def test_without_redis_it_shows_what_is_configured(keys: list[ApiKey]) -> None:
    """A scrape never fails for Redis."""
    assert len(shown(metrics(configured("redis://127.0.0.1:1/0", keys)[0]))) == 4
