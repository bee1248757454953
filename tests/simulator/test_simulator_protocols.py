"""Twilio, Aliyun, Tencent, Vonage and webhooks: taken, refused in their own words, and hurt by the same faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import md5, sha256
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from protocol_clients import ABROAD, TEXT, acs3_authorization, aliyun, tencent, twilio, vonage, webhook
from simulator_helpers import NUMBER, Simulator

from otp_service.simulator import DEMO

Send = Callable[..., httpx.Response]
SENDERS: dict[str, Send] = {
    "twilio": twilio,
    "aliyun": aliyun,
    "tencent": tencent,
    "vonage": vonage,
    "webhook": webhook,
}


def to(protocol: str, number: str) -> dict[str, Any]:
    """The field that says to whom, for an E.164 number."""
    return {
        "twilio": {"To": number},
        "aliyun": {"PhoneNumbers": number.removeprefix("+86").removeprefix("+")},
        "tencent": {"PhoneNumberSet": [number]},
        "vonage": {"to": number.removeprefix("+")},
        "webhook": {"to": number},
    }[protocol]


def said(protocol: str, answer: httpx.Response) -> str:
    """The protocol's own code for what happened."""
    found = answer.json()
    if protocol == "twilio":
        return str(found.get("code") or found["status"])
    if protocol == "aliyun":
        return str(found["Code"])
    if protocol == "tencent":
        whole = found["Response"].get("Error")
        return str(whole["Code"] if whole else found["Response"]["SendStatusSet"][0]["Code"])
    if protocol == "vonage":
        return str(found["messages"][0]["status"])
    return str(found.get("error", "ok"))


GOOD = {"twilio": "queued", "aliyun": "OK", "tencent": "Ok", "vonage": "0", "webhook": "ok"}


@pytest.mark.parametrize("protocol", SENDERS)
def test_a_good_message_is_taken_and_shown_with_its_protocol_and_code(simulator: Simulator, protocol: str) -> None:
    answer = SENDERS[protocol](simulator)
    assert said(protocol, answer) == GOOD[protocol]
    (message,) = simulator.messages()
    demo = DEMO[protocol]
    assert message["protocol"] == protocol
    assert (message["account"], message["channel_account"]) == (demo.name, demo.id)
    assert message["code"] == "345678"
    assert message["taskid"] in answer.text


def test_each_answer_has_the_fields_that_clients_read(simulator: Simulator) -> None:
    created = twilio(simulator).json()
    assert created["sid"].startswith("SM")
    assert (len(created["sid"]), created["to"], created["num_segments"]) == (34, ABROAD, "1")
    assert aliyun(simulator).json().keys() == {"Code", "Message", "RequestId", "BizId"}
    (row,) = tencent(simulator, SessionContext="try-1").json()["Response"]["SendStatusSet"]
    assert (row["PhoneNumber"], row["Fee"], row["SessionContext"]) == ("+8613800138000", 1, "try-1")
    assert vonage(simulator).json()["messages"][0]["to"] == ABROAD[1:]
    assert webhook(simulator).json()["id"].startswith("out_")


def test_gateways_that_hold_the_text_show_template_and_parameters(simulator: Simulator) -> None:
    aliyun(simulator, TemplateParam='{"verification":"456789","minutes":"5"}')
    tencent(simulator, TemplateParamSet=["567890", "5"])
    newest, oldest = simulator.messages()
    assert (oldest["content"], oldest["code"]) == (
        '【今信科技】SMS_154950909 {"verification":"456789","minutes":"5"}',
        "456789",
    )
    assert (newest["content"], newest["code"]) == ('【今信科技】1110 ["567890", "5"]', "567890")


@pytest.mark.parametrize("protocol", SENDERS)
def test_one_number_is_one_number_whichever_protocol_carried_it(simulator: Simulator, protocol: str) -> None:
    SENDERS[protocol](simulator, **to(protocol, "+8613800138000"))
    assert len(simulator.messages(mobile=NUMBER)) == 1
    assert len(simulator.messages(mobile="+8613800138000")) == 1
    simulator.http.delete("/api/messages")
    SENDERS[protocol](simulator, **to(protocol, ABROAD))
    assert [row["mobile"] for row in simulator.messages(mobile=ABROAD)] == [ABROAD]


