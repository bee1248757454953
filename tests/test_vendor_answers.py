"""What each vendor's answers come to: recorded ones, played to the channel over a connection."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from otp_service.ports import Message, Outcome, Reason, TryResult
from tests.protocol_channels import BUILD, MESSAGE, OTHER_SECRET, SECRET, deliver
from tests.raw_gateway import RawGateway, http_answer, resets, says

DATA = Path(__file__).parent / "data"
RECORDED = [
    pytest.param(vendor, case, id=f"{vendor}: {case['name']}")
    for vendor in BUILD
    for case in json.loads((DATA / f"{vendor}.json").read_text("utf-8"))
]


def encoded(body: Any) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


@pytest.mark.parametrize(("vendor", "case"), RECORDED)
def test_an_answer_comes_to_its_outcome(vendor: str, case: dict[str, Any]) -> None:
    answer = http_answer(case["http_status"], encoded(case["body"]), case.get("headers"))
    with RawGateway(says(answer)) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}"))
    assert result == TryResult(
        Outcome(case["outcome"]),
        Reason(case["reason"]) if case["reason"] else None,
        case.get("detail", result.detail),
        case["gateway_id"],
        case.get("retry_after"),
        case.get("unmapped", False),
        case["http_status"] >= 500 or case["http_status"] == 429 or case["outcome"] == "retryable",
    )
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("vendor", BUILD)
def test_a_refused_connection_may_be_retried(vendor: str) -> None:
    with RawGateway(resets) as gateway:
        address = f"http://{gateway.host}"
    result = deliver(BUILD[vendor](address))
    assert (result.outcome, result.reason) == (Outcome.RETRYABLE, Reason.NETWORK)


@pytest.mark.parametrize("vendor", BUILD)
def test_a_reset_after_the_request_is_unknown(vendor: str) -> None:
    with RawGateway(resets) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}"))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.NETWORK)


@pytest.mark.parametrize("vendor", BUILD)
def test_silence_is_unknown_at_the_deadline(vendor: str) -> None:
    with RawGateway(lambda line: gateway.wait_for_end(line)) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}", deadline=0.3))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.TIMEOUT)


@pytest.mark.parametrize("vendor", BUILD)
@pytest.mark.parametrize("body", [b'{"a": ' * 30_000, b" " * 70_000 + b"{}", b'{"n": ' + b"9" * 5000 + b"}", b"\xff"])
def test_an_answer_made_to_hurt_is_unknown(vendor: str, body: bytes) -> None:
    """T59."""
    with RawGateway(says(http_answer(200, body))) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}"))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.ANSWER)


ECHOES = {
    "twilio": (400, {"code": 20003, "message": "x@x"}),
    "aliyun": (200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "x@x"}),
    "tencent": (200, {"Response": {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "x@x"}}}),
    "vonage": (200, {"messages": [{"status": "4", "error-text": "x@x"}]}),
}
SECOND_SECRETS: dict[str, dict[str, str]] = {
    "twilio": {"api_key": "SK", "api_key_secret": OTHER_SECRET},
    "aliyun": {"push_secret": OTHER_SECRET},
    "tencent": {},
    "vonage": {"signature_secret": OTHER_SECRET},
}
SECRETS = {"twilio": 6, "aliyun": 6, "tencent": 5, "vonage": 6}


@pytest.mark.parametrize("vendor", BUILD)
def test_no_secret_number_code_or_address_reaches_a_log(vendor: str, caplog: pytest.LogCaptureFixture) -> None:
    """T39: every logger at DEBUG, and answers that echo the logins, the signature, the number and the code."""
    caplog.set_level(logging.DEBUG)
    status, document = ECHOES[vendor]
    echoed = ["nothing"]
    results = []
    with RawGateway(lambda line: says(http_answer(status, echo(document, echoed[-1])))(line)) as gateway:
        channel = BUILD[vendor](f"http://{gateway.host}", **SECOND_SECRETS[vendor])
        for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
            caplog.set_level(logging.DEBUG, logger=name)
        deliver(channel)
        secrets = secrets_in(gateway.requests[0], vendor)
        for secret in secrets:
            echoed.append(secret)
            results.append(deliver(BUILD[vendor](f"http://{gateway.host}", **SECOND_SECRETS[vendor])))
    said = caplog.text + repr(results) + repr(channel._settings) + repr(MESSAGE) + "".join(gateway.targets())
    assert "asyncio" in caplog.text  # the capture works
    assert len(secrets) == SECRETS[vendor]
    assert {result.detail[-6:] for result in results} == {"x****x"}
    for secret in secrets:
        assert secret not in said


def echo(document: Any, secret: str) -> bytes:
    return json.dumps(document).replace("@", secret).encode()


def secrets_in(request: bytes, vendor: str) -> list[str]:
    """What nobody may keep: the channel's secrets, its login and signature in the request, what is the person's."""
    ours = [SECRET, *(value for name, value in SECOND_SECRETS[vendor].items() if name != "api_key")]
    words = re.findall(r"(?:Authorization: Basic |Signature=|&sig=)([^\s&]+)", request.decode())
    return [*ours, MESSAGE.to, MESSAGE.to[1:], MESSAGE.code, *words]


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("+8613800138000", "…345678…", code="345678", minutes=5, purpose="signup"), Reason.CONFIG),
        (Message("+8613800138000", "…345678…", minutes=5, purpose="login"), Reason.CONTENT),
    ],
)
def test_without_a_template_or_a_code_nothing_leaves(vendor: str, message: Message, reason: Reason) -> None:
    with RawGateway(says(http_answer())) as gateway:
        result = deliver(BUILD[vendor](f"http://{gateway.host}"), message)
    assert (result.outcome, result.reason, gateway.connections) == (Outcome.REJECTED, reason, 0)
