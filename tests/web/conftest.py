from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fake_verifier import FakeVerifier
from flask.testing import FlaskClient

from otp_service.api_keys import ClientKeys, new_key
from otp_service.policy import Client
from otp_service.web.app import create_app
from otp_service.web.service import Service

SHOP = Client("shop", frozenset({"login", "signup"}))


@dataclass
class Api:
    """The service as a caller meets it: paths and bodies in, status, headers and JSON out."""

    http: FlaskClient
    verifier: FakeVerifier
    key: str
    draining: bool = False

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """With the API key; header names have underscores here. A `bytes` body is sent as it is."""
        sent = {"Authorization": f"Bearer {self.key}"} | {n.replace("_", "-"): v for n, v in headers.items()}
        if isinstance(body, bytes):
            sent.setdefault("Content-Type", "application/json")
            return self.http.open(path, method=method, headers=sent, data=body)
        return self.http.open(path, method=method, headers=sent, json=body)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, {} if body is None else body, **headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(path, headers={n.replace("_", "-"): v for n, v in headers.items()})


@pytest.fixture
def verifier() -> FakeVerifier:
    return FakeVerifier()


@pytest.fixture(params=["fast path", "by Flask"])
def api(verifier: FakeVerifier, request: pytest.FixtureRequest) -> Api:
    """Once as start and check are served in front of Flask, and once as Flask serves them."""
    key = new_key()
    api = Api(http=None, verifier=verifier, key=key.text)
    service = Service(
        verifier,
        ClientKeys([(SHOP, [key.hash])]),
        lambda: api.draining,
        "1.2.3",
        fast_path=request.param == "fast path",
    )
    api.http = create_app(service).test_client()
    return api
