"""How we reach Redis: with every default of redis-py that could count a request twice, or hang it, set by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.backoff import NoBackoff
from redis.client import Redis
from redis.connection import BlockingConnectionPool
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from otp_service.ports import StoreDown
from otp_service.redis_url import ClusterUrl, Login, Node, SentinelUrl, SingleUrl, parse_redis_url

# A request waits this long for one answer before it fails closed; a start or a check takes well under a millisecond.
ANSWER_WITHIN = 2.0
CONNECT_WITHIN = 1.0
POOL_SIZE = 64
# Bytes of the buffer that a connection has of its own. Replies are small, and redis-py's 64 KB would be 4 MB for the
# threads of an API process.
READ_SIZE = 8192
# What a lost connection, a full or read-only server and a refused command have in common: nobody knows what was done.
# A cluster without a node for a slot says so by an error that is no RedisError.
Lost = (RedisError, RedisClusterException, OSError)


def asked(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What Redis answers, asked once. Raises StoreDown."""
    try:
        return ask(*arguments)
    except Lost as error:
        raise StoreDown(type(error).__name__) from error


def connect(url: str) -> Any:
    """A client for one request at a time and thread. redis-py 8 would repeat a script whose reply was lost 10 times.

    `redis.Redis`, or `Cluster`. Neither asks anything before it is asked. Raises ValueError for a URL that is none.
    """
    place, options = parse_redis_url(url), {**_options(ANSWER_WITHIN), "socket_read_size": READ_SIZE}
    if isinstance(place, SingleUrl):
        pool = BlockingConnectionPool.from_url(
            place.url, max_connections=POOL_SIZE, timeout=CONNECT_WITHIN, retry=_once(), **options
        )
        return Redis.from_pool(pool)
    common = {"max_connections": POOL_SIZE, **options, **_login(place)}
    if isinstance(place, SentinelUrl):
        sentinels = Sentinel(place.sentinels, sentinel_kwargs=_to_sentinels(place, _once()))  # type: ignore[no-untyped-call]
        return sentinels.master_for(place.master, db=place.db, retry=_once(), **common)  # type: ignore[no-untyped-call]
    from otp_service.store.cluster import Cluster
    from otp_service.store.cluster_nodes import ClusterNodes  # with redis-py's cluster, which nobody else needs

    # redis-py retries nothing of its own on the connections to a cluster's nodes. Nobody waits for one there.
    return Cluster(ClusterNodes(place.nodes, {**common, "max_connections": 2 * POOL_SIZE}))


def connect_async(url: str, block_seconds: float) -> Any:
    """The worker's client: its reads block for `block_seconds`, so its answers may take that much longer.

    `redis.asyncio.Redis`, or `AsyncCluster`, which looks for its nodes when it is first asked.
    """
    import redis.asyncio.client as client
    import redis.asyncio.connection as connection
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.asyncio.sentinel import Sentinel as AsyncSentinel

    from otp_service.store.async_cluster import AsyncCluster

    place, once = parse_redis_url(url), AsyncRetry(NoBackoff(), 0)
    options = _options(block_seconds + ANSWER_WITHIN)
    if isinstance(place, SingleUrl):
        pool = connection.BlockingConnectionPool.from_url(
            place.url, max_connections=POOL_SIZE, timeout=ANSWER_WITHIN, retry=once, **options
        )
        return client.Redis.from_pool(pool)
    common = {"max_connections": POOL_SIZE, "retry": once, **options, **_login(place)}
    if isinstance(place, SentinelUrl):
        sentinels = AsyncSentinel(place.sentinels, sentinel_kwargs=_to_sentinels(place, once))  # type: ignore[no-untyped-call]
        return sentinels.master_for(place.master, db=place.db, **common)
    way = connection.SSLConnection if common.pop("ssl") else connection.Connection

    def node(address: Node) -> client.Redis:
        host, port = address
        pool = connection.BlockingConnectionPool(
            connection_class=way, timeout=ANSWER_WITHIN, host=host, port=port, **common
        )
        return client.Redis.from_pool(pool)

    return AsyncCluster(place.nodes, node)


def _once() -> Retry:
    return Retry(NoBackoff(), 0)


def _login(place: SentinelUrl | ClusterUrl) -> dict[str, Any]:
    return _credentials(place.login) | {"ssl": place.tls}


def _to_sentinels(place: SentinelUrl, once: Any) -> dict[str, Any]:
    """A sentinel that hangs costs a new connection no longer than a master that hangs."""
    return {"retry": once, **_options(CONNECT_WITHIN), **_credentials(place.sentinel_login), "ssl": place.tls}


def _credentials(login: Login) -> dict[str, Any]:
    return {"username": login.username or None, "password": login.password or None}


def _options(answer_within: float) -> dict[str, Any]:
    return {
        "protocol": 2,  # pinned: RESP3 gives other shapes for the same answers
        "socket_timeout": answer_within,
        "socket_connect_timeout": CONNECT_WITHIN,
        "health_check_interval": 30,
        "client_name": "otp-service",
    }
