"""Delivery reports of every protocol, pushed to a receiver and polled."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from hashlib import md5, sha1
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from protocol_clients import ABROAD, Receiver, a_receiver, aliyun, standard_signature, tencent, twilio, vonage, webhook
from simulator_helpers import NUMBER, Simulator

from otp_service.simulator import DEMO

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1yZXBvcnRz"


@pytest.fixture
def receiver(simulator: Simulator) -> Any:
    for demo in DEMO.values():
        simulator.account(demo.name, report_delay=0)
    with a_receiver() as found:
        yield found


def test_twilio_posts_a_signed_status_to_the_callback(simulator: Simulator, receiver: Receiver) -> None:
    url = f"{receiver.url}/status?channel=twilio"
    sid = twilio(simulator, StatusCallback=url).json()["sid"]
    pushed = receiver.next()
    fields = dict(parse_qsl(pushed.body.decode(), strict_parsing=True))
    assert (fields["MessageSid"], fields["MessageStatus"], fields["To"]) == (sid, "delivered", ABROAD)
    text = url + "".join(name + fields[name] for name in sorted(fields))
    wanted = hmac.new(DEMO["twilio"].secret.encode(), text.encode(), sha1).digest()
    assert pushed.headers["x-twilio-signature"] == b64encode(wanted).decode()


def test_a_failed_report_says_so_in_each_protocol_s_words(simulator: Simulator, receiver: Receiver) -> None:
    for demo in DEMO.values():
        simulator.account(demo.name, report="failed", report_url=receiver.url)
    twilio(simulator)
    fields = dict(parse_qsl(receiver.next().body.decode()))
    assert (fields["MessageStatus"], fields["ErrorCode"]) == ("undelivered", "30003")
    vonage(simulator)
    assert json.loads(receiver.next().body)["status"] == "failed"
    aliyun(simulator)
    assert json.loads(receiver.next().body)[0]["success"] is False
    tencent(simulator)
    assert json.loads(receiver.next().body)[0]["report_status"] == "FAIL"
    webhook(simulator)
    assert json.loads(receiver.next().body)["status"] == "undelivered"


def test_vonage_posts_a_receipt_to_the_callback(simulator: Simulator, receiver: Receiver) -> None:
    answer = vonage(simulator, callback=receiver.url, **{"client-ref": "try-1"}).json()
    receipt = json.loads(receiver.next().body)
    assert receipt["messageId"] == answer["messages"][0]["message-id"]
    assert (receipt["status"], receipt["err-code"], receipt["client-ref"]) == ("delivered", "0", "try-1")
    assert receipt["msisdn"] == ABROAD[1:]
    text = "".join(f"&{name}={receipt[name]}" for name in sorted(receipt) if name != "sig")
    wanted = md5(f"{text}{DEMO['vonage'].report_secret}".encode(), usedforsecurity=False)
    assert receipt["sig"] == wanted.hexdigest()


def test_aliyun_pushes_to_the_account_s_address(simulator: Simulator, receiver: Receiver) -> None:
    simulator.account("demo-aliyun", report_url=receiver.url)
    biz_id = aliyun(simulator, OutId="try-1").json()["BizId"]
    (row,) = json.loads(receiver.next().body)
    assert (row["biz_id"], row["out_id"], row["success"], row["err_code"]) == (biz_id, "try-1", True, "DELIVERED")


def details(simulator: Simulator, **fields: str) -> list[dict[str, Any]]:
    asked = {"PhoneNumber": NUMBER, "SendDate": "20261124", "PageSize": "10", "CurrentPage": "1", **fields}
    found: dict[str, Any] = aliyun(simulator, action="QuerySendDetails", **asked).json()
    rows: list[dict[str, Any]] = found["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert found["TotalCount"] == len(rows)
    return rows


def test_aliyun_tells_the_state_of_a_message_as_often_as_it_is_asked(simulator: Simulator, receiver: Receiver) -> None:
    simulator.account("demo-aliyun", report_url=receiver.url)
    first = aliyun(simulator).json()["BizId"]
    simulator.account("demo-aliyun", report="failed")
    second = aliyun(simulator).json()["BizId"]
    simulator.account("demo-aliyun", report="none")
    third = aliyun(simulator).json()["BizId"]
    states = {biz_id: details(simulator, BizId=biz_id)[0]["SendStatus"] for biz_id in (first, second, third)}
    assert states == {first: 3, second: 2, third: 1}
    assert details(simulator, BizId=first)[0]["ErrCode"] == "DELIVERED"
    assert [row["SendStatus"] for row in details(simulator)] == [1, 2, 3]
    assert aliyun(simulator, action="QuerySendDetails").status_code == 400


def test_a_webhook_report_is_signed_with_the_account_s_secret(simulator: Simulator, receiver: Receiver) -> None:
    simulator.account("demo-webhook", report_url=receiver.url)
    message_id = webhook(simulator).json()["id"]
    pushed = receiver.next()
    assert json.loads(pushed.body)["id"] == message_id
    assert is_signed(pushed.headers, pushed.body, DEMO["webhook"].secret)


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    wanted = standard_signature(secret, headers["webhook-id"], headers["webhook-timestamp"], body)
    return headers["webhook-signature"] == wanted


def test_tencent_reports_are_pulled_once(simulator: Simulator, receiver: Receiver) -> None:
    (sent,) = tencent(simulator, SessionContext="try-1").json()["Response"]["SendStatusSet"]
    pull = tencent(simulator, "PullSmsSendStatus", Limit=100).json()["Response"]
    (row,) = pull["PullSmsSendStatusSet"]
    assert (row["SerialNo"], row["ReportStatus"], row["Description"]) == (sent["SerialNo"], "SUCCESS", "DELIVRD")
    assert (row["CountryCode"], row["SubscriberNumber"]) == ("86", NUMBER)
    assert row["SessionContext"] == "try-1"
    again = tencent(simulator, "PullSmsSendStatus", Limit=100).json()["Response"]
    assert again["PullSmsSendStatusSet"] == []


def test_tencent_replies_are_pulled_once(simulator: Simulator) -> None:
    given = {"account": "demo-tencent", "mobile": ABROAD, "content": "STOP"}
    assert simulator.http.post("/api/replies", json=given).status_code == 201
    pulled = [tencent(simulator, "PullSmsReplyStatus", Limit=9).json()["Response"] for _ in range(2)]
    (row,), nothing = (answer["PullSmsReplyStatusSet"] for answer in pulled)
    assert (row["PhoneNumber"], row["ReplyContent"], nothing) == (ABROAD, "STOP", [])


def test_a_pull_is_refused_like_a_send(simulator: Simulator) -> None:
    answer = tencent(simulator, "PullSmsSendStatus", secret="wrong", Limit=100).json()
    assert answer["Response"]["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert "Error" in tencent(simulator, "PullSmsSendStatus", Limit=101).json()["Response"]


@pytest.mark.parametrize("path", ["/sms.aspx", "/smsJson.aspx"])
def test_the_family_pushes_its_rows_signed_if_asked(simulator: Simulator, receiver: Receiver, path: str) -> None:
    simulator.account(report_url=receiver.url, report_secret=SECRET)
    if path == "/sms.aspx":
        task = simulator.verdict()["taskID"]
        pushed = receiver.next()
        (box,) = ElementTree.fromstring(pushed.body)
        row = {leaf.tag: leaf.text or "" for leaf in box}
    else:
        password = "FE01CE2A7FBAC8FAFAED7C982A04E229"
        text = "您的验证码是345678【今信科技】"
        task = simulator.send(path, password=password, content=text).json()["taskID"]
        pushed = receiver.next()
        (row,) = json.loads(pushed.body)["statusbox"]
    assert (row["mobile"], row["taskid"], row["status"]) == (NUMBER, task, "10")
    assert is_signed(pushed.headers, pushed.body, SECRET)
    assert simulator.reports() == [], "what is pushed does not wait to be fetched as well"


def test_user_and_password_of_an_address_become_basic_authentication(simulator: Simulator, receiver: Receiver) -> None:
    shown = simulator.account(report_url=receiver.url.replace("://", "://otp:p%40ss@") + "/in")
    assert shown["report_url"] == f"{receiver.url}/in"
    simulator.send()
    pushed = receiver.next()
    assert pushed.path == "/in"
    assert pushed.headers["authorization"] == "Basic " + b64encode(b"otp:p@ss").decode()
    assert "@" not in pushed.headers["host"]


def test_a_receiver_that_is_busy_is_tried_again_with_the_same_id(simulator: Simulator, receiver: Receiver) -> None:
    simulator.account(report_url=receiver.url, report_secret=SECRET)
    receiver.statuses = [503]
    simulator.send()
    first = receiver.next().headers["webhook-id"]
    assert receiver.next().headers["webhook-id"] == first


def test_a_duplicate_report_is_two_pushes(simulator: Simulator, receiver: Receiver) -> None:
    simulator.account(report_url=receiver.url, fault={"name": "report_duplicate", "next": 1})
    simulator.send()
    receiver.next()
    receiver.next()
    assert len(receiver.pushed) == 2
