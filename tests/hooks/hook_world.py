"""A small world of events: streams as the scripts fill them, receivers that say what a test wants, a clock."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import standardwebhooks.webhooks
from standardwebhooks import Webhook as Reference

from otp_service.events import Webhook
from otp_service.hooks import Dispatcher, Lane
from otp_service.ports import HookAnswer, HookFailed, HookState
from otp_service.recipient import parse
from otp_service.store import RedisEventLog, RedisHookQueue
from otp_service.store.keys import Keys
from tests.world import MOVABLE, NUMBER, Server, World

START = 1_800_000_000_000
"""Milliseconds: the moment at which a world's clock stands."""
OK = HookAnswer(200)
MASK = parse(NUMBER, "").mask


def new_secret(name: str = "a") -> str:
    drawn = hashlib.sha256(b"of a test: " + name.encode()).digest()
    return f"whsec_{base64.b64encode(drawn).decode()}"


SECRET = new_secret()
Answer = HookAnswer | HookFailed | Callable[[], Awaitable[HookAnswer]]


@dataclass(frozen=True)
class Got:
    """One request that came in."""

    body: bytes
    headers: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """As the reference library reads it, at the moment that the headers say."""
        with reference_clock(int(self.headers["webhook-timestamp"])):
            return Reference(secret).verify(self.body, dict(self.headers))


@contextmanager
def reference_clock(seconds: float) -> Iterator[None]:
    """The reference library asks the machine's clock."""
    frozen = mock.Mock(wraps=datetime.datetime)
    frozen.now.return_value = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    with mock.patch.object(standardwebhooks.webhooks, "datetime", frozen):
        yield


@dataclass
class FakeReceiver:
    """A receiver that answers what it is told to, the last thing again and again."""

    answers: list[Answer] = field(default_factory=lambda: [OK])
    got: list[Got] = field(default_factory=list)
    closed: bool = False

    async def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> HookAnswer:
        self.got.append(Got(body, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HookFailed):
            raise answer
        return answer if isinstance(answer, HookAnswer) else await answer()

    async def aclose(self) -> None:
        self.closed = True


class HookWorld:
    """Its clock stands still until it is moved."""

    def __init__(self, server: Server, **webhooks: Mapping[str, Any]) -> None:
        self.server = server
        self.most = 100
        self.chance = 0.5
        self._world = World(server)
        self.keyring = self._world.keyring
        server.client.set("test:now", START)
        self.webhooks = {name: _webhook(name, **changes) for name, changes in (webhooks or {"shop": {}}).items()}
        self.receivers = {name: FakeReceiver() for name in self.webhooks}

    @property
    def receiver(self) -> FakeReceiver:
        [only] = self.receivers.values()
        return only

    def move_clock(self, seconds: float) -> None:
        self._world.move_clock(seconds)

    def happen(self, type: str = "delivery.accepted", *, n: int = 0, client: str = "shop", **fields: Any) -> str:
        """Write an event as the scripts do. Returns the verification's id."""
        id = self.keyring.new_id(NUMBER, parse(NUMBER, "").prefix, n.to_bytes(12, "big"))
        entry: dict[Any, Any] = {
            "type": type,
            "id": id.text,
            "client": client,
            "purpose": "login",
            "kid": self.keyring.current,
            "mask": self.keyring.seal(self.keyring.current, id.text, "mask", MASK),
            "at": START,
            "send": 1,
            "channel": "primary",
            "reason": "",
            **fields,
        }
        self.server.client.xadd(Keys("otp").events(id.partition), entry)
        return id.text

    @asynccontextmanager
    async def dispatcher(self, **options: Any) -> Any:
        """One more member, with the lanes by their names."""
        client = self.server.make_async()
        queue = RedisHookQueue(client, most=self.most, scripts=MOVABLE)
        lanes = {
            name: Lane(webhook, queue, self.receivers[name], self.keyring, lambda: self.chance)
            for name, webhook in self.webhooks.items()
        }
        yield Dispatcher(RedisEventLog(client), queue, list(lanes.values()), **options), lanes
        await client.aclose()

    def turn(self) -> None:
        """One dispatcher queues what happened and sends what is due, until nothing is."""
        asyncio.run(self._turn())

    async def _turn(self) -> None:
        async with self.dispatcher() as (dispatcher, lanes):
            while await dispatcher.read():
                pass
            for lane in lanes.values():
                await self.send_all(lane)

    async def send_all(self, lane: Lane) -> None:
        sent = -1
        while sent != (sent := len(self.receivers[lane.webhook.name].got)):
            await lane.step()
            assert await lane.drain(10)

    def states(self) -> dict[str, HookState]:
        async def ask() -> dict[str, HookState]:
            async with self.dispatcher() as (dispatcher, _):
                return {state.name: state for state in await dispatcher.states()}

        return asyncio.run(ask())

    def logged(self) -> int:
        """Entries that stand in the streams, and those that pend."""
        client = self.server.client
        return sum(client.xlen(key) + client.xpending(key, "hooks")["pending"] for key in client.keys("otp:*events"))


def _webhook(name: str, **changes: Any) -> Webhook:
    return Webhook(**{"name": name, "url": f"https://{name}.example.com/", "secrets": (SECRET,), **changes})
