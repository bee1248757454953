"""What lies in Redis: every key is listed, has a time to live or a bound, and is touched by name only."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from otp_service.calls import Asking
from otp_service.keyring import PARTITIONS
from otp_service.policy import Limits, Spend, Window
from otp_service.ports import Reason
from otp_service.store import keys as keys_module
from otp_service.store.keys import TAGS, Keys
from otp_service.store.scripts import SCRIPTS
from otp_service.verifier import Idempotency, ResendRequest, TokenRequest
from tests.world import BANK, NUMBER, SHOP, Server, World, refused

PATTERNS = {
    "record": r"otp:\{\w{3}\}:v:ver_[0-9A-Za-z]{34}",
    "tries": r"otp:\{\w{3}\}:t:ver_[0-9A-Za-z]{34}",
    "scope": r"otp:\{\w{3}\}:s:[\w-]{16}",
    "recipient": r"otp:\{\w{3}\}:r:[0-9a-f]{16}",
    "prefix": r"otp:\{\w{3}\}:p:[0-9a-f]{10}",
    "approved": r"otp:\{\w{3}\}:ok:[0-9a-f]{16}",
    "failures": r"otp:\{\w{3}\}:f:[0-9a-f]{16}",
    "device_failures": r"otp:\{\w{3}\}:f:[0-9a-f]{16}:[\w-]{16}",
    "failed": r"otp:\{\w{3}\}:n:[0-9a-f]{16}",
    "devices": r"otp:\{\w{3}\}:d:[0-9a-f]{16}",
    "outbox": r"otp:\{\w{3}\}:outbox",
    "due": r"otp:\{\w{3}\}:due",
    "recipient_at": r"otp:\{\w{3}\}:rc:[a-z][a-z0-9_-]*:[0-9a-f]{16}",
    "recent": r"otp:\{\w{3}\}:l:[0-9a-f]{16}",
    "suppressed": r"otp:\{\w{3}\}:x:[0-9a-f]{16}",
    "guarded_prefix": r"otp:\{\w{3}\}:pg:[0-9a-f]{10}",
    "guarded": r"otp:\{\w{3}\}:guarded",
    "guarded_country": r"otp:\{guard\}:c:[A-Z]{2}",
    "guard_control": r"otp:\{guard\}:control",
    "guard_held": r"otp:\{guard\}:held",
    "waiting": r"otp:\{\w{3}\}:w:ver_[0-9A-Za-z]{34}",
    "later": r"otp:\{\w{3}\}:later",
    "dead": r"otp:\{\w{3}\}:dead",
    "events": r"otp:\{\w{3}\}:events",
    "installation_events": r"otp:events",
    "hooks_due": r"otp:\{h:[\w-]+\}:due",
    "hooks": r"otp:\{h:[\w-]+\}:hooks",
    "hooks_done": r"otp:\{h:[\w-]+\}:done",
    "hooks_gone": r"otp:\{h:[\w-]+\}:gone:[0-9a-f]{32}",
    "expected_report": r"otp:g:[\w-]{16}",
    "channel": r"otp:c:\{[a-z][a-z0-9_-]*\}",
    "figures": r"otp:cf:\{[a-z][a-z0-9_-]*\}:\d+",
    "pauses": r"otp:pauses",
    "revoked": r"otp:revoked",
    "reports": r"otp:\{reports\}:heard",
    "orphans": r"otp:\{reports\}:orphans",
    "lease": r"otp:lease:[a-z:_-]+",
    "workers": r"otp:workers",
    "worker": r"otp:worker:[\w.-]+",
    "claim": r"otp:i:[\w-]{16}",
    "captcha": r"otp:cap:[\w-]{16}",
    "bucket": r"otp:b:[a-z_]+:[\w-]+",
    "spent": r"otp:\{m:[a-z_]+:[\w-]+\}:spent",
    "spent_by": r"otp:\{m:[a-z_]+:[\w-]+\}:by:[\w=-]{16}",
    "brake": r"otp:brake:[a-z][a-z0-9_-]*",
    "audit": r"otp:audit",
}
WITHOUT_TTL = {"outbox", "later", "due", "dead", "events", "installation_events", "channel", "pauses"} | {
    "revoked",
    "reports",
    "orphans",
    "workers",
}
"""Bounded instead: by `outbox_max`, by one member a record or a channel, or by a count of their own."""
RARE = {"due", "later", "dead", "pauses", "revoked", "workers", "worker", "audit"}
"""Not always there after a day's flow."""
OF_THE_GUARD = {"guarded", "guarded_country", "guard_control", "guard_held"}
"""Made by a second look, and by what looks pumped: tests/test_guard.py shows them."""
OF_EVENTS = {kind for kind in PATTERNS if kind.startswith("hooks")} | {"installation_events"}
"""Made where somebody listens only: tests/hooks shows them."""
OF_REPORTS = {"reports", "orphans", "lease"}
"""Made where gateways report only: tests/reports shows them."""


