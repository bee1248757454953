"""The main job on real parts: start, the SMS at a gateway, the check, the token."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.cli.processes import until
from tests.service.conftest import Service


@pytest.fixture(params=["fast path", "by Flask"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(way: str, service: Service, request: pytest.FixtureRequest) -> Service:
    by_flask: Service = request.getfixturevalue("service_by_flask") if way == "by Flask" else service
    return by_flask


def start(service: Service, to: str, **more: object) -> httpx.Response:
    return service.api.post("/v1/verifications", json={"to": to, "purpose": "login", **more})


def seen(service: Service, id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.api.get(f"/v1/verifications/{id}").json()
    return found


def test_a_person_proves_control_of_a_number_and_the_proof_is_good_once(service: Service) -> None:
    started = start(service, "13900000001", metadata={"order": "7"})
    assert (started.status_code, started.json()["to"]) == (201, "+86139****0001")
    id, code = started.json()["id"], service.code_for("13900000001")

    approved = service.api.post(f"/v1/verifications/{id}/check", json={"code": code})
    assert (approved.status_code, approved.json()["status"], approved.json()["metadata"]) == (
        200,
        "approved",
        {"order": "7"},
    )
    again = service.api.post(f"/v1/verifications/{id}/check", json={"code": code})
    assert (again.status_code, again.json()["problem"]) == (410, "already_approved")

    proof = {"token": approved.json()["token"], "purpose": "login", "to": "+86 139 0000 0001", "consume": True}
    assert service.api.post("/v1/tokens/verify", json=proof).json()["verification_id"] == id
    used = service.api.post("/v1/tokens/verify", json=proof)
    assert (used.status_code, used.json()["problem"]) == (410, "token_used")


def test_the_back_office_sees_every_try(service: Service) -> None:
    id = start(service, "13900000002").json()["id"]
    service.code_for("13900000002")
    until(lambda: seen(service, id)["delivery"] == "accepted", "the gateway's answer is written down")
    [only] = seen(service, id)["tries"]
    assert (only["send"], only["channel"], only["outcome"]) == (1, "primary", "accepted")
    assert only["gateway_id"]


def test_a_lost_answer_is_fetched_again_with_its_key_and_nothing_is_sent_twice(service: Service) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"to": "13900000003", "purpose": "signup"}
    first, second = (service.api.post("/v1/verifications", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    code = service.code_for("13900000003")
    messages = service.inbox.get("/api/messages", params={"mobile": "13900000003"}).json()["messages"]
    assert len(messages) == 1

    path, headers = f"/v1/verifications/{first.json()['id']}/check", {"Idempotency-Key": str(uuid.uuid4())}
    tokens = {service.api.post(path, json={"code": code}, headers=headers).json()["token"] for _ in range(5)}
    assert len(tokens) == 1


def test_when_the_first_gateway_refuses_the_second_gets_the_same_code(service: Service) -> None:
    service.inbox.put("/api/accounts/demo", json={"balance": 0})
    try:
        id = start(service, "13900000004").json()["id"]
        code = service.code_for("13900000004")
    finally:
        service.inbox.put("/api/accounts/demo", json={"balance": 1000})
    approved = service.api.post(f"/v1/verifications/{id}/check", json={"code": code})
    assert approved.status_code == 200
    until(lambda: all(one["outcome"] for one in seen(service, id)["tries"]), "the answers are written down")
    tries = seen(service, id)["tries"]
    assert [(one["channel"], one["outcome"], one["reason"]) for one in tries] == [
        ("primary", "rejected", "balance"),
        ("backup", "accepted", None),
    ]


def test_readyz_tells_of_redis_in_its_body(service: Service) -> None:
    ready = service.api.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "redis": "up"})
