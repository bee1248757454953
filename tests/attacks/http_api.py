"""The API of a world as callers meet it, without a server: status, headers in their order, and body."""

from __future__ import annotations

import json
from typing import Any

from otp_service.api_keys import ClientKeys, new_key
from otp_service.policy import Client
from otp_service.web.app import create_app
from otp_service.web.service import Service
from tests.attacks.wire import Answer
from tests.world import BANK, SHOP, World


class Api:
    def __init__(self, world: World) -> None:
        self._keys = {client: new_key() for client in (SHOP, BANK)}
        keys = ClientKeys([(client, [key.hash]) for client, key in self._keys.items()])
        self._http = create_app(Service(world.verifier, keys, lambda: False, "0")).test_client()

    def call(self, method: str, path: str, body: Any = None, client: Client = SHOP, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Authorization", f"Bearer {self._keys[client].text}")
        data = None if body is None else json.dumps(body)
        answer = self._http.open(f"/v1{path}", method=method, data=data, content_type="application/json", headers=sent)
        return Answer(answer.status_code, tuple(answer.headers.items()), answer.data)

    def start(self, to: str, **more: Any) -> Answer:
        return self.call("POST", "/verifications", {"to": to, "purpose": "password_reset", **more})

    def check(self, id: str, **body: Any) -> Answer:
        return self.call("POST", f"/verifications/{id}/check", body)