OF_CHALLENGES = {"captcha"}
"""Made where a start needs a CAPTCHA only: tests/test_challenge.py shows it."""


def kind_of(key: bytes) -> str:
    [kind] = [kind for kind, pattern in PATTERNS.items() if re.fullmatch(pattern, key.decode())] or [
        f"unlisted: {key!r}"
    ]
    return kind


def ours(world: World) -> list[bytes]:
    return [key for key in world.server.client.keys("*") if not key.startswith(b"test:")]


def live(world: World) -> None:
    """A flow that makes every kind of key: sends, wrong codes, ends of each kind, tokens, refusals."""
    world.gateways[0].answers = [refused(Reason.ACCOUNT)]
    address = {"client_ip": "192.0.2.1", "device": "d"}
    first = world.start(
        session="s", metadata={"a": "b"}, idempotency=Idempotency("k", "/", b""), **address
    ).verification.id
    second = world.start(purpose="signup", client=BANK, context={"a": "b"}, **address).verification.id
    third = world.start("+8613912345678", **address).verification.id
    silent = world.start("+8613912345679", deliver=False, asking=Asking(wait=0.001), **address).verification.id
    world.store.suppress(0, "0123456789abcdef")
    world.start("+8613700137000", **address)
    for _ in range(5):
        with pytest.raises(Exception, match="wrong"):
            world.check(third, world.code_of(third), purpose="signup", idempotency=None)
    world.deliver()
    world.move_clock(61)
    world.verifier.resend(SHOP, silent, ResendRequest())
    approved = {"session": "s", "device": "d", "idempotency": Idempotency("c", "/", b"")}
    token = world.check(first, world.code_of(first), **approved).token
    again = world.start(purpose="password_reset", device="d").verification.id
    with pytest.raises(Exception, match="wrong"):
        world.check(again, world.wrong_code(again), device="d")
    world.verifier.verify_token(SHOP, TokenRequest(token, "login", NUMBER, session="s", consume=True))
    world.verifier.cancel(BANK, second)


def test_every_key_is_of_a_listed_kind_and_has_a_ttl_or_a_bound(server: Server) -> None:
    """Invariant 5."""
    world = World(server, Limits(client_ip=(Window(100, 3600),)), resend="rotate")
    windows = (Window(5, 3600),)
    world.with_rules(
        channels=tuple(replace(rule, recipient_windows=windows) for rule in world.rules.channels),
        listened=frozenset({"*"}),
        spend=Spend({"*": 1}, installation=1000),
    )
    world.reporting = {"backup"}
    live(world)
    seen: dict[str, list[int]] = {}
    for key in ours(world):
        seen.setdefault(kind_of(key), []).append(server.client.pttl(key))
    assert set(seen) >= set(PATTERNS) - RARE - OF_THE_GUARD - OF_EVENTS - OF_REPORTS - OF_CHALLENGES
    assert not {kind for kind in seen if kind not in PATTERNS}
    assert {kind for kind, lives in seen.items() if -1 in lives} <= WITHOUT_TTL
    longest = {"record": 7500, "scope": 7500, "tries": 72 * 3600, "recipient": 86400, "failures": 86400, "claim": 7200}
    for kind, seconds in longest.items():
        assert max(seen[kind]) <= seconds * 1000, kind


def test_keys_are_the_same_for_every_kind_in_the_table_of_the_module() -> None:
    """The list in `keys.py` is what a person reads: it names each kind, and says which have no TTL."""
    table = keys_module.__doc__ or ""
    keys = Keys("otp")
    made = [keys.record(0, "I"), keys.tries(0, "I"), keys.scope(0, "I"), keys.recipient(0, "I"), keys.failures(0, "I")]
    for key in made:
        assert f":{key.split(':')[2]}:<" in table
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    assert len(rows) == len(PATTERNS)
    assert [row.split("`")[1].rsplit(":", 1)[-1] for row in rows if "none" in row] == [
        "outbox",
        "later",
        "due",
        "dead",
        "events",
        "events",
        "{<channel>}",
        "pauses",
        "revoked",
        "heard",
        "orphans",
        "workers",
    ]


