"""The administrative address: for API and worker alike, without Flask."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter

from otp_service.web.admin import admin_app
from otp_service.web.health import Readiness


def ask(app, path, method="GET"):
    answers = []
    body = b"".join(
        app(
            {"REQUEST_METHOD": method, "PATH_INFO": path},
            lambda status, headers, info=None: answers.append((int(status[:3]), dict(headers))),
        )
    )
    return *answers[0], body


@pytest.fixture
def app():
    registry = CollectorRegistry()
    Counter("seen", "What was seen.", registry=registry).inc()
    return admin_app(lambda: Readiness(draining=True, redis_up=False), registry)


def test_it_says_that_it_lives(app):
    assert ask(app, "/livez")[0] == 200


def test_it_says_whether_it_is_ready(app):
    status, headers, body = ask(app, "/readyz")
    assert (status, json.loads(body)) == (503, {"status": "draining", "redis": "down"})
    assert headers["X-Request-Id"]


def test_it_shows_the_metrics_of_its_registry(app):
    status, headers, body = ask(app, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert b"seen_total 1.0" in body


def test_anything_else_is_not_found(app):
    status, headers, body = ask(app, "/v1/verifications")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert json.loads(body)["problem"] == "not_found"


def test_it_only_reads(app):
    status, headers, _ = ask(app, "/metrics", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(app, "/livez", "HEAD")[2] == b""


def test_a_worker_needs_no_flask_for_it():
    code = "import sys, otp_service.web.admin; sys.exit('flask' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
