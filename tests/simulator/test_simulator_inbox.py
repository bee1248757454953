"""The inbox as tests use it: long poll, search, delete, events, and who may ask."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from simulator_helpers import NUMBER, TEXT, Simulator


def test_a_message_shows_its_code_and_parts(simulator: Simulator) -> None:
    answer = simulator.verdict()
    (message,) = simulator.messages(mobile="+86 138 0013 8000")
    assert message.pop("at").endswith("Z")
    assert message.pop("id") > 0
    assert message == {
        "mobile": NUMBER,
        "content": TEXT,
        "code": "345678",
        "account": "demo",
        "taskid": answer["taskID"],
        "parts": 1,
        "protocol": "sms_aspx",
        "channel_account": "demo",
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("验证码：005678，5分钟内有效，客服 10086123", "005678"),
        ("345678（登录验证码），工作人员不会索取", "345678"),
        ("345678 is your Acme code. Order 99887766", "345678"),
        ("Your code is 1234567890.\n@login.example.com #1234567890", "1234567890"),
        ("订单 99887766\n@login.example.com #4821", "4821"),
        ("订单 99887766 与 11223344", None),
        ("请输入 7788", "7788"),
        ("12345678901", None),
        ("验证码123", None),
    ],
)
def test_the_code_is_the_one_that_a_person_would_type(simulator: Simulator, text: str, code: str | None) -> None:
    simulator.account(signature_side="any")
    sign = "" if text.startswith("@") else "【58同城2026】"
    assert simulator.verdict(content=sign + text)["returnstatus"] == "Success"
    assert simulator.messages()[0]["code"] == code


@pytest.mark.parametrize(
    ("text", "parts", "encoding"),
    [
        ("【今信科技】" + "字" * 64, 1, "UCS-2"),
        ("【今信科技】" + "字" * 65, 2, "UCS-2"),
        ("【今信科技】" + "字" * (134 - 6), 2, "UCS-2"),
        ("【今信科技】" + "字" * (135 - 6), 3, "UCS-2"),
        ("a" * 160, 1, "GSM-7"),
        ("a" * 161, 2, "GSM-7"),
        ("€" * 80, 1, "GSM-7"),
        ("字" + "😀" * 33 + "字" * 3, 1, "UCS-2"),
        ("字字" + "😀" * 66, 3, "UCS-2"),
    ],
)
def test_parts_are_counted_as_they_are_billed(simulator: Simulator, text: str, parts: int, encoding: str) -> None:
    simulator.account(signature_required=False)
    simulator.send(content=text)
    (message,) = simulator.messages()
    details = simulator.http.get(f"/api/messages/{message['id']}").json()
    assert (message["parts"], details["encoding"]) == (parts, encoding)


def test_messages_come_newest_first_and_only_those_after_the_cursor(simulator: Simulator) -> None:
    for last in "123":
        simulator.send(mobile=f"1380013800{last}")
    rows = simulator.messages()
    assert [row["mobile"][-1] for row in rows] == ["3", "2", "1"]
    assert [row["mobile"][-1] for row in simulator.messages(after=rows[2]["id"])] == ["3", "2"]
    assert [row["mobile"][-1] for row in simulator.messages(limit=1)] == ["3"]
    assert simulator.messages(after=rows[0]["id"]) == []


def test_a_long_poll_answers_when_its_message_comes_and_not_for_another(simulator: Simulator) -> None:
    simulator.send()
    seen = simulator.messages()[0]["id"]
    found: list[dict[str, object]] = []
    poll = threading.Thread(target=lambda: found.extend(simulator.messages(mobile=NUMBER, after=seen, wait=8)))
    poll.start()
    simulator.send(mobile="13800138001")
    simulator.send(content=TEXT.replace("345678", "111222"))
    poll.join(8)
    assert [row["code"] for row in found] == ["111222"]


def test_a_long_poll_without_news_is_empty_in_the_end(simulator: Simulator) -> None:
    assert simulator.messages(mobile=NUMBER, wait=1) == []


def test_search_looks_into_texts_and_numbers(simulator: Simulator) -> None:
    simulator.send(content="【Acme】Your CODE is 4821")
    simulator.send(mobile="13900001234")
    assert len(simulator.messages(q="code")) == 1
    assert len(simulator.messages(q="0001234")) == 1
    assert simulator.messages(q="nothing") == []


def test_messages_are_deleted_one_by_one_or_all(simulator: Simulator) -> None:
    for _ in range(3):
        simulator.send()
    first = simulator.messages()[-1]["id"]
    assert simulator.http.delete(f"/api/messages/{first}").status_code == 200
    assert simulator.http.delete(f"/api/messages/{first}").status_code == 404
    assert len(simulator.messages()) == 2
    assert simulator.http.delete("/api/messages").status_code == 200
    assert simulator.messages() == []


def test_a_message_to_several_numbers_is_a_message_each(simulator: Simulator) -> None:
    simulator.send(mobile="13800138001, 13800138002")
    rows = simulator.messages()
    assert {row["mobile"] for row in rows} == {"13800138001", "13800138002"}
    assert len({row["taskid"] for row in rows}) == 1


def test_the_details_hold_the_raw_request_and_answer(simulator: Simulator) -> None:
    simulator.send()
    details = simulator.http.get(f"/api/messages/{simulator.messages()[0]['id']}").json()
    assert details["raw_request"].startswith("POST /sms.aspx HTTP/1.1\r\n")
    assert details["raw_answer"].startswith("HTTP/1.1 200 OK\r\n")
    assert "<returnstatus>Success</returnstatus>" in details["raw_answer"]
    assert details["fields"]["content"] == TEXT


def events(answer: httpx.Response) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if not line and event:
            yield event
            event = {}
        elif name in {"id", "event", "data"}:
            event[name] = value


def test_events_tell_of_messages_refusals_and_deletions(simulator: Simulator) -> None:
    with simulator.http.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        stream = events(answer)
        simulator_second = Simulator(simulator.url)
        simulator_second.send()
        arrived = next(stream)
        simulator_second.send(content="refused")
        refused = next(stream)
        simulator_second.http.delete("/api/messages")
        deleted = next(stream)
        simulator_second.http.close()
    assert (arrived["event"], json.loads(arrived["data"])["code"]) == ("message", "345678")
    assert (refused["event"], json.loads(refused["data"])["check"]) == ("refused", "signature")
    assert (deleted["event"], json.loads(deleted["data"])) == ("deleted", {"id": None})


def test_events_resume_after_the_last_one_seen_and_say_when_they_can_not(simulator: Simulator) -> None:
    with simulator.http.stream("GET", "/api/events", headers={"last-event-id": "elsewhere-7"}) as answer:
        reset = next(events(answer))
    assert reset["event"] == "reset"
    simulator.send(mobile="13800138001")
    simulator.send(mobile="13800138002")
    with simulator.http.stream("GET", "/api/events", headers={"last-event-id": reset["id"]}) as answer:
        stream = events(answer)
        missed = [json.loads(next(stream)["data"])["mobile"] for _ in range(2)]
    assert missed == ["13800138001", "13800138002"]


def raw(simulator: Simulator, request: bytes) -> bytes:
    """Bytes in, bytes out, until the server closes."""
    with socket.create_connection((simulator.host, simulator.port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/api/messages", "/api/events", "/static/inbox.js"])
def test_a_foreign_host_name_gets_nothing(simulator: Simulator, host: str, path: str) -> None:
    answer = raw(simulator, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8025", "127.0.0.1", "[::1]:8025", "inbox.localhost"])
def test_names_of_this_machine_are_welcome(simulator: Simulator, host: str) -> None:
    assert simulator.http.get("/api/messages", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_another_site_can_not_change_anything(simulator: Simulator, headers: dict[str, str]) -> None:
    simulator.send()
    assert simulator.http.delete("/api/messages", headers=headers).status_code == 403
    assert simulator.http.post("/api/reset", json={}, headers=headers).status_code == 403
    assert simulator.http.post("/api/reset", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert len(simulator.messages()) == 1
    assert "access-control-allow-origin" not in simulator.http.get("/api/messages").headers


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/nothing", None, 404),
        ("GET", "/api/messages/x", None, 404),
        ("GET", "/api/messages?after=x", None, 400),
        ("GET", "/api/messages?wait=-1", None, 400),
        ("GET", "/api/messages?mobile=abc", None, 400),
        ("GET", "/api/messages?limit=0", None, 400),
        ("GET", "/api/log?limit=0", None, 400),
        ("GET", "/api/messages?" + "a=1&" * 60, None, 400),
        ("POST", "/api/messages", {}, 405),
        ("PUT", "/api/accounts/demo", {"balanse": 1}, 400),
        ("PUT", "/api/accounts/demo", {"error_rate": 2}, 400),
        ("PUT", "/api/accounts/demo", {"frequency": ["often"]}, 400),
        ("PUT", "/api/accounts/demo", {"fault": {"name": "nonsense"}}, 400),
        ("PUT", "/api/gateway", {"latency_ms": -1}, 400),
        ("POST", "/api/replies", {"mobile": "1", "content": ""}, 400),
        ("GET", "/api/accounts/nobody", None, 404),
        ("GET", "/static/..%2Fpages.py", None, 404),
    ],
)
def test_a_wrong_call_is_told_what_to_mend(
    simulator: Simulator, method: str, path: str, body: object, status: int
) -> None:
    answer = simulator.http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_an_account_is_created_changed_and_deleted(simulator: Simulator) -> None:
    simulator.account("shop", password="s3cret", balance=5)
    assert simulator.verdict(account="shop", password="s3cret")["remainpoint"] == "4"
    shown = simulator.account("shop", keywords=["红包"])
    assert (shown["balance"], shown["sent"], shown["keywords"]) == (4, 1, ["红包"])
    assert simulator.account("shop", balance=5)["balance"] == 5
    assert simulator.http.delete("/api/accounts/shop").status_code == 200
    assert simulator.verdict(account="shop", password="s3cret")["message"] == "用户名或密码错误"


def test_hostile_requests_are_refused_and_the_server_lives(simulator: Simulator) -> None:
    assert raw(simulator, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(simulator, b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000).startswith(b"HTTP/1.1 431 ")
    big = simulator.http.post("/sms.aspx", content=b"x" * ((1 << 20) + 1))
    assert big.status_code == 413
    deep = b'{"a":' * 100_000
    kind = {"content-type": "application/json"}
    assert simulator.http.put("/api/accounts/demo", content=deep, headers=kind).status_code == 400
    assert simulator.http.get("/livez").json()["status"] == "ok"


def test_pages_forbid_everything_that_is_not_theirs(simulator: Simulator) -> None:
    page = simulator.http.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_complete_without_javascript_and_escapes_what_it_shows(simulator: Simulator) -> None:
    simulator.send(content="【今信科技】<script>alert(1)</script>345678")
    simulator.send(content="<b>refused</b>")
    page = simulator.http.get("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;345678" in page
    assert "<script>alert" not in page
    assert "短信必须带【】格式签名" in page


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"), ("en-GB,zh;q=0.5", "en"), ("fr", "en"), ("zh-TW", "zh-CN"), (";;q=x", "en")],
)
def test_the_page_speaks_the_browser_s_language(simulator: Simulator, accepted: str, language: str) -> None:
    page = simulator.http.get("/", headers={"accept-language": accepted}).text
    assert f'<html lang="{language}">' in page


def test_the_fault_table_is_served(simulator: Simulator) -> None:
    faults = simulator.http.get("/api/faults").json()["faults"]
    assert {"name", "suffix", "accepts", "about"} == set(faults[0])
    page = simulator.http.get("/faults").text
    assert all(f"…{fault['suffix']}" in page for fault in faults)


def test_a_taken_port_is_one_line_and_exit_1(simulator: Simulator) -> None:
    command = [sys.executable, "-m", "otp_service.simulator", "--port", str(simulator.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert str(simulator.port) in done.stderr


def test_sigterm_ends_it_at_once_even_while_callers_wait() -> None:
    command = [sys.executable, "-m", "otp_service.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        own = Simulator(process.stdout.readline().split()[1])
        with own.http.stream("GET", "/api/events"), socket.create_connection((own.host, own.port)) as idle:
            idle.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert idle.recv(100)
            process.terminate()
            assert process.wait(10) == 0
        assert process.stderr.read() == ""
        own.http.close()
