"""How we reach Redis: with every default of redis-py that could count a request twice, or hang it, set by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from otp_service.ports import StoreDown

# A request waits this long for one answer before it fails closed; a start or a check takes well under a millisecond.
ANSWER_WITHIN = 2.0
CONNECT_WITHIN = 1.0
POOL_SIZE = 64
# What a lost connection, a full or read-only server and a refused command have in common: nobody knows what was done.
Lost = (RedisError, OSError)


def asked(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What Redis answers, asked once. Raises StoreDown."""
    try:
        return ask(*arguments)
    except Lost as error:
        raise StoreDown(type(error).__name__) from error


def connect(url: str) -> redis.Redis:
    """A client for one request at a time and thread. redis-py 8 would repeat a script whose reply was lost 10 times."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_SIZE,
        timeout=CONNECT_WITHIN,
        retry=Retry(NoBackoff(), 0),
        **_options(ANSWER_WITHIN),
    )
    return redis.Redis.from_pool(pool)


def connect_async(url: str, block_seconds: float) -> redis.asyncio.Redis:
    """The worker's client: its reads block for `block_seconds`, so its answers may take that much longer."""
    from redis.asyncio.retry import Retry as AsyncRetry

    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_SIZE,
        timeout=ANSWER_WITHIN,
        retry=AsyncRetry(NoBackoff(), 0),
        **_options(block_seconds + ANSWER_WITHIN),
    )
    return redis.asyncio.Redis.from_pool(pool)


def _options(answer_within: float) -> dict[str, Any]:
    return {
        "protocol": 2,  # pinned: RESP3 gives other shapes for the same answers
        "socket_timeout": answer_within,
        "socket_connect_timeout": CONNECT_WITHIN,
        "health_check_interval": 30,
        "client_name": "otp-service",
    }
