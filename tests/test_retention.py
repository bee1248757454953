"""How long things are remembered, where `[retention]` says so."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import pytest

from otp_service.ports import Begun, Candidate
from otp_service.retention import LONGEST, SHORTEST, Retention
from otp_service.store import RedisOutbox, RedisStore, Trips, retaining
from otp_service.store.scripts import SCRIPTS
from otp_service.verifier import CheckRequest, Idempotency, StartRequest, Verifier
from tests.test_config import read, refusal
from tests.world import NUMBER, SHOP, Server, World

HOUR = 3_600_000
LONG = Retention(tombstone=5 * HOUR, tries=9 * HOUR, approved=48 * HOUR)


def test_the_defaults_are_what_the_contract_promises() -> None:
    kept = read().retention.domain()
    assert (kept.tombstone, kept.tries, kept.approved, kept.audit) == (
        2 * HOUR,
        72 * HOUR,
        90 * 24 * HOUR,
        400 * 24 * HOUR,
    )
    assert kept == Retention()
    assert {name: script.text for name, script in retaining(kept).items()} == {
        name: script.text for name, script in SCRIPTS.items()
    }


def test_every_default_lies_in_the_range_that_is_allowed() -> None:
    for field in fields(Retention):
        name = field.name
        assert getattr(SHORTEST, name) <= getattr(Retention(), name) <= getattr(LONGEST, name)


def test_spans_are_written_in_hours_or_days() -> None:
    kept = read(retention={"tombstone": "1d", "tries": "7d", "approved": "24h", "audit": "3650d"}).retention.domain()
    assert kept == Retention(24 * HOUR, 168 * HOUR, 24 * HOUR, 3650 * 24 * HOUR)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tombstone", "1h", 'retention.tombstone: too small; write "2h" to "24h"'),
        ("tombstone", "25h", "retention.tombstone: too large"),
        ("tries", "1h", 'retention.tries: too small; write "2h" to "7d"'),
        ("approved", "91d", 'retention.approved: too large; write "24h" to "90d"'),
        ("audit", "29d", 'retention.audit: too small; write "30d" to "3650d"'),
        ("audit", 400, "retention.audit: not a time in hours or days; write"),
        ("audit", "400", "retention.audit: not a time in hours or days; write"),
        ("audits", "400d", 'did you mean "audit"?'),
    ],
)
def test_what_can_not_be_is_refused_with_the_key_and_the_range(key: str, value: object, said: str) -> None:
    assert said in refusal(retention={key: value})


def test_an_ended_verification_is_remembered_as_long_as_is_set(world: World) -> None:
    """And so are the scope and the list by which support finds it; an Idempotency-Key keeps its two hours."""
    client = world.server.client
    verifier = Verifier(RedisStore(client, scripts=retaining(LONG)), world.keyring, world.rules)
    id = verifier.start(SHOP, StartRequest(NUMBER, "login", session="s"), Idempotency("k", "/", b"")).verification.id
    verifier.cancel(SHOP, id)
    for kind in ("v", "l", "s"):
        [key] = client.keys(f"*:{kind}:*")
        assert 4 * HOUR < client.pttl(key) <= 5 * HOUR + 300_000
    [claim] = client.keys("*:i:*")
    assert client.pttl(claim) <= 2 * HOUR


def test_tries_and_what_finds_them_are_kept_as_long_as_is_set(server: Server) -> None:
    """A late report whose name is forgotten is an orphan; so both live equally long."""
    world = World(server)
    world.start()

    async def work() -> None:
        client = server.make_async()
        outbox = RedisOutbox(client, "w1", world.keyring, trips=Trips(client, retaining(LONG)), tries_ms=LONG.tries)
        await outbox.open()
        [entry] = await outbox.read(1, 100)
        begun = await outbox.take(entry, "fence", [Candidate("primary", "", False)], "failover")
        assert isinstance(begun, Begun)
        await outbox.expect_report("name", entry, begun)
        await outbox.aclose()

    asyncio.run(work())
    [tries] = server.client.keys("*:t:*")
    for key in (tries, b"otp:g:name"):
        assert 8 * HOUR < server.client.pttl(key) <= 9 * HOUR


def test_an_approval_speaks_for_its_recipient_and_device_as_long_as_is_set(world: World) -> None:
    client = world.server.client
    verifier = Verifier(RedisStore(client, scripts=retaining(LONG)), world.keyring, world.rules)
    id = verifier.start(SHOP, StartRequest(NUMBER, "login")).verification.id
    verifier.check(SHOP, id, CheckRequest(world.code_of(id), device="d"))
    for kind in ("ok", "d"):
        [key] = client.keys(f"*:{kind}:*")
        assert 47 * HOUR < client.pttl(key) <= 48 * HOUR
