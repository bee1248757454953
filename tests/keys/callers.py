"""A client's keys on a store, as two processes know them, on a clock that a test moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otp_service.api_keys import ApiKey, ClientKeys, new_key
from otp_service.ports import Revoked, StoreDown
from otp_service.revocation import HeededKeys
from otp_service.store import RedisRevocations
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.world import BANK, SHOP, World


@dataclass
class FakeRevocations:
    """Says what a test wants; counts how often it was asked."""

    revoked: set[str] = field(default_factory=set)
    is_down: bool = False
    asked: int = 0
    while_asking: Callable[[], None] = lambda: None

    def ids(self) -> frozenset[str]:
        self.asked += 1
        self.while_asking()
        if self.is_down:
            raise StoreDown
        return frozenset(self.revoked)

    def look(self) -> list[Revoked]:
        return [Revoked(id, 0, "") for id in self.revoked]

    def revoke(self, id: str, by: str) -> tuple[Revoked, bool]:
        self.revoked.add(id)
        return Revoked(id, 0, by), True

    def restore(self, id: str) -> bool:
        self.revoked.discard(id)
        return True


class Callers:
    """Two keys of the shop and one of the bank, known to as many API processes as a test wants, on one store."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.old, self.new, self.other = new_key(), new_key(), new_key()
        self.configured = ClientKeys([(SHOP, [self.old.hash, self.new.hash]), (BANK, [self.other.hash])])
        self.revocations = RedisRevocations(world.server.client)
        self.moment = 0.0

    def process(self) -> Api:
        keys = HeededKeys(self.configured, self.revocations, clock=lambda: self.moment)
        service = Service(self.world.verifier, keys, lambda: False, "1.2.3")
        return Api(create_app(service).test_client())


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Api:
    """One process, as a caller meets it."""

    http: Any

    def lookup(self, key: ApiKey | str | None, query: str = "", **more: str) -> Answer:
        """A call that needs nothing but a key."""
        headers = dict(more)
        if key is not None:
            headers["Authorization"] = f"Bearer {key if isinstance(key, str) else key.text}"
        path = f"/v1/verifications/lookup{query}"
        answer = self.http.post(path, json={"to": "13800138000"}, headers=headers)
        headers = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
        return Answer(answer.status_code, json.loads(answer.data), headers)
