"""Redis: every key name, every script. `connect` gives the client, `RedisStore` and `RedisOutbox` the ports on it."""

from otp_service.store.connection import connect, connect_async
from otp_service.store.redis_outbox import RedisOutbox
from otp_service.store.redis_standings import RedisStandings
from otp_service.store.redis_store import RedisStore
from otp_service.store.trips import Trips

__all__ = ["RedisOutbox", "RedisStandings", "RedisStore", "Trips", "connect", "connect_async"]