@pytest.mark.parametrize(
    ("protocol", "fields", "status", "code"),
    [
        ("twilio", {"token": "wrong"}, 401, "20003"),
        ("twilio", {"sid": "AC" + "1" * 32}, 401, "20003"),
        ("twilio", {"To": ""}, 400, "21604"),
        ("twilio", {"To": "0123"}, 400, "21211"),
        ("twilio", {"From": ""}, 400, "21603"),
        ("twilio", {"Body": " "}, 400, "21602"),
        ("aliyun", {"key": "LTAIother"}, 404, "InvalidAccessKeyId.NotFound"),
        ("aliyun", {"secret": "wrong"}, 400, "SignatureDoesNotMatch"),
        ("aliyun", {"at": time.time() - 1000}, 400, "InvalidTimeStamp.Expired"),
        ("aliyun", {"action": "SendNothing"}, 404, "InvalidAction.NotFound"),
        ("aliyun", {"PhoneNumbers": "12a"}, 200, "isv.MOBILE_NUMBER_ILLEGAL"),
        ("aliyun", {"TemplateCode": ""}, 400, "MissingTemplateCode"),
        ("aliyun", {"SignName": ""}, 200, "isv.SMS_SIGNATURE_ILLEGAL"),
        ("aliyun", {"TemplateParam": '{"code":345678}'}, 200, "isv.INVALID_JSON_PARAM"),
        ("aliyun", {"TemplateParam": '{"code":"贷款"}'}, 200, "isv.BLACK_KEY_CONTROL_LIMIT"),
        ("tencent", {"key": "AKIDother"}, 200, "AuthFailure.SecretIdNotFound"),
        ("tencent", {"secret": "wrong"}, 200, "AuthFailure.SignatureFailure"),
        ("tencent", {"at": time.time() - 1000}, 200, "AuthFailure.SignatureExpire"),
        ("tencent", {"PhoneNumberSet": ["12"]}, 200, "InvalidParameterValue.IncorrectPhoneNumber"),
        ("tencent", {"PhoneNumberSet": []}, 200, "MissingParameter"),
        ("tencent", {"TemplateParamSet": [345678]}, 200, "InvalidParameter"),
        ("tencent", {"SignName": ""}, 200, "FailedOperation.SignatureIncorrectOrUnapproved"),
        ("vonage", {"api_secret": "wrong"}, 200, "4"),
        ("vonage", {"api_key": ""}, 200, "2"),
        ("vonage", {"to": "12"}, 200, "3"),
        ("vonage", {"from": ""}, 200, "2"),
        ("webhook", {"secret": "whsec_b3RoZXI="}, 401, "signature_invalid"),
        ("webhook", {"at": time.time() - 1000}, 401, "timestamp_stale"),
        ("webhook", {"account": "nobody"}, 404, "unknown_account"),
        ("webhook", {"type": "message.receive"}, 400, "body_invalid"),
        ("webhook", {"to": "12"}, 422, "number"),
        ("webhook", {"text": ""}, 400, "text_missing"),
    ],
)
def test_what_is_wrong_is_refused_in_the_protocol_s_words(
    simulator: Simulator, protocol: str, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = SENDERS[protocol](simulator, **fields)
    assert (answer.status_code, said(protocol, answer)) == (status, code)
    assert simulator.messages() == []
    (refusal,) = simulator.http.get("/api/log").json()["refusals"]
    assert refusal["protocol"] == protocol
    assert refusal["message"].startswith(code)


def test_a_request_without_credentials_is_told_so(simulator: Simulator) -> None:
    path = f"/2010-04-01/Accounts/{DEMO['twilio'].id}/Messages.json"
    assert said("twilio", simulator.http.post(path, data={"To": ABROAD})) == "20003"
    assert said("aliyun", simulator.http.post("/", headers={"x-acs-action": "SendSms"})) == "MissingAuthorization"
    bare = simulator.http.post("/", headers={"x-tc-action": "SendSms"}, json={})
    assert said("tencent", bare) == "AuthFailure.InvalidAuthorization"
    assert said("webhook", simulator.http.post("/webhook/demo", json={})) == "signature_missing"


def test_an_altered_body_breaks_the_signature(simulator: Simulator) -> None:
    """The signature covers what is sent, not only who sends it."""
    good = tencent(simulator).request
    altered = simulator.http.post("/", content=good.content.replace(b"345678", b"999999"), headers=good.headers)
    assert said("tencent", altered) == "AuthFailure.SignatureFailure"
    signed = webhook(simulator).request
    altered = simulator.http.post(
        "/webhook/demo", content=signed.content.replace(b"345678", b"999999"), headers=signed.headers
    )
    assert said("webhook", altered) == "signature_invalid"
    url = str(aliyun(simulator, nonce="once").request.url)
    again = aliyun(simulator, nonce="twice").request
    moved = simulator.http.post(url.replace("13800138000", "13900139000"), headers=again.headers)
    assert said("aliyun", moved) == "SignatureDoesNotMatch"


def test_an_aliyun_nonce_serves_once(simulator: Simulator) -> None:
    assert said("aliyun", aliyun(simulator, nonce="n1")) == "OK"
    assert said("aliyun", aliyun(simulator, nonce="n1")) == "SignatureNonceUsed"


def test_an_aliyun_request_may_carry_its_parameters_in_the_body(simulator: Simulator) -> None:
    """Form fields are signed by the hash of the body."""
    fields = {"PhoneNumbers": "13800138000", "SignName": "今信科技", "TemplateCode": "SMS_1"}
    body = urlencode({**fields, "TemplateParam": '{"code":"345678"}'}).encode()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": f"{simulator.host}:{simulator.port}",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": sha256(body).hexdigest(),
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": "form",
        "x-acs-version": "2017-05-25",
    }
    account = DEMO["aliyun"]
    headers["authorization"] = acs3_authorization(account.id, account.secret, "POST", "/", {}, headers, body)
    assert said("aliyun", simulator.http.post("/", content=body, headers=headers)) == "OK"


