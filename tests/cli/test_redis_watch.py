"""What a running process says of its Redis: each change once, with what it means and where to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from otp_service import config as configuration
from otp_service.cli.redis_watch import SEE, RedisWatch
from otp_service.config import Config
from otp_service.store.facts import ServerFacts, SilentMaster, Unreachable
from tests.cli.conftest import Command
from tests.cli.processes import free_port, until, valkey
from tests.faults.replicas import pair, sentinels

WELL = ServerFacts(True, "9.0", "master", "noeviction", True, 1, True)
ROOT = Path(__file__).parents[2]
H1, H2 = SilentMaster("h1:6379", 11), SilentMaster("h2:6379", 10, has_starts=True)


class Watched:
    """A watch, and the Redis that it is told of."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.now = 0.0
        self.facts: ServerFacts | Unreachable = WELL
        self.watch = RedisWatch(config, self._ask, lambda: self.now)

    def _ask(self, _: Config) -> ServerFacts:
        if isinstance(self.facts, Unreachable):
            raise self.facts
        return self.facts

    def look(self, facts: ServerFacts | Unreachable, after: float = 3.0) -> list[dict[str, Any]]:
        """What is said when it is so."""
        self.facts = facts
        self.now += after
        with capture_logs() as said:
            self.watch.look()
        return [dict(line) for line in said]


@pytest.fixture
def watching(command: Command) -> Callable[..., Watched]:
    command("init", "--yes")

    def make(url: str = "redis://:hunter2@h1:6379/0", durability: str = "async") -> Watched:
        environ = {"OTP_REDIS__URL": url, "OTP_REDIS__DURABILITY": durability}
        return Watched(configuration.load(Path("otp.toml"), environ))

    return make


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["what"]) for line in lines]


def test_nothing_is_said_of_a_redis_that_is_well(watching: Callable[..., Watched]) -> None:
    watched = watching()
    assert watched.look(WELL) == watched.look(WELL) == []


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://:hunter2@h1:6379/0", "h1:6379"),
        ("unix:///run/redis.sock?password=hunter2", "/run/redis.sock"),
        ("redis+sentinel://app:hunter2@h1,h2:1/mymaster", "the master mymaster of the sentinels h1:26379, h2:1"),
        ("redis+cluster://app:hunter2@h1,[::1]:7000", "the cluster of h1:6379, [::1]:7000"),
    ],
)
def test_a_redis_that_is_lost_is_told_once_and_so_is_its_return(
    watching: Callable[..., Watched], url: str, where: str
) -> None:
    """By its address, without the password."""
    watched, lost = watching(url), Unreachable("the server does not answer")
    [line] = watched.look(lost)
    assert (line["log_level"], line["event"], line["what"]) == ("warning", "Redis needs a hand", "redis")
    assert line["trouble"] == (
        f"the server does not answer ({where}), so all starts and checks answer 503: start it, or mend redis.url"
    )
    assert "hunter2" not in str(line)
    assert watched.look(lost) == watched.look(lost) == []
    [line] = watched.look(WELL)
    assert line == {
        "event": "Redis is well again", "log_level": "info", "what": "redis", "seconds": 9, "left": None
    }  # fmt: skip
    assert watched.look(WELL) == []


