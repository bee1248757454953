"""What a Redis server says of itself, as far as it lets us ask; of a cluster, what its masters say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import redis
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError
from redis.sentinel import MasterNotFoundError

from otp_service.store.cluster import Cluster
from otp_service.store.keys import TAGS

if TYPE_CHECKING:
    from otp_service.store.cluster_nodes import Master

NO_EVICTION = "noeviction"
NO_FENCE = (
    "the server lets no script ask INFO replication, without which redis.fence can't work; "
    "allow it to this user (+info), or set redis.fence = false"
)
NO_REPLICA = (
    'redis.durability is "wait" and no replica is connected, so starts and checks answer 503; '
    'connect one (replicaof on its side), or set redis.durability = "async" to go without'
)
NO_REPLICA_OF_ITS_OWN = (
    'has no replica, so with redis.durability = "wait" starts and checks of its numbers answer 503; connect one'
)
ALONE = "it is a node of a cluster, which knows a part of the keys; write redis+cluster:// in redis.url"
UNSERVED = "of the cluster's 16384 slots are served by nobody: what lies there answers 503; see CLUSTER INFO on a node"
CLUSTER_DOWN = (
    "the cluster serves nothing as long as a part of it is lost, so all starts and checks answer 503: "
    "mend that part, and set cluster-require-full-coverage no on every node"
)
NO_MASTER = "takes no writes: point redis.url at the master"
EVICTS = "which loses sends and limits: set it to noeviction"
_WRONG_LOGIN = "the server refuses the user or the password"
_T = TypeVar("_T")


class Unreachable(Exception):
    """No answer at all; the text says why, and holds no address and no password."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Something of Redis that somebody must mend."""

    what: str
    """By which it is known again as long as it lasts: `the master h1:6379`, `replica`."""
    text: str
    """What it means, and what to do. It holds no password."""

    @classmethod
    def of_all(cls, where: str, error: Unreachable) -> Self:
        """Nobody answers there; `where` as `redis_url.where` has it."""
        return cls("redis", f"{error} ({where}), so all starts and checks answer 503: start it, or mend redis.url")


@dataclass(frozen=True, slots=True)
class Shared:
    """Keys that are needed whatever number is meant."""

    by_calls: Sequence[str] = ()
    """By every request."""
    by_starts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SilentMaster:
    """One of a cluster's that does not answer, while others do."""

    name: str
    """Host and port."""
    partitions: int = 0
    """How many it has."""
    has_calls: bool = False
    """Whether it has something that every request needs."""
    has_starts: bool = False

    def means(self) -> str:
        share = f"{self.partitions} in {len(TAGS)} numbers"
        if self.has_calls:
            lost = "all starts and checks answer 503"
        elif self.has_starts:
            lost = f"all starts, and checks of {share}, answer 503" if self.partitions else "all starts answer 503"
        elif self.partitions:
            lost = f"starts and checks of {share} answer 503"
        else:
            lost = "what lies there is not served"
        return f"the master {self.name} does not answer, so {lost}: start it, or let a replica take over"


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
    silent: tuple[SilentMaster, ...] = ()
    lone: tuple[str, ...] = ()
    """Masters of a cluster without a replica, by host and port."""
    refuses_all: bool = False
    """A cluster that serves no slot, because one is not served."""

    @classmethod
    def ask(cls, client: redis.Redis | Cluster, shared: Shared = Shared()) -> Self:
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
        told, silent = dict[str, Self](), []
        for master in masters:
            try:
                told[master.name] = cls._of(master.client)
            except Unreachable:
                silent.append(_silent(client, master, shared))
        if not told:
            raise Unreachable("none of the cluster's masters answers")
        return replace(
            cls._worst(list(told.values())),
            masters=len(masters),
            unserved=unserved,
            silent=tuple(silent),
            lone=tuple(sorted(name for name, one in told.items() if one.replicas == 0)),
            refuses_all=bool(silent or unserved) and any(_is_down(one.client) for one in masters if one.name in told),
        )

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
        except MasterNotFoundError as error:
            raise Unreachable("no sentinel names a master that answers") from error
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

    def gaps(self) -> Iterator[Lack]:
        """What of a cluster is not served."""
        if self.is_node_alone:
            yield Lack("redis.url", ALONE)
        for master in self.silent:
            yield Lack(f"the master {master.name}", master.means())
        if self.unserved:
            yield Lack("slots", f"{self.unserved} {UNSERVED}")
        if self.refuses_all:
            yield Lack("the cluster", CLUSTER_DOWN)

    def lacks(self, durability: str) -> Iterator[Lack]:
        """Why somebody is answered 503."""
        yield from self.gaps()
        if self.role not in {None, "master"}:
            yield Lack("role", f"it is a {self.role} and {NO_MASTER}")
        if durability != "wait":
            return
        for name in self.lone:
            yield Lack(f"the replica of {name}", f"the master {name} {NO_REPLICA_OF_ITS_OWN}")
        if self.replicas == 0 and not self.lone:
            yield Lack("replica", NO_REPLICA)

    def troubles(self, durability: str, allow_eviction: bool) -> Iterator[Lack]:
        """All that needs a hand while it serves."""
        yield from self.lacks(durability)
        if self.evicts and not allow_eviction:
            yield Lack("maxmemory-policy", f"it evicts keys ({self.eviction_policy}), {EVICTS}")

    @property
    def evicts(self) -> bool:
        return self.eviction_policy not in {None, NO_EVICTION}

    @property
    def is_recent(self) -> bool | None:
        """Redis from 6.2, or any Valkey (the first was 7.2)."""
        if self.is_valkey or self.version is None:
            return self.is_valkey or None
        return _numbers(self.version) >= (6, 2)


def _silent(cluster: Cluster, master: Master, shared: Shared) -> SilentMaster:
    def has(*keys: str) -> int:
        return cluster.nodes.owners([key_slot(key.encode()) for key in keys]).count(master.name)

    partitions = has(*(f"{{{tag}}}" for tag in TAGS))
    return SilentMaster(master.name, partitions, bool(has(*shared.by_calls)), bool(has(*shared.by_starts)))


def _is_down(node: redis.Redis) -> bool:
    """As a node says it of the whole cluster; one that does not let us ask is believed to serve."""
    try:
        said: Any = node.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
    except (RedisError, OSError):
        return False
    return bool(said.get("cluster_state") == "fail")


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