@pytest.mark.parametrize(
    ("protocol", "settings", "code"),
    [
        ("twilio", {"balance": 0}, "20005"),
        ("twilio", {"blacklist": [ABROAD]}, "21610"),
        ("aliyun", {"balance": 0}, "isv.AMOUNT_NOT_ENOUGH"),
        ("aliyun", {"templates": ["SMS_2"]}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ("tencent", {"blacklist": [NUMBER]}, "FailedOperation.PhoneNumberInBlacklist"),
        ("tencent", {"balance": 0}, "FailedOperation.InsufficientBalanceInSmsPackage"),
        ("vonage", {"balance": 0}, "9"),
        ("vonage", {"max_length": 5}, "12"),
        ("webhook", {"balance": 0}, "balance"),
    ],
)
def test_an_account_s_rules_hold_in_every_protocol(
    simulator: Simulator, protocol: str, settings: dict[str, Any], code: str
) -> None:
    simulator.account(DEMO[protocol].name, **settings)
    assert said(protocol, SENDERS[protocol](simulator)) == code


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        ("twilio", "20429"),
        ("aliyun", "isv.BUSINESS_LIMIT_CONTROL"),
        ("tencent", "LimitExceeded.PhoneNumberThirtySecondLimit"),
        ("vonage", "1"),
        ("webhook", "rate"),
    ],
)
def test_a_second_message_too_soon_is_refused(simulator: Simulator, protocol: str, code: str) -> None:
    simulator.account(DEMO[protocol].name, frequency=["1/60s"])
    SENDERS[protocol](simulator)
    assert said(protocol, SENDERS[protocol](simulator)) == code


