"""`send` and `check` against what is no service of ours, and with a key that no header can hold."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.raw_gateway import RawGateway, http_answer, says

KEY = "otp_vec6gt99k7d7fpdkhx9e8a120nm6bmg1xtb8d0a1rpkr3r"


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(404, b'{"error": "not found"}', {}),
        http_answer(200, b'{"error": "not found"}', {}),
        http_answer(200, b"{}", {}),
        http_answer(200, b"[]", {}),
        http_answer(502, b"<html>", {}),
    ],
)
def test_an_address_where_something_else_answers_is_named(command: Command, answer: bytes) -> None:
    with RawGateway(says(answer)) as other:
        command("send", "13800138000", "--url", f"http://{other.host}", "--key", KEY)

    assert command.status == 1
    assert command.err.startswith(f"error: http://{other.host} is no otp-service: it answered HTTP ")


@pytest.mark.parametrize("url", ["ftp://host", "127.0.0.1:8000", "http://host:port"])
def test_what_is_no_address_is_told_what_one_is(command: Command, url: str) -> None:
    command("send", "13800138000", "--url", url, "--key", KEY)

    assert (command.status, command.err) == (1, f"error: {url} is no address: write http://host:port or https://…\n")


@pytest.mark.parametrize("key", [" ", f"{KEY}\nX: y", f"{KEY[:20]}\u00e9", "\u94a5\u5319"])
def test_a_key_that_no_header_can_hold_is_not_repeated(command: Command, key: str) -> None:
    command("check", "ver_x", "345678", OTP_URL="http://127.0.0.1:1", OTP_KEY=key)

    assert command.status == 1
    assert "the API key is empty or holds what no key does" in command.err
    assert KEY[:20] not in command.err


def test_the_line_s_end_behind_a_key_is_no_part_of_it(command: Command) -> None:
    with RawGateway(says(http_answer(200, b'{"status": "approved", "token": "t"}', {}))) as service:
        said = command("check", "ver_x", "345678", OTP_URL=f"http://{service.host}", OTP_KEY=f"{KEY}\r\n")

    assert said == "status approved\ntoken t\n"
