"""What one verification asks of Redis and keeps there: few commands, and only encodings that take few bytes."""

from __future__ import annotations

from otp_service.store.tries import named
from tests.world import World

MOST_COMMANDS = {"start": 24, "check": 19}
"""What is asked before the script included. One more is a microsecond more, of each request, on Redis's one core."""
NUMBERS = ("+8613800138000", "+8613900139000")
SMALL = {b"listpack", b"ziplist", b"quicklist", b"embstr", b"raw", b"int"}
"""Redis 6.2 calls a listpack a ziplist, and has lists in quicklists."""


def commands(world: World) -> int:
    """How many were run since somebody last reset that, but for the scripts themselves."""
    stats = world.server.client.info("commandstats")
    beside = {"evalsha", "eval", "info", "config|resetstat", "config"}
    return sum(one["calls"] for name, one in stats.items() if name.removeprefix("cmdstat_") not in beside)


def test_a_start_and_a_check_are_few_commands(real_world: World) -> None:
    """Once scripts are known and how channels stand was asked."""
    redis, asked = real_world.server.client, {}
    for number in NUMBERS:
        redis.config_resetstat()
        seen = real_world.start(number).verification
        asked["start"] = commands(real_world)
        code = real_world.code_of(seen.id)
        redis.config_resetstat()
        assert real_world.check(seen.id, code).token
        asked["check"] = commands(real_world)
    assert all(asked[name] <= most for name, most in MOST_COMMANDS.items()), asked


def test_what_a_verification_leaves_is_kept_in_small_encodings(real_world: World) -> None:
    """A hash with a value above 64 bytes takes three times as many."""
    redis = real_world.server.client
    seen = real_world.start(session="s", device="d", client_ip="203.0.113.7").verification
    real_world.deliver()
    real_world.check(seen.id, real_world.code_of(seen.id), session="s", device="d")
    kept = {key: redis.object("encoding", key) for key in redis.scan_iter() if redis.type(key) != b"stream"}
    assert len(kept) > 5
    assert set(kept.values()) <= SMALL, kept


def test_a_try_is_kept_as_its_values_and_told_by_name() -> None:
    kept = b'[1,"primary","1800000000000","","accepted","","","77",12]'
    assert named(kept) == {
        "send": 1,
        "channel": "primary",
        "at": "1800000000000",
        "outcome": "accepted",
        "gateway_id": "77",
        "took_ms": 12,
    }
