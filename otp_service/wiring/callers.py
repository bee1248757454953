"""API keys: those that the configuration holds, less those that an operator revoked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otp_service import store
from otp_service.api_keys import ClientKeys
from otp_service.config import Config
from otp_service.revocation import HeededKeys


def build_client_keys(config: Config) -> HeededKeys:
    """For the API, on a connection of its own: whatever waits for one elsewhere delays no revocation."""
    client = store.connect(config.redis.url.get_secret_value())
    return HeededKeys(ClientKeys(config.client_keys()), store.RedisRevocations(client, config.redis.prefix))


@contextmanager
def revocations(config: Config) -> Iterator[store.RedisRevocations]:
    """Closed when left."""
    client = store.connect(config.redis.url.get_secret_value())
    try:
        yield store.RedisRevocations(client, config.redis.prefix)
    finally:
        client.close()
