"""`python -m tests.rolling.stored_state`: write down what this version leaves in Redis, for later ones to go on with.

tests/data/stored_state.json holds every key that outlives a deploy as commands would make it: a name, a type, fields or
members, milliseconds to live. Bytes stand there as latin-1. Until 1.0 a change of the layout may write the file anew;
from then on it stays as it is, and a new version that can't work on it needs a way over.

Which tag a partition has is no part of it: in the file the partition's number stands in its place.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from otp_service.audit import Act
from otp_service.errors import CodeMismatch
from otp_service.keyring import PARTITIONS
from otp_service.policy import Limits, Spend, Window
from otp_service.ports import HookAnswer, Outcome, Reason, TryResult
from otp_service.recipient import parse
from otp_service.store import RedisAudit, RedisRevocations, connect, connect_async
from otp_service.store.keys import Keys
from otp_service.verifier import Idempotency, TokenRequest
from tests.cli.processes import valkey
from tests.faults.hands import Hands, by_hand
from tests.hooks.hook_world import OK, START, HookWorld
from tests.world import ACCEPTED, MOVABLE, SHOP, Server, World

FILE = Path(__file__).parents[1] / "data/stored_state.json"
NUMBERS = {
    name: f"+86138{n}0138000"
    for n, name in enumerate(
        ("sent", "approved", "used", "canceled", "exhausted", "suppressed", "left", "waiting", "put_off")
    )
}
BOUND = {"session": "s", "device": "d"}
METADATA = {"order": "7"}
PAUSED = "GB"
REVOKED = "abcdefgh"
SENT, CHECKED = Idempotency("start", "/start", b"a"), Idempotency("check", "/check", b"b")


def world_of(server: Server) -> World:
    """As the state was made, and as it is worked on."""
    world = World(server, Limits(client_ip=(Window(100, 3600),)), cooldown=(60,))
    world.reporting = {"primary"}
    return world.with_rules(
        listened=frozenset({"*"}),
        spend=Spend({"*": 1}, installation=1000),
        channels=tuple(replace(rule, recipient_windows=(Window(5, 3600),)) for rule in world.rules.channels),
    )


def make(server: Server) -> dict[str, Any]:
    """The state, on an empty server, and what a test has to know of it."""
    hooks, world = HookWorld(server), world_of(server)
    ids = {
        name: world.start(NUMBERS[name], idempotency=SENT if name == "sent" else None, **asked(name)).verification.id
        for name in ("sent", "approved", "used", "canceled", "exhausted")
    }
    world.gateways[0].answers = [replace(ACCEPTED, gateway_id=f"7{n}") for n in range(len(ids))]
    world.deliver()
    for name, wrong in (("sent", 1), ("exhausted", 5)):
        for _ in range(wrong):
            _mistype(world, ids[name], name)
    tokens, code = {}, world.code_of(ids["approved"])
    for name in ("approved", "used"):
        key = CHECKED if name == "approved" else None
        tokens[name] = world.check(ids[name], world.code_of(ids[name]), idempotency=key, **BOUND).token
    world.verifier.verify_token(SHOP, TokenRequest(tokens["used"], "login", NUMBERS["used"], session="s", consume=True))
    world.verifier.cancel(SHOP, ids["canceled"])
    number, keyring = NUMBERS["suppressed"], world.keyring
    world.store.suppress(keyring.partition(parse(number, "").prefix), keyring.owner("shop", keyring.recipient(number)))
    world.operations.pause_sends(PAUSED, 86_400_000, "ann@host")
    RedisRevocations(server.client, scripts=MOVABLE).revoke(REVOKED, "ann@host")
    RedisAudit(server.client, world.keyring, scripts=MOVABLE).record_act(Act("ann@host", "sends.pause", PAUSED))
    hooks.receiver.answers = [OK, HookAnswer(500)]
    hooks.turn()
    ids["put_off"] = world.start(NUMBERS["put_off"]).verification.id
    for gateway in world.gateways:
        gateway.answers = [TryResult(Outcome.RETRYABLE, Reason.NETWORK)]
    world.deliver()
    # One that a worker had begun to read as it died, and one that nobody has read.
    ids["left"] = world.start(NUMBERS["left"]).verification.id

    @by_hand(world, "gone")
    async def _(gone: Hands) -> None:
        assert len(await gone.read()) == 1

    ids["waiting"] = world.start(NUMBERS["waiting"]).verification.id
    return {"now": START, "ids": ids, "tokens": tokens, "code": code, "keys": dump(server.client)}


def asked(name: str) -> dict[str, Any]:
    """What the start of that name was given beside its number."""
    return {"metadata": METADATA, "client_ip": "192.0.2.1", **BOUND} if name != "canceled" else {}


def _mistype(world: World, id: str, name: str) -> None:
    try:
        world.check(id, world.wrong_code(id), **BOUND)
    except CodeMismatch:
        return
    raise AssertionError(name)


# --- to and from JSON -------------------------------------------------------------------------------------------------


def dump(client: redis.Redis) -> list[dict[str, Any]]:
    names = {_tag(n): f"<{n}>" for n in range(PARTITIONS)}
    kept = []
    for key in sorted(client.keys("otp:*")):
        type = client.type(key).decode()
        name = re.sub(r"\{.*?\}", lambda tag: names.get(tag[0], tag[0]), key.decode(), count=1)
        kept.append({"key": name, "type": type, "life": client.pttl(key), "holds": _READ[type](client, key)})
    return kept


def load(client: redis.Redis, keys: Iterable[dict[str, Any]]) -> None:
    for one in keys:
        key = name_of(one)
        _WRITE[one["type"]](client, key, one["holds"])
        if one["life"] >= 0:
            client.pexpire(key, one["life"])


def name_of(one: dict[str, Any]) -> str:
    """The key that this version has for one of the file."""
    return re.sub(r"<(\d+)>", lambda found: _tag(int(found[1])), one["key"], count=1)


def _tag(partition: int) -> str:
    [tag] = re.findall(r"\{.*?\}", Keys("otp").outbox(partition))
    return str(tag)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")


def _pairs(found: dict[bytes, bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in sorted(found.items())}


def _mapping(holds: dict[str, str]) -> dict[Any, Any]:
    return {_bytes(name): _bytes(value) for name, value in holds.items()}


def _read_stream(client: redis.Redis, key: bytes) -> dict[str, Any]:
    groups = {}
    for group in client.xinfo_groups(key):
        pending = client.xpending_range(key, group["name"], "-", "+", 1000)
        groups[_text(group["name"])] = {
            "last": _text(group["last-delivered-id"]),
            "pending": [[_text(one["message_id"]), _text(one["consumer"]), one["times_delivered"]] for one in pending],
        }
    entries = [[_text(id), _pairs(fields)] for id, fields in client.xrange(key)]
    return {"entries": entries, "groups": groups}


def _write_stream(client: redis.Redis, key: str, holds: dict[str, Any]) -> None:
    for id, fields in holds["entries"]:
        client.xadd(key, _mapping(fields), id=id)
    for name, group in holds["groups"].items():
        client.xgroup_create(key, name, id=group["last"], mkstream=True)
        for id, consumer, times in group["pending"]:
            client.xclaim(key, name, consumer, 0, [id], idle=0, retrycount=times, force=True, justid=True)


_READ: dict[str, Any] = {
    "string": lambda client, key: _text(client.get(key)),
    "hash": lambda client, key: _pairs(client.hgetall(key)),
    "list": lambda client, key: [_text(one) for one in client.lrange(key, 0, -1)],
    "zset": lambda client, key: [[_text(one), score] for one, score in client.zrange(key, 0, -1, withscores=True)],
    "stream": _read_stream,
}
_WRITE: dict[str, Any] = {
    "string": lambda client, key, holds: client.set(key, _bytes(holds)),
    "hash": lambda client, key, holds: client.hset(key, mapping=_mapping(holds)),
    "list": lambda client, key, holds: client.rpush(key, *map(_bytes, holds)),
    "zset": lambda client, key, holds: client.zadd(key, {_bytes(one): score for one, score in holds}),
    "stream": _write_stream,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, valkey(Path(folder)) as url:
        client = connect(url)
        state = make(Server(client, lambda: connect_async(url, 1.0), url))
        client.close()
    keys = ",\n".join(json.dumps(one, sort_keys=True) for one in state.pop("keys"))
    head = json.dumps(state, indent=1).removesuffix("\n}")
    FILE.write_text(f'{head},\n "keys": [\n{keys}\n]\n}}\n', "utf-8")


if __name__ == "__main__":
    main()
