"""What every answer has: a request id, safe headers, one log line and one count, and nothing that a stranger wrote."""

from __future__ import annotations

import io
import json

import pytest
from prometheus_client import REGISTRY
from structlog.processors import JSONRenderer
from structlog.testing import capture_logs

from otp_service import errors
from otp_service.web.edge import Edge

START = {"to": "+8613800138000", "purpose": "login"}
SECRETS = ("13800138000", "345678", "s3ss1on", "203.0.113.7", "d3v1ce")
EVERYTHING = START | {"session": "s3ss1on", "device": "d3v1ce", "client_ip": "203.0.113.7"}


def counted(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    "path",
    ["/livez", "/readyz", "/docs", "/openapi.json", "/problems/", "/problems/expired", "/nowhere", "/v1/tokens/verify"],
)
def test_every_answer_has_a_request_id_and_safe_headers(api, path):
    headers = api.get(path).headers
    assert len(headers["X-Request-Id"]) == 16
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_answers_of_the_api_are_never_stored(api):
    assert api.post("/v1/verifications", START).headers["Cache-Control"] == "no-store"
    assert api.post("/v1/verifications", {}).headers["Cache-Control"] == "no-store"
    api.verifier.refusal = ZeroDivisionError()
    assert api.post("/v1/verifications", START).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "Trace-1_2.3",
        "web-12345",
        "6f1c2d34-5678-4abc-9def-0123456789ab",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00000000000000A1",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    ],
)
def test_a_request_id_that_can_be_no_secret_is_taken_over(api, name):
    assert api.get("/livez", X_Request_Id=name).headers["X-Request-Id"] == name


@pytest.mark.parametrize(
    "name",
    [
        "13800138000",
        "8613800138000",
        "345678",
        "3-4-5.6_7-8",
        "a345678",
        "1234567890123456",
        "01234567890123456789012345",
        "otp_abcdefgh",
        "OTP_ABCDEFGH",
        "otp_0123456789abcdefghij",
    ],
)
def test_a_request_id_that_may_be_a_code_a_number_or_a_key_is_replaced_and_not_logged(api, name):
    with capture_logs() as lines:
        answer = api.post("/v1/verifications", START, X_Request_Id=name)
    assert answer.headers["X-Request-Id"] != name
    assert name not in str(lines)


def test_a_request_id_that_is_an_api_key_is_replaced(api):
    assert api.get("/livez", X_Request_Id=api.key).headers["X-Request-Id"] != api.key


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a\x1b[31m", "ä", "a;b", "<script>", "a\\nb", "%0a"])
def test_t51_any_other_request_id_is_replaced(api, name):
    """T51: line ends, colours, markup and other scripts."""
    assert api.get("/livez", X_Request_Id=name).headers["X-Request-Id"] != name


def test_two_requests_have_two_ids(api):
    assert api.get("/livez").headers["X-Request-Id"] != api.get("/livez").headers["X-Request-Id"]


def test_a_request_has_one_log_line_without_anything_that_was_sent(api):
    """T41."""
    with capture_logs() as lines:
        answer = api.post("/v1/verifications?code=345678", EVERYTHING, Idempotency_Key="345678")
        api.post("/v1/verifications/ver_345678/check", {"code": "345678", "session": "s3ss1on"})
    assert len(lines) == 2
    del lines[0]["ms"]
    assert lines[0] == {
        "event": "request",
        "log_level": "info",
        "request_id": answer.headers["X-Request-Id"],
        "method": "POST",
        "route": "/v1/verifications",
        "status": 201,
        "client": "shop",
        "problem": "",
    }
    assert lines[1]["route"] == "/v1/verifications/{id}/check"
    assert not [secret for secret in (*SECRETS, api.key) if secret in str(lines)]


def test_a_refusal_is_logged_by_its_name(api):
    api.verifier.refusal = errors.RateLimited("wait", limit="recipient", retry_after=9)
    with capture_logs() as lines:
        api.post("/v1/verifications", START)
    assert (lines[0]["client"], lines[0]["status"], lines[0]["problem"]) == ("shop", 429, "rate_limited")


def test_t41_line_breaks_and_colours_stay_out_of_the_log(api):
    hostile = "a\nb\r\n\x1b[31mc%0a\u2028"
    with capture_logs() as lines:
        api.post("/v1/verifications", {"to": hostile, "purpose": hostile})
        api.call("POST", "/v1/%0a%1b[31m" + hostile, {}, X_Request_Id="a%0a", User_Agent="a%0ab\x1b[31m")
        api.http.open("/livez", method="GE\nT")
        api.call("GET", "/problems/%0aforged")
    rendered = [JSONRenderer()(None, "info", dict(line)) for line in lines]
    assert len(rendered) == 4
    for line in rendered:
        assert not [mark for mark in ("\n", "\\n", "\\u001b", "\\r", "%0a", "31m", "forged") if mark in line]


def test_t39_a_mistake_is_logged_once_by_type_and_place_but_not_in_its_words(api):
    api.verifier.refusal = ValueError("345678 for +8613800138000 with s3ss1on")
    with capture_logs() as lines:
        answer = api.post("/v1/verifications", EVERYTHING)
    mistakes = [line for line in lines if line["log_level"] == "error"]
    assert [line["request_id"] for line in mistakes] == [answer.headers["X-Request-Id"]]
    assert mistakes[0]["error"] == "ValueError"
    assert "start" in mistakes[0]["frames"][-2]
    assert not [secret for secret in (*SECRETS, api.key) if secret in str(lines)]


def test_a_mistake_below_the_endpoints_is_a_plain_500_too():
    def broken(environ, start_response):
        raise RuntimeError("345678")

    answers = []
    with capture_logs():
        body = Edge(broken)(
            {"REQUEST_METHOD": "GET"}, lambda status, headers, info=None: answers.append((status, dict(headers)))
        )
    assert answers[0][0] == "500 Internal Server Error"
    assert answers[0][1]["X-Request-Id"]
    assert json.loads(b"".join(body))["problem"] == "internal"


@pytest.mark.parametrize("host", ["a b", "<script>", "x" * 5000, "a/b", "[::1", "a\tb"])
def test_a_malformed_host_is_answered_as_a_problem_or_ignored(api, host):
    answer = api.get("/v1/nowhere", Host=host)
    assert answer.status_code in (400, 404)
    assert answer.content_type == "application/problem+json"
    assert host not in answer.text


@pytest.mark.parametrize(
    "path", ["/v1/verifications/\xff\xfe", "/v1/verifications/a\x00b", "/v1/verifications/" + "x" * 20_000]
)
def test_any_bytes_in_a_path_reach_the_verifier_as_text_or_are_not_found(api, path):
    api.verifier.refusal = errors.NotFound("There is no such verification.")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_AUTHORIZATION": f"Bearer {api.key}",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
    }
    answers = []
    b"".join(api.http.application(environ, lambda status, headers, info=None: answers.append(status)))
    assert answers[0].startswith("404")


