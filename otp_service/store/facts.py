"""What a Redis server says of itself, as far as it lets us ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import redis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

NO_EVICTION = "noeviction"
NO_FENCE = (
    "the server lets no script ask INFO replication, without which redis.fence can't work; "
    "allow it to this user (+info), or set redis.fence = false"
)
NO_REPLICA = (
    'redis.durability is "wait" and no replica is connected, so starts and checks answer 503; '
    'connect one (replicaof on its side), or set redis.durability = "async" to go without'
)


class Unreachable(Exception):
    """No answer at all; the text says why, and holds no address and no password."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """None where the server refuses the question, as some managed ones do."""

    is_valkey: bool
    version: str | None
    role: str | None
    """`master` or `slave`."""
    eviction_policy: str | None
    aof: bool | None
    replicas: int | None
    """Those connected to it now."""
    info_in_scripts: bool
    """Whether a script may ask for the replication id."""

    @classmethod
    def ask(cls, client: redis.Redis) -> Self:
        """Raises Unreachable."""
        try:
            client.ping()
        except (ConnectionError, TimeoutError, OSError) as error:
            raise Unreachable("the server does not answer") from error
        except RedisError as error:
            raise Unreachable(f"the server refuses: {type(error).__name__}") from error
        info = _info(client)
        policy = info.get("maxmemory_policy") or _configured(client, "maxmemory-policy")
        aof = info.get("aof_enabled")
        return cls(
            is_valkey="valkey_version" in info,
            version=_text(info.get("valkey_version") or info.get("redis_version")),
            role=_text(info.get("role")),
            eviction_policy=_text(policy),
            aof=None if aof is None else bool(aof),
            replicas=info.get("connected_slaves"),
            info_in_scripts=_info_in_scripts(client),
        )

    @property
    def evicts(self) -> bool:
        return self.eviction_policy not in {None, NO_EVICTION}

    @property
    def is_recent(self) -> bool | None:
        """Redis from 6.2, or any Valkey (the first was 7.2)."""
        if self.is_valkey or self.version is None:
            return self.is_valkey or None
        major, minor, *_ = (int(part) for part in f"{self.version}.0".split(".") if part.isdigit())
        return (major, minor) >= (6, 2)


def _info(client: redis.Redis) -> dict[str, Any]:
    try:
        answer: Any = client.info()
    except ResponseError:
        return {}
    return dict(answer)


def _info_in_scripts(client: redis.Redis) -> bool:
    try:
        answer: Any = client.eval("return redis.call('INFO', 'replication')", 0)
    except ResponseError:
        return False
    return b"master_replid:" in answer


def _configured(client: redis.Redis, name: str) -> object:
    try:
        answer: Any = client.config_get(name)
    except ResponseError:
        return None
    return dict(answer).get(name)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
