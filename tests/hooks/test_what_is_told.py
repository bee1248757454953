"""Events reach those who want them, whole, signed, and without what nobody may read."""

from __future__ import annotations

import asyncio
import itertools
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from standardwebhooks import Webhook as Reference
from standardwebhooks import WebhookVerificationError

from otp_service.events import OF_THE_INSTALLATION, OF_VERIFICATIONS, TYPES
from otp_service.ports import HookAnswer
from otp_service.store import RedisEventLog
from tests.hooks.hook_world import MASK, SECRET, START, HookWorld, new_secret, reference_clock
from tests.world import KEYS, NUMBER, Server


def emit(world: HookWorld, type: str, **data: str | float) -> None:
    async def run() -> None:
        client = world.server.make_async()
        await RedisEventLog(client).emit(type, data)
        await client.aclose()

    asyncio.run(run())


# What is in it


@pytest.mark.parametrize("type", OF_VERIFICATIONS)
def test_an_event_of_a_verification_says_what_happened_to_whom(server: Server, type: str) -> None:
    world = HookWorld(server)
    id = world.happen(type, send=2, channel="backup", reason="number")
    world.turn()
    [got] = world.receiver.got
    assert got.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"evt_[0-9a-f]{32}", got.id)
    assert got.document == {
        "type": type,
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {
            "verification_id": id,
            "client": "shop",
            "purpose": "login",
            "to": MASK,
            "send": 2,
            "channel": "backup",
            "reason": "number",
        },
    }


def test_what_is_not_known_of_an_event_is_null(server: Server) -> None:
    world = HookWorld(server)
    world.happen("verification.expired", send="", channel="", reason="")
    world.turn()
    data = world.receiver.got[0].document["data"]
    assert [data[key] for key in ("send", "channel", "reason")] == [None, None, None]


@pytest.mark.parametrize("type", OF_THE_INSTALLATION)
def test_an_event_of_the_installation_says_what_it_was_given(server: Server, type: str) -> None:
    world = HookWorld(server)
    emit(world, type, channel="primary", balance=12.5)
    world.turn()
    document = world.receiver.got[0].document
    assert (document["type"], document["data"]) == (type, {"channel": "primary", "balance": 12.5})
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["timestamp"])


def test_no_mask_is_in_clear_before_it_is_sent_and_no_number_ever(server: Server) -> None:
    """Not in a stream, not in a queue: the mask, which a body shows, is sealed until then."""
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(500)]
    world.happen("delivery.failed", reason="number")
    held = dump(server)
    world.turn()
    [got] = world.receiver.got
    held += dump(server)
    assert b"delivery.failed" in held
    for text in (MASK, NUMBER, NUMBER[1:], NUMBER[3:]):
        assert text.encode() not in held
    assert NUMBER[3:].encode() not in got.body


def test_a_word_that_is_none_of_ours_is_not_passed_on(server: Server) -> None:
    """Gateways repeat numbers and codes in what they say: names of channels and reasons are told, and nothing else."""
    world = HookWorld(server)
    world.happen("delivery.failed", reason="13800138000: code 123456", channel="+8613800138000")
    world.turn()
    [got] = world.receiver.got
    assert (got.document["data"]["reason"], got.document["data"]["channel"]) == (None, None)


def dump(server: Server) -> bytes:
    """Every value of every key."""
    client, held = server.client, b""
    for key in client.keys("*"):
        read = {
            b"stream": lambda key: client.xrange(key),
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"hash": lambda key: client.hgetall(key),
            b"string": lambda key: client.get(key),
        }[client.type(key)]
        held += key + repr(read(key)).encode()
    return held


def test_a_mask_that_no_key_opens_any_more_is_null_and_the_event_is_told(server: Server) -> None:
    world = HookWorld(server)
    world.happen(kid="retired")
    world.turn()
    assert world.receiver.got[0].document["data"]["to"] is None


# Who is told


def test_each_webhook_is_told_what_it_wants(server: Server) -> None:
    world = HookWorld(
        server,
        everything={},
        shop={"client": "shop"},
        bank={"client": "bank"},
        deliveries={"events": ("delivery.*",)},
        ends={"events": ("verification.approved", "verification.expired"), "client": "shop"},
        channels={"events": ("channel.*", "balance.low")},
    )
    for n, (client, type) in enumerate(itertools.product(("shop", "bank"), OF_VERIFICATIONS)):
        world.happen(type, n=n, client=client)
    for type in OF_THE_INSTALLATION:
        emit(world, type)
    world.turn()
    told = {name: [got.document["type"] for got in one.got] for name, one in world.receivers.items()}
    assert sorted(told["everything"]) == sorted(OF_VERIFICATIONS * 2 + OF_THE_INSTALLATION)
    assert sorted(told["shop"]) == sorted(told["bank"]) == sorted(OF_VERIFICATIONS)
    assert sorted(set(told["deliveries"])) == [type for type in sorted(TYPES) if type.startswith("delivery.")]
    assert sorted(told["ends"]) == ["verification.approved", "verification.expired"]
    assert sorted(told["channels"]) == sorted(OF_THE_INSTALLATION)
    for client in ("shop", "bank"):
        assert {got.document["data"]["client"] for got in world.receivers[client].got} == {client}


