"""The hot calls in front of Flask answer exactly as Flask's own route to the same endpoint does."""

from __future__ import annotations

import io
import json

import pytest
from fake_verifier import PENDING
from flask import Flask

from otp_service import errors
from otp_service.web.edge import Edge

START = "/v1/verifications"
CHECK = "/v1/verifications/ver_1/check"
BODIES = {START: {"to": "+8613800138000", "purpose": "login"}, CHECK: {"code": "345678"}}


def ask(app, key, path, body, **extra):
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "HTTP_X_REQUEST_ID": "same",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        **extra,
    }
    answers = []
    data = b"".join(app(environ, lambda status, headers, info=None: answers.append((status[:3], sorted(headers)))))
    return *answers[0], data


@pytest.mark.parametrize("path", [START, CHECK])
@pytest.mark.parametrize(
    ("refusal", "extra"),
    [
        (None, {}),
        (None, {"HTTP_IDEMPOTENCY_KEY": "k"}),
        (None, {"HTTP_AUTHORIZATION": "Bearer x"}),
        (None, {"CONTENT_TYPE": "text/plain"}),
        (None, {"CONTENT_LENGTH": "70000"}),
        (None, {"CONTENT_LENGTH": "1"}),
        (errors.CodeMismatch("no", verification=PENDING, replayed=True), {}),
        (errors.RateLimited("wait", limit="sends", retry_after=3), {}),
        (errors.Unavailable("later"), {}),
        (ValueError("345678"), {}),
    ],
)
def test_the_front_answers_as_flask_does(api, path, refusal, extra):
    app = api.http.application
    flask_alone = Edge(Flask.wsgi_app.__get__(app))
    api.verifier.refusal = refusal
    body = json.dumps(BODIES[path]).encode()
    assert ask(app, api.key, path, body, **extra) == ask(flask_alone, api.key, path, body, **extra)
    seen = api.verifier.asked
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


@pytest.mark.parametrize(
    "path", [START + "/", START + "//check", CHECK + "/", CHECK + "\n", "/v1/verifications/a/b/check"]
)
def test_what_only_looks_like_a_hot_call_is_not_found(api, path):
    assert ask(api.http.application, api.key, path, b"{}")[0] == "404"
