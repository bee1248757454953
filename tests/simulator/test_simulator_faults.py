"""Each fault does on the wire what its name says, and only those that accept leave a message behind."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from simulator_helpers import Simulator, leaves, signed

ENDLESS_OR_SILENT = {"hang", "hang_unsent", "endless", "drip", "slow", "slower", "report_early"}


def faults(simulator: Simulator) -> dict[str, dict[str, Any]]:
    return {fault["name"]: fault for fault in simulator.http.get("/api/faults").json()["faults"]}


def number_of(simulator: Simulator, name: str) -> str:
    suffix: str = faults(simulator)[name]["suffix"]
    return "1380013" + suffix


def provoke(simulator: Simulator, name: str, **fields: str) -> httpx.Response:
    return simulator.send(mobile=number_of(simulator, name), **fields)


def opened(simulator: Simulator, name: str) -> socket.socket:
    """A connection on which the fault was asked for, nothing read yet."""
    body = urlencode(simulator.fields(mobile=number_of(simulator, name))).encode()
    head = b"POST /sms.aspx HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    connection = socket.create_connection((simulator.host, simulator.port), timeout=5)
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def all_of(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def test_no_ordinary_number_meets_a_fault(simulator: Simulator) -> None:
    ordinary = {"8000", "0000", "1234", "5678", "9999", *(f"000{digit}" for digit in range(1, 10))}
    assert ordinary.isdisjoint(fault["suffix"] for fault in faults(simulator).values())


def test_only_faults_that_accept_leave_a_message_a_charge_and_a_report(simulator: Simulator) -> None:
    simulator.account(report_delay=0)
    for name, fault in faults(simulator).items():
        if name in ENDLESS_OR_SILENT or name.startswith(("report_", "miaodi_0")):
            continue
        before = simulator.http.get("/api/accounts/demo").json()["balance"]
        mobile = "1380013" + fault["suffix"]
        with suppress(httpx.TransportError, httpx.DecodingError):
            simulator.send(mobile=mobile)
        paid = before - simulator.http.get("/api/accounts/demo").json()["balance"]
        seen = (len(simulator.messages(mobile=mobile)), paid, len(simulator.reports()))
        assert seen == ((1, 1, 1) if fault["accepts"] else (0, 0, 0)), name


def test_every_refusal_can_be_provoked_in_its_words(simulator: Simulator) -> None:
    refusals = [fault for name, fault in faults(simulator).items() if name.startswith("refuse_")]
    assert len(refusals) > 25
    for fault in refusals:
        answer = simulator.verdict(mobile="1380013" + fault["suffix"])
        assert (answer["returnstatus"], "Refused: " + answer["message"]) == ("Faild", fault["about"])


def test_every_miaodi_code_can_be_provoked_on_its_path_and_nowhere_else(simulator: Simulator) -> None:
    codes = {fault["suffix"]: name[-5:] for name, fault in faults(simulator).items() if name.startswith("miaodi_0")}
    assert len(codes) > 50
    fields = signed()
    data = {"accountSid": "demo", "smsContent": "【今信科技】345678", **fields, "sig": fields["sign"]}
    for suffix, code in codes.items():
        answer = simulator.http.post("/20150822/industrySMS/sendSMS", data={**data, "to": "1380013" + suffix})
        assert answer.json()["respCode"] == code
    assert simulator.verdict(mobile="13800137111")["returnstatus"] == "Success"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 415, 500, 502, 503, 504])
def test_a_status_is_that_status(simulator: Simulator, status: int) -> None:
    assert provoke(simulator, f"http_{status}").status_code == status


def test_too_many_requests_name_a_time(simulator: Simulator) -> None:
    answer = provoke(simulator, "http_429")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_redirects_lead_away(simulator: Simulator) -> None:
    assert provoke(simulator, "redirect_302").headers["location"] == "http://127.0.0.1:9/error.htm"
    assert provoke(simulator, "redirect_metadata").headers["location"] == "http://169.254.169.254/"


@pytest.mark.parametrize("name", ["hang", "hang_unsent"])
def test_a_hang_says_nothing_and_keeps_the_line(simulator: Simulator, name: str) -> None:
    with opened(simulator, name) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert len(simulator.messages()) == (name == "hang")


@pytest.mark.parametrize("name", ["reset", "reset_unsent"])
def test_a_reset_is_a_reset(simulator: Simulator, name: str) -> None:
    with opened(simulator, name) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert len(simulator.messages()) == (name == "reset")


def test_a_truncated_body_ends_before_its_promised_length(simulator: Simulator) -> None:
    for name in ("truncated", "truncated_at_once"):
        with opened(simulator, name) as connection:
            head, _, body = all_of(connection).partition(b"\r\n\r\n")
        promised = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        assert len(body) < promised


def test_a_cut_body_is_whole_for_http_and_not_for_xml(simulator: Simulator) -> None:
    body = provoke(simulator, "cut").content
    assert body.startswith(b"<?xml")
    assert not body.endswith(b"</returnsms>")


def test_a_drip_comes_byte_by_byte(simulator: Simulator) -> None:
    with opened(simulator, "drip") as connection:
        connection.recv(1000)
        assert len(connection.recv(1000)) == 1


def test_an_endless_body_outgrows_every_cap(simulator: Simulator) -> None:
    read = 0
    with opened(simulator, "endless") as connection:
        while read < 4 << 20:
            read += len(connection.recv(1 << 20))


def test_a_gzip_bomb_is_small_outside_and_huge_inside(simulator: Simulator) -> None:
    with simulator.http.stream(
        "POST", "/sms.aspx", data=simulator.fields(mobile=number_of(simulator, "gzip_bomb"))
    ) as got:
        assert got.headers["content-encoding"] == "gzip"
        packed = b"".join(got.iter_raw())
    assert len(packed) < 100_000
    unpacked = gzip.decompress(packed)
    assert len(unpacked) > 50 << 20
    assert unpacked.strip().startswith(b"<?xml")


def test_a_late_answer_keeps_its_caller_waiting_with_the_message_taken(simulator: Simulator) -> None:
    with opened(simulator, "slow") as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert len(simulator.messages()) == 1


def test_the_damaged_sample_is_damaged_just_so(simulator: Simulator) -> None:
    mobile = number_of(simulator, "damaged")
    body = simulator.send(mobile=mobile).text
    assert "<message>message;/message;" in body
    assert f"<phone>{mobile} </phone>" in body
    assert "<returnsms>00111 </returnsms>" in body


@pytest.mark.parametrize(
    ("name", "beginning", "charset", "word"),
    [
        ("gb2312_is_utf8", b'<?xml version="1.0" encoding="gb2312" ?>', "utf-8", "操作成功"),
        ("utf8_is_gbk", b'<?xml version="1.0" encoding="utf-8" ?>', "gbk", "操作成功"),
        ("gb2312_is_utf8_refused", b'<?xml version="1.0" encoding="gb2312" ?>', "utf-8", "用户名或密码错误"),
        ("utf8_is_gbk_refused", b'<?xml version="1.0" encoding="utf-8" ?>', "gbk", "用户名或密码错误"),
        ("bom", b"\xef\xbb\xbf\r\n\r\n<?xml", "utf-8", "Success"),
        ("no_declaration", b"<returnsms>\r\n", "utf-8", "Success"),
        ("sucess", b"<?xml", "utf-8", "<returnstatus>Sucess</returnstatus>"),
        ("lower_blanks", b"<?xml", "utf-8", "<returnstatus> success </returnstatus>"),
        ("failed", b"<?xml", "utf-8", "<returnstatus>Failed</returnstatus>"),
        ("count_zero", b"<?xml", "utf-8", "<successCounts>0</successCounts>"),
        ("negative_balance", b"<?xml", "utf-8", "<remainpoint>-235010</remainpoint>"),
        ("placeholders", b"<returnsms>", "utf-8", "<returnstatus>status</returnstatus>"),
        ("html", b"<html>", "utf-8", "document.cookie"),
        ("empty", b"", "utf-8", ""),
        ("dtd", b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "Success">]>', "utf-8", "&a;"),
        ("dtd_laughs", b'<?xml version="1.0"?><!DOCTYPE', "utf-8", "&l8;&l8;"),
        ("dtd_external", b'<?xml version="1.0"?><!DOCTYPE', "utf-8", "SYSTEM"),
        ("mebibyte", b" " * (1 << 20), "utf-8", "Success"),
        ("json_depth", b'{"a":{"a":', "utf-8", ""),
        ("miaodi_four_zeros", b'{"respCode":"0000"', "utf-8", "smsId"),
        ("miaodi_integer", b'{"respCode":0,', "utf-8", ""),
        ("miaodi_fail_count", b'{"respCode":"00000","failCount":"1","smsId"', "utf-8", ""),
    ],
)
def test_an_odd_answer_is_odd_in_the_promised_way(
    simulator: Simulator, name: str, beginning: bytes, charset: str, word: str
) -> None:
    body = provoke(simulator, name).content
    assert body.startswith(beginning)
    assert word in body.decode(charset)


def test_a_failure_may_carry_a_real_task(simulator: Simulator) -> None:
    answer = leaves(provoke(simulator, "failure_with_task"))
    assert (answer["returnstatus"], answer["message"]) == ("Faild", "其他错误")
    assert answer["taskID"] == simulator.messages()[0]["taskid"]


def test_a_fail_list_names_the_number_or_another(simulator: Simulator) -> None:
    ours = number_of(simulator, "miaodi_fail_list")
    assert simulator.send(mobile=ours).json()["failList"] == [{"phone": ours, "respCode": "00111"}]
    assert provoke(simulator, "miaodi_other_number").json()["failList"][0]["phone"] == "13000000000"


def test_json_may_be_wrapped(simulator: Simulator) -> None:
    assert provoke(simulator, "result_object").json()["result"]["ReturnStatus"] == "Success"
    assert json.loads(provoke(simulator, "result_string").json()["result"])["ReturnStatus"] == "Success"


def test_rt_may_be_ignored(simulator: Simulator) -> None:
    answer = simulator.send("/v2sms.aspx", mobile=number_of(simulator, "rt_ignored"), rt="json", **signed())
    assert leaves(answer)["returnstatus"] == "Success"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("report_failed", [("20", "UNDELIV")]),
        ("report_none", []),
        ("report_duplicate", [("10", "DELIVRD"), ("10", "DELIVRD")]),
        ("report_late", []),
        ("report_word", [("DELIVRD", "0")]),
        ("report_no_status", [(None, "MK:0001")]),
    ],
)
def test_reports_go_wrong_as_promised(simulator: Simulator, name: str, rows: list[tuple[str | None, str]]) -> None:
    simulator.account(report_delay=0)
    assert leaves(provoke(simulator, name))["returnstatus"] == "Success"
    assert [(row.get("status"), row["errorcode"]) for row in simulator.reports()] == rows


def test_a_contradictory_report_follows_the_first(simulator: Simulator) -> None:
    simulator.account(report_delay=0)
    provoke(simulator, "report_contradictory")
    rows = []
    until = time.monotonic() + 5
    while len(rows) < 2 and time.monotonic() < until:
        rows += simulator.reports()
        time.sleep(0.05)
    assert [row["status"] for row in rows] == ["10", "20"]


def test_an_early_report_is_there_before_the_answer(simulator: Simulator) -> None:
    with opened(simulator, "report_early") as connection:
        simulator.messages(wait=5)
        assert len(simulator.reports()) == 1
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_an_account_can_be_given_a_fault_for_the_next_messages(simulator: Simulator) -> None:
    simulator.account(fault={"name": "http_503", "next": 2})
    assert [simulator.send().status_code for _ in range(3)] == [503, 503, 200]
    assert simulator.http.get("/api/accounts/demo").json()["fault"] is None


def test_an_account_can_be_given_a_fault_for_good_and_be_healed(simulator: Simulator) -> None:
    simulator.account(fault={"name": "refuse_busy"})
    assert {simulator.verdict()["message"] for _ in range(3)} == {"系统繁忙"}
    simulator.account(fault=None)
    assert simulator.verdict()["returnstatus"] == "Success"


def test_an_error_rate_is_spread_evenly(simulator: Simulator) -> None:
    simulator.account(error_rate=0.25)
    assert [simulator.send().status_code for _ in range(8)] == [200, 200, 200, 503] * 2
    simulator.account(error_rate=0)
    simulator.http.put("/api/gateway", json={"error_rate": 1})
    assert simulator.send().status_code == 503


def test_latency_delays_the_answer_not_the_message(simulator: Simulator) -> None:
    simulator.http.put("/api/gateway", json={"latency_ms": 60_000})
    body = urlencode(simulator.fields()).encode()
    with socket.create_connection((simulator.host, simulator.port), timeout=5) as connection:
        head = b"POST /sms.aspx HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        assert len(simulator.messages(wait=5)) == 1


def test_number_faults_can_be_switched_off(simulator: Simulator) -> None:
    simulator.account(number_faults=False)
    assert leaves(provoke(simulator, "refuse_busy"))["returnstatus"] == "Success"


def test_a_turned_away_message_is_explained_in_the_log(simulator: Simulator) -> None:
    provoke(simulator, "http_503")
    (entry,) = simulator.http.get("/api/log").json()["refusals"]
    assert (entry["check"], entry["message"]) == ("http_503", "HTTP 503, before the message is accepted.")
    assert "last four digits" in entry["hint"]


def test_queries_meet_faults_of_the_wire_and_lose_their_rows_only_behind_an_accepting_one(
    simulator: Simulator,
) -> None:
    simulator.account(report_delay=0, query_fault={"name": "http_503", "next": 1})
    simulator.send()
    asked = {"action": "query", "account": "demo", "password": "demo"}
    assert simulator.http.post("/statusApi.aspx", data=asked).status_code == 503
    assert len(simulator.reports()) == 1
    simulator.account(query_fault={"name": "truncated", "next": 1})
    simulator.send()
    with pytest.raises(httpx.RemoteProtocolError):
        simulator.http.post("/statusApi.aspx", data=asked)
    assert simulator.reports() == []
    wrong = simulator.http.put("/api/accounts/demo", json={"query_fault": {"name": "count_zero"}})
    assert wrong.status_code == 400
