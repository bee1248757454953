"""Every refusal: its status, its document, its order among the others."""

from __future__ import annotations

import pytest
from fake_verifier import PENDING

from otp_service import errors
from otp_service.api_keys import new_key
from otp_service.errors import Problem
from otp_service.verification import Status
from otp_service.web.problems import STATUS

START = {"to": "+8613800138000", "purpose": "login"}

CONTRACT = {
    "invalid_request": 400,
    "invalid_recipient": 400,
    "unknown_purpose": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "code_mismatch": 422,
    "already_approved": 410,
    "exhausted": 410,
    "expired": 410,
    "canceled": 410,
    "rate_limited": 429,
    "recipient_blocked": 422,
    "recipient_disabled": 403,
    "token_invalid": 403,
    "token_expired": 410,
    "token_used": 410,
    "challenge_required": 422,
    "idempotency_mismatch": 422,
    "unavailable": 503,
    "internal": 500,
}


def leaves(problem: type[Problem]) -> set[type[Problem]]:
    below = problem.__subclasses__()
    return set().union(*map(leaves, below)) if below else {problem}


def test_every_problem_has_its_status_in_the_table():
    assert {problem.name: status for problem, status in STATUS.items()} == CONTRACT
    assert leaves(Problem) == set(STATUS)


@pytest.mark.parametrize("problem", STATUS, ids=lambda problem: problem.name)
def test_each_problem_is_answered_as_rfc_9457_says(api, problem):
    api.verifier.refusal = problem("mend this")
    answer = api.post("/v1/verifications", START)
    assert answer.status_code == CONTRACT[problem.name]
    assert answer.content_type == "application/problem+json"
    required = {
        "type": f"/problems/{problem.name}",
        "title": problem.title,
        "status": CONTRACT[problem.name],
        "detail": "mend this",
        "problem": problem.name,
    }
    assert answer.json.items() >= required.items()
    assert api.get(answer.json["type"]).status_code == 200


def test_a_wrong_code_carries_the_attempts_left_twice(api):
    api.verifier.refusal = errors.CodeMismatch("no", verification=PENDING._replace(attempts_left=2))
    answer = api.post("/v1/verifications/ver_1/check", {"code": "345678"})
    assert answer.status_code == 422
    assert answer.json["attempts_left"] == answer.json["verification"]["attempts_left"] == 2


def test_an_ended_verification_is_shown_with_its_end(api):
    api.verifier.refusal = errors.Exhausted("over", verification=PENDING._replace(status=Status.EXHAUSTED))
    answer = api.post("/v1/verifications/ver_1/check", {"code": "345678"})
    assert (answer.status_code, answer.json["verification"]["status"]) == (410, "exhausted")
    assert "attempts_left" not in answer.json


def test_a_limit_says_which_and_how_long(api):
    api.verifier.refusal = errors.RateLimited("wait", limit="cooldown", retry_after=42)
    answer = api.post("/v1/verifications", START)
    assert answer.headers["Retry-After"] == "42"
    assert (answer.json["limit"], answer.json["retry_after"]) == ("cooldown", 42)


def test_unavailable_always_says_when_to_come_back(api):
    api.verifier.refusal = errors.Unavailable("later")
    answer = api.post("/v1/verifications", START)
    assert (answer.headers["Retry-After"], answer.json["retry_after"]) == ("1", 1)


def test_a_kept_refusal_is_marked_as_a_replay(api):
    api.verifier.refusal = errors.CodeMismatch("no", verification=PENDING, replayed=True)
    assert api.post("/v1/verifications/ver_1/check", {"code": "345678"}).headers["Idempotent-Replayed"] == "true"


def test_a_wrong_key_is_told_how_to_authenticate(api):
    answer = api.post("/v1/verifications", START, Authorization="Bearer nothing")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_t65_a_key_in_the_query_or_the_body_is_no_key(api):
    for path in (f"/v1/verifications?key={api.key}", f"/v1/verifications?Authorization=Bearer%20{api.key}"):
        assert api.http.post(path, json=START | {"key": api.key}).status_code == 401
    assert api.verifier.asked == []


def test_an_invalid_recipient_points_at_to(api):
    api.verifier.refusal = errors.InvalidRecipient("not a number")
    assert api.post("/v1/verifications", START).json["errors"] == [{"pointer": "/to", "detail": "not a number"}]


def test_refusals_come_in_one_order(api):
    """Address, method, key, media type, size, JSON, fields, and the verifier last."""
    api.verifier.refusal = errors.RecipientBlocked("no")
    stranger = f"Bearer {new_key().text}"
    steps = [
        ("/v1/nowhere", b"x", {"Content_Type": "text/plain", "Authorization": stranger}, 404),
        ("/v1/verifications", b"x", {"Content_Type": "text/plain", "Authorization": stranger}, 401),
        ("/v1/verifications", b"x" * 70_000, {"Content_Type": "text/plain"}, 415),
        ("/v1/verifications", b"x" * 70_000, {}, 413),
        ("/v1/verifications", b"x", {}, 400),
        ("/v1/verifications", b"{}", {}, 400),
        ("/v1/verifications", b'{"to":"+8613800138000","purpose":"login"}', {}, 422),
    ]
    for path, body, headers, status in steps:
        assert api.call("POST", path, body, **headers).status_code == status
    assert len(api.verifier.asked) == 1


def test_the_page_of_a_disabled_recipient_says_what_lifts_it(api):
    for language in ("en", "zh-CN"):
        page = api.get("/problems/recipient_disabled", headers={"Accept-Language": language})
        assert page.text.count("POST /v1/recipients/enable") == 2  # for the code, and in the example


def test_t22_an_unknown_id_and_another_clients_have_one_body(api):
    api.verifier.refusal = errors.NotFound("There is no such verification.")
    first, second = (api.call("GET", f"/v1/verifications/{name}") for name in ("ver_unknown", "ver_of_another"))
    assert first.data == second.data


def test_t42_a_mistake_of_ours_is_a_plain_500(api):
    """T42."""
    api.verifier.refusal = ZeroDivisionError("code 345678 of +8613800138000")
    answer = api.post("/v1/verifications", START)
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert (answer.json["problem"], answer.json["title"]) == ("internal", "Internal error")
    assert b"Zero" not in answer.data
    assert b"345678" not in answer.data
    assert b"8000" not in answer.data


@pytest.mark.parametrize(
    "path", ["/debug", "/console", "/?__debugger__=yes&cmd=resource", "/metrics", "/.env", "/static/"]
)
def test_t42_there_is_no_debugger_and_nothing_of_ours_to_read(api, path):
    """T42."""
    answer = api.get(path)
    assert (answer.status_code, answer.json["problem"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/problems/../docs"]
)
def test_no_path_leads_out_of_the_served_folder(api, path):
    assert api.get(path).status_code == 404