def test_all_webhooks_know_an_event_by_one_id_and_each_event_has_its_own(server: Server) -> None:
    world = HookWorld(server, first={}, second={})
    for n in range(40):
        world.happen(n=n)
    emit(world, "channel.opened")
    world.turn()
    first, second = ({got.id for got in one.got} for one in world.receivers.values())
    assert first == second
    assert len(first) == 41


def test_what_nobody_wants_and_what_is_no_event_does_not_stay(server: Server) -> None:
    world = HookWorld(server, bank={"client": "bank"})
    world.happen()
    world.happen("delivery.teleported")
    world.server.client.xadd(KEYS.events(0), {"type": "delivery.failed"})
    world.server.client.xadd(KEYS.events(0), {"type": "delivery.failed", "id": b"\xff", "at": "soon"})
    world.server.client.xadd("otp:events", {"type": "balance.low", "data": "{"})
    world.turn()
    assert world.receiver.got == []
    assert world.logged() == 0


# Signatures (T64)


def test_the_reference_library_takes_what_is_sent(server: Server) -> None:
    """T64."""
    world = HookWorld(server)
    world.happen()
    world.turn()
    [got] = world.receiver.got
    assert got.verified(SECRET) == got.document
    assert int(got.headers["webhook-timestamp"]) == START // 1000


def test_while_secrets_rotate_each_of_them_reads_it(server: Server) -> None:
    """T64."""
    world = HookWorld(server, shop={"secrets": (new_secret("new"), new_secret("old"))})
    world.happen()
    world.turn()
    [got] = world.receiver.got
    assert got.verified(new_secret("new")) == got.verified(new_secret("old")) == got.document
    with pytest.raises(WebhookVerificationError):
        got.verified(new_secret("another's"))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "evt_00000000000000000000000000000000"),
        ("webhook-timestamp", str(START // 1000 + 1)),
        ("webhook-signature", f"v1,{'A' * 43}="),
    ],
)
def test_an_altered_header_is_found_out(server: Server, header: str, value: str) -> None:
    """T64."""
    world = HookWorld(server)
    world.happen()
    world.turn()
    [got] = world.receiver.got
    with pytest.raises(WebhookVerificationError):
        type(got)(got.body, {**got.headers, header: value}).verified(SECRET)


def test_an_altered_body_is_found_out(server: Server) -> None:
    """T64."""
    world = HookWorld(server)
    world.happen("delivery.failed")
    world.turn()
    [got] = world.receiver.got
    with pytest.raises(WebhookVerificationError):
        type(got)(got.body.replace(b"failed", b"accepted"), got.headers).verified(SECRET)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_early_copy_is_found_out(server: Server, minutes: int) -> None:
    """T64."""
    world = HookWorld(server)
    world.happen()
    world.turn()
    [got] = world.receiver.got
    with reference_clock(START / 1000 + minutes * 60), pytest.raises(WebhookVerificationError, match=r"too (old|new)"):
        Reference(SECRET).verify(got.body, dict(got.headers))


def test_a_later_attempt_is_signed_for_its_own_moment(server: Server) -> None:
    """A receiver that was down for an hour would refuse the first attempt's timestamp."""
    world = HookWorld(server)
    world.receiver.answers = [HookAnswer(500), HookAnswer(200)]
    world.happen()
    world.turn()
    world.move_clock(3600)
    world.turn()
    first, second = world.receiver.got
    assert first.id == second.id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) == START // 1000 + 3600
    assert second.verified(SECRET)


def test_the_check_of_the_documentation_takes_what_is_sent_and_nothing_else(server: Server) -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    scope: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], scope)
    world = HookWorld(server, shop={"secrets": (new_secret("new"), SECRET)})
    world.happen()
    world.turn()
    [got] = world.receiver.got
    headers = {name.lower(): value for name, value in got.headers.items()}
    with mock.patch("time.time", return_value=START / 1000 + 299):
        assert scope["is_genuine"](SECRET, headers, got.body)
        assert not scope["is_genuine"](new_secret("another's"), headers, got.body)
        assert not scope["is_genuine"](SECRET, headers, got.body + b" ")
    with mock.patch("time.time", return_value=START / 1000 + 301):
        assert not scope["is_genuine"](SECRET, headers, got.body)


def test_the_documentation_names_every_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    assert all(f"`{type}`" in page for type in TYPES)
