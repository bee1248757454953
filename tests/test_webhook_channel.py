"""The caller's own sender: asked by requests that the reference library takes, and heard only when it signs."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from typing import Any

import pytest
from standardwebhooks import Webhook

from otp_service.channels.signed_reports import MAX_REPORTS, read_signed_reports
from otp_service.channels.webhook import WebhookChannel, WebhookSettings
from otp_service.ports import Message, Outcome, Push, Pushing, PushRefused, Reason, Report
from otp_service.webhook_signature import sign
from tests.channel_tables import MESSAGE, TEXT, build, deliver, refusal, warnings
from tests.raw_gateway import RawGateway, http_answer, resets, says


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = new_secret(), new_secret()
TABLE = f"""
protocol = "webhook"
url = "https://sender.example/messages"
secrets = ["{NEW}", "{OLD}"]
extno = "9"
"""
ACCEPTED = http_answer(202, b'{"id": "m-1"}')


def asked(message: Message) -> tuple[dict[str, str], bytes]:
    with RawGateway(says(ACCEPTED)) as gateway:
        assert deliver(TABLE, message, url=f"http://{gateway.host}/messages").outcome is Outcome.ACCEPTED
    head, _, body = gateway.requests[0].partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, _, value in lines}, body


def test_a_request_is_signed_by_both_secrets_and_says_everything() -> None:
    headers, body = asked(MESSAGE)
    for secret in (OLD, NEW):
        said = Webhook(secret).verify(body, headers)
    assert said == {
        "type": "message.send",
        "to": MESSAGE.to,
        "text": TEXT,
        "code": "345678",
        "minutes": 5,
        "purpose": "login",
        "locale": "en",
        "reference": "ref-1",
        "extno": "77",
    }
    assert headers["content-type"] == "application/json"


def test_a_repeated_try_is_recognised_by_its_reference() -> None:
    assert asked(MESSAGE)[0]["webhook-id"] == "ref-1"
    odd = Message(MESSAGE.to, TEXT, reference="no id. at all")
    assert asked(odd)[0]["webhook-id"] == asked(odd)[0]["webhook-id"] != "ref-1"
    nameless = Message(MESSAGE.to, TEXT)
    assert asked(nameless)[0]["webhook-id"] != asked(nameless)[0]["webhook-id"]
    assert json.loads(asked(nameless)[1])["extno"] == "9"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason", "id"),
    [
        (200, b'{"id": "m-1"}', Outcome.ACCEPTED, None, "m-1"),
        (204, b"", Outcome.ACCEPTED, None, "ref-1"),
        (200, b'{"id": 5}', Outcome.ACCEPTED, None, "ref-1"),
        (200, b"<html>", Outcome.ACCEPTED, None, "ref-1"),
        (200, b"[" * 70_000, Outcome.ACCEPTED, None, "ref-1"),
        (200, b'{"id": "447400123456"}', Outcome.ACCEPTED, None, "ref-1"),
        (422, b'{"reason": "number"}', Outcome.REJECTED, Reason.NUMBER, ""),
        (400, b'{"reason": "content"}', Outcome.REJECTED, Reason.CONTENT, ""),
        (422, b'{"reason": "account"}', Outcome.REJECTED, Reason.ACCOUNT, ""),
        (422, b'{"reason": "balance"}', Outcome.REJECTED, Reason.BALANCE, ""),
        (422, b'{"reason": "config"}', Outcome.REJECTED, Reason.CONFIG, ""),
        (422, b'{"reason": "rate"}', Outcome.REJECTED, Reason.RATE, ""),
        (422, b'{"reason": "timeout"}', Outcome.UNKNOWN, Reason.ANSWER, ""),
        (422, b"", Outcome.UNKNOWN, Reason.ANSWER, ""),
        (400, b"", Outcome.REJECTED, Reason.CONFIG, ""),
        (401, b'{"reason": "number"}', Outcome.REJECTED, Reason.ACCOUNT, ""),
        (404, b"", Outcome.REJECTED, Reason.CONFIG, ""),
        (429, b"", Outcome.RETRYABLE, Reason.RATE, ""),
        (503, b"", Outcome.RETRYABLE, None, ""),
        (500, b'{"id": "m-1"}', Outcome.UNKNOWN, Reason.ANSWER, ""),
        (301, b"", Outcome.UNKNOWN, Reason.ANSWER, ""),
    ],
)
def test_an_answer_means_what_the_protocol_says(
    status: int, body: bytes, outcome: Outcome, reason: Reason | None, id: str
) -> None:
    with RawGateway(says(http_answer(status, body))) as gateway:
        result = deliver(TABLE, url=f"http://{gateway.host}/messages")
    assert (result.outcome, result.reason, result.gateway_id) == (outcome, reason, id)


@pytest.mark.parametrize(("status", "body"), [(429, b""), (503, b""), (422, b'{"reason": "rate"}')])
def test_retry_after_is_passed_on(status: int, body: bytes) -> None:
    with RawGateway(says(http_answer(status, body, {"Retry-After": "12"}))) as gateway:
        assert deliver(TABLE, url=f"http://{gateway.host}/").retry_after == 12


def test_what_a_network_does_is_an_outcome() -> None:
    assert deliver(TABLE, url="http://127.0.0.1:1/").outcome is Outcome.RETRYABLE
    with RawGateway(resets) as gateway:
        assert deliver(TABLE, url=f"http://{gateway.host}/").outcome is Outcome.UNKNOWN


def test_no_secret_number_or_code_comes_back_in_words() -> None:
    detail = f"{NEW} {OLD} 345678 {MESSAGE.to} sorry"
    body = json.dumps({"reason": "number", "detail": detail}).encode()
    with RawGateway(says(http_answer(422, body))) as gateway:
        result = deliver(TABLE, url=f"http://{gateway.host}/")
    assert result.detail.endswith("sorry")
    for secret in (NEW, OLD, "345678", "7400123456"):
        assert secret not in repr(result)


# --- reports ----------------------------------------------------------------------------------------------------------

NOW = 1_700_000_000.0
REPORTS: dict[str, Any] = {
    "reports": [
        {"gateway_id": "m-1", "status": "delivered"},
        {"gateway_id": "m-2", "status": "undelivered", "detail": "absent 447400123456", "to": "+447400123456"},
        {"gateway_id": "m-3", "status": "pending", "detail": None, "to": None},
    ]
}


def pushed(document: object, secret: str = NEW, at: float = NOW) -> Push:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Push("https://otp.example/reports/own", sign([secret], "p-1", int(at), body), body)


@pytest.mark.parametrize("secret", [OLD, NEW], ids=["old", "new"])
def test_a_signed_push_is_read_by_either_secret(secret: str) -> None:
    channel = build(TABLE)
    assert isinstance(channel, Pushing)
    assert channel.read_push(pushed(REPORTS, secret), NOW) == [
        Report("m-1", "", True),
        Report("m-2", "+447400123456", False, "absent ****"),
        Report("m-3", "", None),
    ]


@pytest.mark.parametrize(
    ("push", "why"),
    [
        (pushed(REPORTS, new_secret()), "signature"),
        (pushed(REPORTS, at=NOW - 301), "300 seconds"),
        (pushed(REPORTS, at=NOW + 301), "300 seconds"),
        (pushed(REPORTS)._replace(body=b'{"reports": []}'), "signature"),
        (Push("https://otp.example/", {}, b"{}"), "missing"),
        (pushed(b"{"), "not JSON"),
        (pushed(b"[" * 60_000), "not JSON"),
        (pushed([]), "reports"),
        (pushed({"reports": {}}), "reports"),
        (pushed({"reports": []}), "1 to"),
        (pushed({"reports": [{}] * (MAX_REPORTS + 1)}), "1 to"),
        (pushed({"reports": ["x"]}), r"reports\[0\]"),
        (pushed({"reports": [{"status": "delivered"}]}), r"reports\[0\]\.gateway_id"),
        (pushed({"reports": [{"gateway_id": "m", "status": "DELIVRD"}]}), r"reports\[0\]\.status .* delivered"),
        (pushed({"reports": [{"gateway_id": "m", "status": "pending", "detail": 5}]}), "detail"),
        (pushed({"reports": [{"gateway_id": "m", "status": "pending", "to": "138"}]}), r"E\.164"),
    ],
)
def test_a_push_that_is_not_genuine_or_not_readable_is_refused(push: Push, why: str) -> None:
    with pytest.raises(PushRefused, match=why):
        read_signed_reports(push, [NEW, OLD], NOW)


def test_without_secrets_no_push_is_genuine() -> None:
    with pytest.raises(PushRefused):
        read_signed_reports(pushed(REPORTS), [], NOW)


def test_any_gateway_by_templates_may_have_its_reports_sent_on() -> None:
    table = """
    protocol = "http_template"
    url = "http://gateway.example/"
    body = "to={{ to }}&m={{ text }}"
    accept = [{ status = 200 }]
    """
    channel = build(table, report_secrets=[NEW])
    assert isinstance(channel, Pushing)
    assert len(channel.read_push(pushed(REPORTS), NOW)) == 3
    silent = build(table)
    assert isinstance(silent, Pushing)
    with pytest.raises(PushRefused):
        silent.read_push(pushed(REPORTS), NOW)


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "mend"),
    [
        ({"secrets": None}, "channels.own.secrets: missing", "whsec_"),
        ({"secrets": []}, "channels.own.secrets: empty", "whsec_"),
        ({"secrets": ["hunter2"]}, "channels.own.secrets[0]", "whsec_"),
        ({"secrets": ["whsec_" + base64.b64encode(b"a" * 32).decode()]}, "channels.own.secrets[0]", "weak"),
        ({"secrets": [NEW, OLD, NEW]}, "channels.own.secrets: too many", "one or two"),
        ({"url": "sender.example"}, "channels.own.url", "http"),
        ({"url": "https://me:hunter2@sender.example/"}, "channels.own.url", "own keys"),
        ({"extno": "1;2"}, "channels.own.extno", "letters and digits"),
    ],
)
def test_what_can_not_work_stops_the_start_and_names_its_key(changes: dict[str, Any], key: str, mend: str) -> None:
    said = refusal(TABLE, **changes)
    assert key in said
    assert mend in said
    assert "hunter2" not in said


def test_codes_in_clear_are_a_warning() -> None:
    assert warnings(TABLE) == []
    assert warnings(TABLE, url="http://127.0.0.1:8080/") == []
    assert "https://" in warnings(TABLE, url="http://sender.example/")[0]


def test_no_secret_is_shown_when_printed() -> None:
    settings = WebhookSettings("own", "https://sender.example/", (NEW,), "", 1, 5)
    assert NEW not in repr(settings)
    asyncio.run(WebhookChannel(settings).aclose())