@pytest.mark.parametrize("protocol", SENDERS)
def test_the_last_four_digits_provoke_the_same_faults(simulator: Simulator, protocol: str) -> None:
    suffixes = {fault["name"]: fault["suffix"] for fault in simulator.http.get("/api/faults").json()["faults"]}
    sent = SENDERS[protocol]
    busy = sent(simulator, **to(protocol, f"+8613800{'13'}{suffixes['http_503_retry']}"))
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "7")
    assert simulator.messages() == []
    failed = sent(simulator, **to(protocol, f"+861380013{suffixes['http_500_accepted']}"))
    assert failed.status_code == 500
    with pytest.raises(httpx.RemoteProtocolError):
        sent(simulator, **to(protocol, f"+861380013{suffixes['truncated']}"))
    with pytest.raises(httpx.ReadError):
        sent(simulator, **to(protocol, f"+861380013{suffixes['reset']}"))
    page = sent(simulator, **to(protocol, f"+861380013{suffixes['html']}"))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert len(simulator.messages()) == 3, "500, truncated and reset came after the message was accepted"


@pytest.mark.parametrize("protocol", SENDERS)
def test_a_hang_leaves_the_message_accepted(simulator: Simulator, protocol: str) -> None:
    simulator.account(DEMO[protocol].name, fault={"name": "hang", "next": 1})
    patient, simulator.http.timeout = simulator.http.timeout, httpx.Timeout(0.3)
    try:
        with pytest.raises(httpx.ReadTimeout):
            SENDERS[protocol](simulator)
    finally:
        simulator.http.timeout = patient
    assert len(simulator.messages()) == 1
    assert said(protocol, SENDERS[protocol](simulator)) == GOOD[protocol]


@pytest.mark.parametrize(
    ("protocol", "name", "code"),
    [
        ("twilio", "refuse_blacklist", "21610"),
        ("aliyun", "refuse_keyword", "isv.BLACK_KEY_CONTROL_LIMIT"),
        ("tencent", "refuse_frequency", "LimitExceeded.PhoneNumberThirtySecondLimit"),
        ("vonage", "refuse_suspended", "8"),
        ("webhook", "refuse_unmapped", "something_else"),
    ],
)
def test_a_refusal_can_be_provoked_by_name(simulator: Simulator, protocol: str, name: str, code: str) -> None:
    simulator.account(DEMO[protocol].name, fault={"name": name, "next": 1})
    assert said(protocol, SENDERS[protocol](simulator)) == code
    assert said(protocol, SENDERS[protocol](simulator)) == GOOD[protocol]


def test_a_fault_that_makes_no_sense_for_the_protocol_is_refused_or_passed_over(simulator: Simulator) -> None:
    answer = simulator.http.put("/api/accounts/demo-twilio", json={"fault": {"name": "dtd_laughs"}})
    assert (answer.status_code, "dtd_laughs" in answer.json()["error"]) == (400, True)
    suffix = next(f["suffix"] for f in simulator.http.get("/api/faults").json()["faults"] if f["name"] == "bom")
    assert said("twilio", twilio(simulator, To=f"+861380013{suffix}")) == "queued"


def test_latency_and_error_rate_hold_in_every_protocol(simulator: Simulator) -> None:
    simulator.account("demo-vonage", error_rate=0.5)
    assert [vonage(simulator).status_code for _ in range(4)] == [200, 503, 200, 503]
    simulator.http.put("/api/gateway", json={"latency_ms": 300})
    began = time.monotonic()
    twilio(simulator)
    assert time.monotonic() - began >= 0.3


def test_balances_are_told_to_those_who_may_know(simulator: Simulator) -> None:
    account = DEMO["twilio"]
    path = f"/2010-04-01/Accounts/{account.id}/Balance.json"
    assert simulator.http.get(path, auth=(account.id, account.secret)).json()["balance"] == "10000.00"
    assert simulator.http.get(path, auth=(account.id, "wrong")).status_code == 401
    key = {"api_key": DEMO["vonage"].id, "api_secret": DEMO["vonage"].secret}
    assert simulator.http.get("/account/get-balance", params=key).json() == {"value": 10000.0, "autoReload": False}
    basic = (key["api_key"], key["api_secret"])
    assert simulator.http.get("/account/get-balance", auth=basic).status_code == 200
    assert simulator.http.get("/account/get-balance", params={**key, "api_secret": "x"}).status_code == 401


