"""What a Redis server says of itself, as far as it lets us ask; of a cluster, what its masters say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import redis
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError

from otp_service.store.cluster import Cluster

NO_EVICTION = "noeviction"
NO_FENCE = (
    "the server lets no script ask INFO replication, without which redis.fence can't work; "
    "allow it to this user (+info), or set redis.fence = false"
)
NO_REPLICA = (
    'redis.durability is "wait" and no replica is connected, so starts and checks answer 503; '
    'connect one (replicaof on its side), or set redis.durability = "async" to go without'
)
ALONE = "it is a node of a cluster, which knows a part of the keys; write redis+cluster:// in redis.url"
UNSERVED = "of the cluster's 16384 slots are served by nobody: what lies there answers 503; see CLUSTER INFO on a node"
SILENT = "does not answer, so what lies there is neither started nor checked: start it, or let a replica take over"
_WRONG_LOGIN = "the server refuses the user or the password"
_T = TypeVar("_T")


class Unreachable(Exception):
    """No answer at all; the text says why, and holds no address and no password."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """None where the server refuses the question, as some managed ones do.

    Of a cluster each is the worst that is true of one of its masters.
    """

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
    masters: int = 1
    is_node_alone: bool = False
    """It is a node of a cluster, and asked as if it were the only server."""
    unserved: int = 0
    """Slots of a cluster that no master has."""
    silent: tuple[str, ...] = ()
    """Masters of a cluster that don't answer, by host and port, while others do."""

    @classmethod
    def ask(cls, client: redis.Redis | Cluster) -> Self:
        """Raises Unreachable where nobody answers."""
        if not isinstance(client, Cluster):
            return cls._of(client)
        try:
            masters, unserved = client.nodes.all(), client.nodes.unserved()
        except (RedisError, RedisClusterException, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, AuthenticationError):
                raise Unreachable(_WRONG_LOGIN) from error
            raise Unreachable(f"no node answers as one of a cluster: {type(cause).__name__}") from error
        told, silent = [], []
        for master in masters:
            try:
                told.append(cls._of(master.client))
            except Unreachable:
                silent.append(master.name)
        if not told:
            raise Unreachable("none of the cluster's masters answers")
        return replace(cls._worst(told), masters=len(masters), unserved=unserved, silent=tuple(silent))

    @classmethod
    def _worst(cls, masters: Sequence[Self]) -> Self:
        return cls(
            is_valkey=all(one.is_valkey for one in masters),
            version=_least([one.version for one in masters], _numbers),
            role=next((one.role for one in masters if one.role != "master"), "master"),
            eviction_policy=_least([one.eviction_policy for one in masters], lambda policy: policy == NO_EVICTION),
            aof=_least([one.aof for one in masters], bool),
            replicas=_least([one.replicas for one in masters], int),
            info_in_scripts=all(one.info_in_scripts for one in masters),
        )

    @classmethod
    def _of(cls, client: redis.Redis) -> Self:
        try:
            client.ping()
        except AuthenticationError as error:
            raise Unreachable(_WRONG_LOGIN) from error
        except ResponseError as error:
            raise Unreachable(f"the server refuses: {type(error).__name__}") from error
        except (RedisError, OSError) as error:
            raise Unreachable("the server does not answer") from error
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
            is_node_alone=bool(info.get("cluster_enabled")),
        )

    def gaps(self) -> Iterator[str]:
        """What of a cluster is not served, each with what to do."""
        if self.is_node_alone:
            yield ALONE
        for name in self.silent:
            yield f"the master {name} {SILENT}"
        if self.unserved:
            yield f"{self.unserved} {UNSERVED}"

    def lacks(self, durability: str) -> Iterator[str]:
        """Why somebody is answered 503, each with what to do."""
        yield from self.gaps()
        if durability == "wait" and self.replicas == 0:
            yield NO_REPLICA

    @property
    def evicts(self) -> bool:
        return self.eviction_policy not in {None, NO_EVICTION}

    @property
    def is_recent(self) -> bool | None:
        """Redis from 6.2, or any Valkey (the first was 7.2)."""
        if self.is_valkey or self.version is None:
            return self.is_valkey or None
        return _numbers(self.version) >= (6, 2)


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


def _least(told: Sequence[_T | None], worth: Callable[[_T], Any]) -> _T | None:
    """None where one does not tell."""
    known = [value for value in told if value is not None]
    return min(known, key=worth) if len(known) == len(told) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in f"{version}.0".split(".") if part.isdigit())[:2]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