def test_requests_checks_and_refusals_are_counted(api):
    route = {"route": "/v1/verifications/{id}/check", "status": "200"}
    before = counted("otp_requests_total", **route)
    approved = counted("otp_checks_total", purpose="login", result="approved")
    refusals = counted("otp_refusals_total", limit="failures")
    api.post("/v1/verifications/ver_1/check", {"code": "345678"})
    api.verifier.refusal = errors.RateLimited("wait", limit="failures", retry_after=9)
    api.post("/v1/verifications/ver_1/check", {"code": "345678"})
    assert counted("otp_requests_total", **route) == before + 1
    assert counted("otp_checks_total", purpose="login", result="approved") == approved + 1
    assert counted("otp_refusals_total", limit="failures") == refusals + 1


def test_a_replayed_check_is_not_counted_again(api):
    before = counted("otp_checks_total", purpose="login", result="approved")
    api.verifier.replayed = True
    api.post("/v1/verifications/ver_1/check", {"code": "345678"}, Idempotency_Key="k")
    assert counted("otp_checks_total", purpose="login", result="approved") == before


def test_livez_only_says_that_the_process_lives(api):
    api.verifier.up = False
    assert (api.get("/livez").status_code, api.get("/livez").json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("draining", "up", "status", "body"),
    [
        (False, True, 200, {"status": "ok", "redis": "up"}),
        (False, False, 200, {"status": "ok", "redis": "down"}),
        (True, True, 503, {"status": "draining", "redis": "up"}),
        (True, False, 503, {"status": "draining", "redis": "down"}),
    ],
)
def test_only_draining_takes_a_process_out_of_the_balancer(api, draining, up, status, body):
    api.draining, api.verifier.up = draining, up
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json) == (status, body)


@pytest.mark.parametrize(("size", "says"), [(100, None), (8192, None), (8193, "close"), (70_000, "close")])
def test_a_refusal_of_a_large_body_ends_the_connection(api, size, says):
    """What of it was not read would stand in the way of the next request."""
    answer = api.call("POST", "/v1/verifications", b" " * size)
    assert answer.status_code in (400, 413)
    assert answer.headers.get("Connection") == says
    answer = api.call("POST", "/v1/verifications", b" " * size, Authorization="Bearer none")
    assert (answer.status_code, answer.headers.get("Connection")) == (401, says)


def test_a_large_body_that_is_taken_ends_nothing(api):
    body = json.dumps(START).encode() + b" " * 9000
    answer = api.call("POST", "/v1/verifications", body)
    assert (answer.status_code, answer.headers.get("Connection")) == (201, None)
