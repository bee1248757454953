"""The line of a request is made by hand, and is the line that structlog would make."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from otp_service.logs import configure_logs, quiet_request_line, request_line

START = ("4bf92f3577b34da6", "POST", "/v1/verifications", 201, 1.5, "shop", "")
LINES = [
    START,
    ("web-12345", "GET", "unmatched", 404, 0.0, "", "not_found"),
    ("a.b_c", "OTHER", "/v1/verifications/{id}", 503, 12345.67, 'a "client" \\ of 商店', "unavailable"),
    ("x", "POST", "/reports/<channel>", 200, 3, "line\u2028end", ""),
    ("y", "POST", "/v1/verifications", 200, 0.01, "shop-13800138000", ""),
]


@pytest.fixture(autouse=True)
def our_logs() -> Iterator[None]:
    configure_logs()
    yield
    configure_logs(logging.INFO)
    structlog.reset_defaults()


def without_time(line: str) -> str:
    return re.sub(r'"timestamp": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z"', "…", line)


@pytest.mark.parametrize("said", LINES)
def test_it_is_what_structlog_writes(said: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    request_line(*said)
    names = ("request_id", "method", "route", "status", "ms", "client", "problem")
    structlog.get_logger().info("request", **dict(zip(names, said, strict=True)))
    lines = capsys.readouterr().err.splitlines()
    assert json.loads(lines[0])["event"] == "request"
    by_hand, by_structlog = map(without_time, lines)
    assert by_hand == by_structlog
    assert "…" in by_hand
    assert "13800138000" not in by_hand


def test_where_only_warnings_are_wanted_it_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(logging.WARNING)
    request_line(*START)
    assert capsys.readouterr().err == ""


def test_a_probe_has_its_line_only_while_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    quiet_request_line(*START)
    assert capsys.readouterr().err == ""
    configure_logs(logging.DEBUG)
    quiet_request_line(*START)
    assert json.loads(capsys.readouterr().err)["level"] == "debug"