def test_what_changes_together_lies_in_one_slot() -> None:
    keys = Keys("team")
    for n in range(PARTITIONS):
        made = [
            keys.record(n, "x"),
            keys.tries(n, "x"),
            keys.scope(n, "x"),
            keys.recipient(n, "x"),
            keys.failures(n, "x"),
            keys.outbox(n),
            keys.due(n),
            keys.events(n),
        ]
        assert {re.findall(r"\{(.*?)\}", key)[0] for key in made} == {TAGS[n]}
        assert all(key.startswith("team:") for key in made)
    of_a_webhook = [keys.hooks_due("x"), keys.hooks("x"), keys.hooks_done("x"), keys.hooks_gone("x", "0" * 32)]
    assert {re.findall(r"\{(.*?)\}", key)[0] for key in of_a_webhook} == {"h:x"}
    of_a_channel = [keys.channel("x"), keys.figures("x", 1)]
    assert {re.findall(r"\{(.*?)\}", key)[0] for key in of_a_channel} == {"x"}
    assert len({keys.outbox(n) for n in range(PARTITIONS)}) == PARTITIONS


@pytest.mark.parametrize("masters", range(1, 33))
def test_masters_that_have_equal_shares_of_the_slots_have_equal_numbers_of_partitions(masters: int) -> None:
    slots = [key_slot(Keys("any").outbox(n).encode()) for n in range(PARTITIONS)]
    assert slots == [512 * n + 256 for n in range(PARTITIONS)]
    begins = [SLOTS * n // masters for n in range(masters + 1)]
    shares = [sum(first <= slot < end for slot in slots) for first, end in itertools.pairwise(begins)]
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("steer", ["}{", "*", "{00}", "\x00", "a:b", "é" * 50, "x" * 1000, "\r\nFLUSHALL\r\n"])
def test_nothing_that_a_caller_says_reaches_the_name_of_a_key(world: World, steer: str) -> None:
    """T52: names are keyed hashes; neither a slot nor a pattern can be chosen."""
    world.start(
        session=steer,
        context={steer: steer},
        metadata={steer: steer},
        device=steer,
        idempotency=Idempotency(steer, steer, b""),
    )
    assert {kind_of(key) for key in ours(world)} <= set(PATTERNS)


def test_the_outbox_and_the_due_moments_empty_themselves(world: World) -> None:
    """They have no TTL, so nothing may stay in them: after the last end both are empty, whatever the ends were."""
    ids = [world.start(session=str(n)).verification.id for n in range(4)]
    world.verifier.cancel(SHOP, ids[0])
    world.check(ids[1], world.code_of(ids[1]), session="1")
    world.deliver()
    world.move_clock(301)
    world.deliver()
    client = world.server.client
    assert sum(client.xlen(key) for key in client.keys("*:outbox")) == 0
    assert [key for key in client.keys("*:due") if client.zcard(key)] == []
    for key in client.keys("*:outbox"):
        [group] = client.xinfo_groups(key)
        assert group["pending"] == 0


def test_an_outbox_holds_no_more_than_its_bound(world: World) -> None:
    world.with_rules(outbox_max=3, limits=Limits(recipient=()))
    for n in range(3):
        world.start(session=str(n))
    with pytest.raises(Exception, match="waiting"):
        world.start(session="one more")


def test_what_is_put_off_counts_for_the_bound_of_its_outbox(world: World) -> None:
    world.with_rules(outbox_max=3, limits=Limits(recipient=()))
    world.start(session="0")
    world.operations.pause_sends("region:CN", 3_600_000, "a@b")
    world.deliver()
    for n in (1, 2):
        world.start(session=str(n))
    with pytest.raises(Exception, match="waiting"):
        world.start(session="one more")


def test_a_record_is_bounded_by_its_attempts_and_sends(world: World) -> None:
    """However often it is asked, it grows with what was counted only."""
    id = world.start().verification.id
    [record] = world.server.client.keys("*:v:*")
    size = world.server.client.hlen(record)
    for _ in range(30):
        for call in (world.start, lambda: world.check(id, "1"), lambda: world.check(id, "123456", session="x")):
            with pytest.raises(Exception, match=r"cooldown|digits|name"):
                call()
    assert world.server.client.hlen(record) == size


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_script_uses_no_command_that_managed_clusters_refuse(name: str) -> None:
    text = SCRIPTS[name].text
    assert not re.search(r"'(KEYS|SCAN|CONFIG|INFO|DEBUG|EVAL|SELECT|FLUSH\w*|RANDOMKEY|SCRIPT)'", text, re.IGNORECASE)
    assert "math.random" not in text
    assert text.count("redis.call('TIME')") == 1


def test_each_script_file_is_used() -> None:
    files = {path.stem for path in (Path(keys_module.__file__).parent / "lua").glob("*.lua")}
    preludes = {"common", "verifications", "nonces", "windows", "queue", "tries", "reports", "sends", "pumping"}
    preludes |= {"guard", "fence", "scopes"}
    assert files == set(SCRIPTS) | preludes
