"""API keys: those that the configuration holds, less those that an operator revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from otp_service import store
from otp_service.api_keys import ClientKeys
from otp_service.config import Config
from otp_service.metrics import KeyInUse
from otp_service.revocation import HeededKeys


def build_client_keys(config: Config) -> HeededKeys:
    """For the API, on a connection of its own: whatever waits for one elsewhere delays no revocation."""
    client = store.connect(config.redis.url.get_secret_value())
    return HeededKeys(ClientKeys(config.client_keys()), store.RedisRevocations(client, config.redis.prefix))


def keys_in_use(config: Config) -> Callable[[], Sequence[KeyInUse]]:
    """For `metrics.KeysInUse`: the ids of `secret_keys`, and of the API keys that are not known to be revoked."""
    kids = [kid for kid, _ in config.secret_key_pairs()]
    secrets = [KeyInUse("secret_keys", kid, "verifies" if place else "signs") for place, kid in enumerate(kids)]
    keys = build_client_keys(config)

    def ask() -> Sequence[KeyInUse]:
        return [*secrets, *(KeyInUse(f"clients.{name}", id, "verifies") for id, name in keys.active().items())]

    return ask


@contextmanager
def revocations(config: Config) -> Iterator[store.RedisRevocations]:
    """Closed when left."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisRevocations(client, config.redis.prefix)
    finally:
        client.close()