def test_a_lost_master_of_a_cluster_is_named_with_what_it_means(watching: Callable[..., Watched]) -> None:
    watched = watching()
    first, second = watched.look(replace(WELL, masters=3, silent=(H1, H2)))
    assert first["trouble"] == (
        "the master h1:6379 does not answer, so starts and checks of 11 in 32 numbers answer 503: "
        "start it, or let a replica take over"
    )
    assert "so all starts, and checks of 10 in 32 numbers, answer 503:" in second["trouble"]
    [line] = watched.look(replace(WELL, masters=3, silent=(H2,)))
    assert (line["event"], line["what"], line["left"]) == (
        "Redis is well again", "the master h1:6379", ["the master h2:6379"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("master", "means"),
    [
        (SilentMaster("h1:1", 11, has_calls=True, has_starts=True), "so all starts and checks answer 503:"),
        (SilentMaster("h1:1", 0, has_starts=True), "so all starts answer 503:"),
        (SilentMaster("h1:1"), "so what lies there is not served:"),
    ],
)
def test_what_all_need_is_told_where_it_is_lost(master: SilentMaster, means: str) -> None:
    assert means in master.means()


def test_what_lacked_before_all_was_lost_is_not_called_well(watching: Callable[..., Watched]) -> None:
    """Nobody says how it stands."""
    watched = watching()
    watched.look(replace(WELL, silent=(H1,)))
    assert told(watched.look(Unreachable("none of the cluster's masters answers"))) == [("warning", "redis")]
    assert told(watched.look(replace(WELL, silent=(H1,)))) == [("info", "redis")]
    assert told(watched.look(WELL)) == [("info", "the master h1:6379")]


def test_a_missing_replica_is_told_to_those_who_wait_for_it(watching: Callable[..., Watched]) -> None:
    alone = replace(WELL, replicas=0)
    assert watching().look(alone) == []
    watched = watching(durability="wait")
    [line] = watched.look(alone)
    assert "no replica is connected, so starts and checks answer 503" in line["trouble"]
    assert told(watched.look(WELL)) == [("info", "replica")]
    [line] = watched.look(replace(alone, masters=3, lone=("h1:6379",)))
    assert line["what"] == "the replica of h1:6379"
    assert line["trouble"].startswith("the master h1:6379 has no replica, so")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"role": "slave"}, "role"),
        ({"eviction_policy": "allkeys-lru"}, "maxmemory-policy"),
        ({"masters": 3, "unserved": 512}, "slots"),
        ({"masters": 3, "unserved": 512, "refuses_all": True}, "the cluster"),
        ({"is_node_alone": True}, "redis.url"),
    ],
)
def test_whatever_needs_a_hand_is_told(watching: Callable[..., Watched], changed: dict[str, Any], what: str) -> None:
    watched = watching()
    assert ("warning", what) in told(watched.look(replace(WELL, **changed)))
    assert ("info", what) in told(watched.look(WELL))


def until_told(watch: RedisWatch) -> list[dict[str, Any]]:
    """What is said first: looked for again and again, as a process does."""
    said: list[Any] = []

    def is_told() -> bool:
        with capture_logs() as lines:
            watch.look()
        said.extend(lines)
        return bool(said)

    until(is_told, "a line")
    return said


def line_of(watch: RedisWatch, level: str) -> dict[str, Any]:
    (line,) = until_told(watch)
    assert line["log_level"] == level
    return line


def test_a_server_that_dies_and_comes_back(watching: Callable[..., Watched], tmp_path: Path) -> None:
    port = free_port()
    watch = RedisWatch(watching(f"redis://127.0.0.1:{port}/0").config)
    with valkey(tmp_path, port=port):
        assert watch.look()
    assert f"(127.0.0.1:{port})" in line_of(watch, "warning")["trouble"]
    with valkey(tmp_path, port=port):
        assert line_of(watch, "info")["what"] == "redis"


@pytest.mark.slow
def test_a_master_that_dies_and_whom_sentinels_replace(watching: Callable[..., Watched], tmp_path: Path) -> None:
    with pair(tmp_path) as two, sentinels(tmp_path, two.master, 1) as url:
        watch = RedisWatch(watching(url, "wait").config)
        facts = watch.look()
        assert facts
        assert (facts.role, facts.replicas) == ("master", 1)
        two.master.kill()
        line = line_of(watch, "warning")
        assert "mymaster" in line["trouble"]
        replaced = until_told(watch)
        # The new master has no replica: who waits for one is still not served.
        assert {(line["log_level"], line["what"]) for line in replaced} == {("info", "redis"), ("warning", "replica")}


def test_it_says_where_to_look() -> None:
    assert (ROOT / SEE).is_file()