def signed_vonage(simulator: Simulator, at: float, secret: str) -> str:
    fields = {"api_key": DEMO["vonage"].id, "to": ABROAD[1:], "from": "Acme", "text": "a&b=c 345678"}
    fields["timestamp"] = str(int(at))
    text = "".join(f"&{name}={fields[name].replace('&', '_').replace('=', '_')}" for name in sorted(fields))
    fields["sig"] = md5(f"{text}{secret}".encode(), usedforsecurity=False).hexdigest()
    return said("vonage", simulator.http.post("/sms/json", data=fields))


def test_a_vonage_request_may_be_signed_instead(simulator: Simulator) -> None:
    secret = DEMO["vonage"].report_secret
    assert signed_vonage(simulator, time.time(), secret) == "0"
    assert signed_vonage(simulator, time.time(), "wrong") == "14"
    assert signed_vonage(simulator, time.time() - 1000, secret) == "14"


def test_an_account_of_another_protocol_is_made_over_the_api(simulator: Simulator) -> None:
    sid = "AC" + "a" * 32
    shown = simulator.account("shop", protocol="twilio", id=sid, secret="shop-token")
    assert (shown["protocol"], shown["id"]) == ("twilio", sid)
    assert "shop-token" not in str(shown)
    assert said("twilio", twilio(simulator, "shop-token", sid)) == "queued"
    assert simulator.messages()[0]["account"] == "shop"
    simulator.account("shop", secret="another")
    assert said("twilio", twilio(simulator, "shop-token", sid)) == "20003"


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("shop", {"protocol": "carrier-pigeon"}, "protocol"),
        ("shop", {"id": ["a", "list"]}, "id"),
        ("shop", {"protocol": "twilio", "id": DEMO["twilio"].id}, "id"),
        ("demo", {"protocol": "twilio"}, "protocol"),
        ("shop", {"protocol": "webhook", "secret": "plain"}, "whsec_"),
        ("demo", {"report_url": "ftp://host/"}, "report_url"),
        ("demo", {"report_secret": "plain"}, "whsec_"),
    ],
)
def test_a_wrong_account_is_told_which_field_to_mend(
    simulator: Simulator, name: str, settings: dict[str, str], word: str
) -> None:
    answer = simulator.http.put(f"/api/accounts/{name}", json=settings)
    assert (answer.status_code, word in answer.json()["error"]) == (400, True), answer.text


def test_secrets_are_masked_in_what_the_inbox_shows(simulator: Simulator) -> None:
    vonage(simulator)
    account = DEMO["vonage"]
    as_json = {"api_key": account.id, "api_secret": account.secret, "to": ABROAD, "from": "Acme", "text": TEXT}
    assert said("vonage", simulator.http.post("/sms/json", json=as_json)) == "0"
    twilio(simulator)
    for row in simulator.messages():
        shown = simulator.http.get(f"/api/messages/{row['id']}").text
        assert account.secret not in shown
        assert "Basic ZA" not in shown
        assert "Basic Q" not in shown


def test_a_page_elsewhere_can_not_send_through_a_browser(simulator: Simulator) -> None:
    simulator.http.headers["origin"] = "https://evil.example"
    try:
        assert {protocol: send(simulator).status_code for protocol, send in SENDERS.items()} == dict.fromkeys(
            SENDERS, 403
        )
    finally:
        del simulator.http.headers["origin"]


def test_the_page_names_the_protocol(simulator: Simulator) -> None:
    twilio(simulator)
    assert '<span class="via" data-of="protocol">twilio</span>' in simulator.http.get("/").text
