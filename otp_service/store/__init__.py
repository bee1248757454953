"""Redis: every key name, every script. `connect` gives the client, `RedisStore` and `RedisOutbox` the ports on it."""

from otp_service.store.connection import connect, connect_async
from otp_service.store.redis_outbox import RedisOutbox
from otp_service.store.redis_store import RedisStore

__all__ = ["RedisOutbox", "RedisStore", "connect", "connect_async"]
