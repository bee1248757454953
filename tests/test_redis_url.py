"""`redis.url`: every form of it, and what a wrong one is told."""

from __future__ import annotations

import re

import pytest

from otp_service.redis_url import ClusterUrl, Login, RedisUrl, SentinelUrl, SingleUrl, parse_redis_url
from otp_service.store import connect, connect_async
from otp_service.store.async_cluster import AsyncCluster

READ: list[tuple[str, RedisUrl]] = [
    ("redis://:pw@host:6379/0?health_check_interval=9", SingleUrl("redis://:pw@host:6379/0?health_check_interval=9")),
    ("rediss://host", SingleUrl("rediss://host")),
    ("unix:///run/valkey.sock?db=0", SingleUrl("unix:///run/valkey.sock?db=0")),
    ("redis+sentinel://h1,h2/mymaster", SentinelUrl((("h1", 26379), ("h2", 26379)), "mymaster")),
    ("redis+sentinel://h1:1,[::1]:2/m/3", SentinelUrl((("h1", 1), ("::1", 2)), "m", 3)),
    ("redis+sentinel://h1/m/", SentinelUrl((("h1", 26379),), "m")),
    ("rediss+sentinel://u:p%40%2F@h1/m", SentinelUrl((("h1", 26379),), "m", login=Login("u", "p@/"), tls=True)),
    (
        "redis+sentinel://:p@h1/m?sentinel_username=s&sentinel_password=a+b%26",
        SentinelUrl((("h1", 26379),), "m", login=Login("", "p"), sentinel_login=Login("s", "a+b&")),
    ),
    ("redis+cluster://h1,h2:7000,[fe80::1]", ClusterUrl((("h1", 6379), ("h2", 7000), ("fe80::1", 6379)))),
    ("redis+cluster://h1/", ClusterUrl((("h1", 6379),))),
    ("redis+cluster://h1/0", ClusterUrl((("h1", 6379),))),
    ("rediss+cluster://u:p%3F:q@h1", ClusterUrl((("h1", 6379),), Login("u", "p?:q"), tls=True)),
]

REFUSED = [
    ("http://localhost", "not a Redis URL"),
    ("redis:localhost", "not a Redis URL"),
    ("hunter2", "not a Redis URL"),
    ("redis://h:65536/0", "its port not a number"),
    ("redis://h:0/0", "its port not a number"),
    ("redis://:hunter2/x@h/0", "%2F"),
    ("redis://h:hunter2", "its port not a number"),
    ("rediss://h/hunter2", "redis://host:6379/0"),
    ("redis://[::1/0", "its port not a number"),
    ("redis+sentinel://h1,h2", "redis+sentinel://h1,h2/mymaster"),
    ("redis+sentinel://h1/m/hunter2", "is not a number"),
    ("redis+sentinel://h1/m?hunter2=1", "allowed: sentinel_username, sentinel_password"),
    ("redis+sentinel://h1/m?sentinel_password=hunter2@x", "%40"),
    ("redis+cluster://h1/1", "database 0 only"),
    ("redis+cluster://h1?db=0", "allowed: none"),
    ("redis+cluster://", "a host is missing"),
    ("redis+cluster://h1,,h2", "a host is missing"),
    ("redis+cluster://h1,h1:6379", "twice"),
    ("redis+cluster://h1:hunter2", "a port is not a number"),
    ("redis+cluster://h1:0", "a port is not a number"),
    ("redis+cluster://h1:65536", "a port is not a number"),
    ("redis+cluster://:hunter2@x@h1", "%40"),
    ("redis+cluster://:hunter2/x@h1", "%2F"),
    ("redis+cluster://:hunter2?x@h1", "%3F"),
    ("redis+cluster://:hunter2#x@h1", "%23"),
]


class TestARedisUrl:
    @pytest.mark.parametrize(("url", "means"), READ, ids=lambda value: str(value)[:40])
    def test_is_read(self, url: str, means: RedisUrl) -> None:
        assert parse_redis_url(url) == means

    @pytest.mark.parametrize(("url", "mend"), REFUSED)
    def test_that_is_wrong_says_what_to_write_and_repeats_no_password(self, url: str, mend: str) -> None:
        with pytest.raises(ValueError, match=re.escape(mend)) as refused:
            parse_redis_url(url)

        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize(
        "form", ["redis://:{}@h", "redis+cluster://:{}@h", "redis+sentinel://:{0}@h/m?sentinel_password={0}"]
    )
    def test_shows_no_password(self, form: str) -> None:
        assert "hunter2" not in repr(parse_redis_url(form.format("hunter2")))


class TestAClient:
    """What redis-py would repeat by itself might be counted twice."""

    def test_of_sentinels_asks_once_and_logs_in_to_each_with_its_own_password(self) -> None:
        client = connect("rediss+sentinel://u:p@h1:1,h2/m/3?sentinel_password=s")
        master, sentinels = client.connection_pool, client.connection_pool.sentinel_manager.sentinels
        to_master = master.connection_kwargs
        to_sentinel = sentinels[0].connection_pool.connection_kwargs

        assert [one.connection_pool.connection_kwargs["host"] for one in sentinels] == ["h1", "h2"]
        assert (to_master["username"], to_master["password"], to_master["db"]) == ("u", "p", 3)
        assert (to_sentinel["username"], to_sentinel["password"]) == (None, "s")
        for options in (to_master, to_sentinel):
            assert options["retry"].get_retries() == 0
            assert options["protocol"] == 2
        assert "SSL" in master.connection_class.__name__
        assert "SSL" in sentinels[0].connection_pool.connection_class.__name__

    def test_of_sentinels_for_a_worker_waits_for_its_blocking_reads(self) -> None:
        pool = connect_async("redis+sentinel://h1/m", block_seconds=5.0).connection_pool

        assert pool.connection_kwargs["socket_timeout"] > 5.0
        assert pool.connection_kwargs["retry"].get_retries() == 0
        assert pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs["socket_timeout"] < 5.0

    def test_of_a_cluster_for_a_worker_asks_once_and_knows_its_first_nodes(self) -> None:
        client: AsyncCluster = connect_async("rediss+cluster://u:p@h1,h2:7000", block_seconds=5.0)
        assert client.first == (("h1", 6379), ("h2", 7000))
        pool = client.at(client.first[1]).client.connection_pool

        options = pool.connection_kwargs
        assert (options["host"], options["port"]) == client.first[1]
        assert options["retry"].get_retries() == 0
        assert options["socket_timeout"] > 5.0
        assert (options["username"], options["password"]) == ("u", "p")
        assert "SSL" in pool.connection_class.__name__
