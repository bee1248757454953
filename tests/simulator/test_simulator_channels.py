"""Our channels against the simulator, which was written from the same documents by other hands: they must agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from protocol_clients import Receiver, a_receiver
from simulator_helpers import Simulator

from otp_service.channels import (
    AliyunChannel,
    AliyunSettings,
    TencentChannel,
    TencentSettings,
    TwilioChannel,
    TwilioSettings,
    VonageChannel,
    VonageSettings,
)
from otp_service.ports import Message, Outcome, Push, Reason, Reply, Report, TryResult
from otp_service.simulator import DEMO

T = TypeVar("T")
AnyChannel = TwilioChannel | AliyunChannel | TencentChannel | VonageChannel
MESSAGE = Message(
    "+8613800138000",
    "【今信科技】您的验证码是345678，5分钟内有效。",
    code="345678",
    minutes=5,
    purpose="login",
    locale="zh-CN",
    reference="try-1",
)
VENDORS = ("twilio", "aliyun", "tencent", "vonage")
KEY = "0123456789abcdef"


def twilio(url: str, secret: str, **more: Any) -> TwilioChannel:
    return TwilioChannel(TwilioSettings("twilio", url, DEMO["twilio"].id, secret, "+15005550006", **more))


def aliyun(url: str, secret: str, **more: Any) -> AliyunChannel:
    templates, params = {"login": "SMS_1001"}, {"code": "{{ code }}"}
    settings = AliyunSettings("aliyun", url, DEMO["aliyun"].id, secret, "今信科技", templates, params, **more)
    return AliyunChannel(settings)


def tencent(url: str, secret: str, **more: Any) -> TencentChannel:
    templates, params = {"login": "1110"}, ("{{ code }}", "{{ minutes }}")
    settings = TencentSettings(
        "tencent", url, "ap-guangzhou", DEMO["tencent"].id, secret, "1400006666", "今信科技", templates, params, **more
    )
    return TencentChannel(settings)


def vonage(url: str, secret: str, **more: Any) -> VonageChannel:
    return VonageChannel(VonageSettings("vonage", url, DEMO["vonage"].id, secret, "Acme", **more))


BUILD: dict[str, Callable[..., AnyChannel]] = {
    "twilio": twilio,
    "aliyun": aliyun,
    "tencent": tencent,
    "vonage": vonage,
}


def channel(simulator: Simulator, vendor: str, **more: Any) -> AnyChannel:
    return BUILD[vendor](simulator.url, more.pop("secret", DEMO[vendor].secret), **more)


def using(chosen: AnyChannel, act: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await act()
        finally:
            await chosen.aclose()

    return asyncio.run(run())


def deliver(chosen: AnyChannel, message: Message = MESSAGE) -> TryResult:
    return using(chosen, lambda: chosen.deliver(message))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as found:
        yield found


def pushed(receiver: Receiver) -> Push:
    """The push as it came, with its whole address."""
    came = receiver.next()
    return Push(f"http://{urlsplit(receiver.url).netloc}{came.path}", came.headers, came.body)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_message_arrives_with_its_code(simulator: Simulator, vendor: str) -> None:
    result = deliver(channel(simulator, vendor))
    assert result.outcome is Outcome.ACCEPTED
    (message,) = simulator.messages()
    assert (message["mobile"], message["code"], message["protocol"]) == ("13800138000", "345678", vendor)
    assert message["taskid"] == result.gateway_id


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("number", ["+447700900123", "+85261234567"])
def test_a_message_arrives_abroad(simulator: Simulator, vendor: str, number: str) -> None:
    assert deliver(channel(simulator, vendor), replace(MESSAGE, to=number)).outcome is Outcome.ACCEPTED
    assert [message["mobile"] for message in simulator.messages()] == [number]


def test_a_request_signed_with_the_signature_secret_is_taken(simulator: Simulator) -> None:
    """In the place of `api_secret`, which is wrong here."""
    signed = channel(simulator, "vonage", secret="wrong", signature_secret=DEMO["vonage"].report_secret)
    assert deliver(signed).outcome is Outcome.ACCEPTED
    forged = channel(simulator, "vonage", secret="wrong", signature_secret="wrong")
    assert deliver(forged).reason is Reason.ACCOUNT


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_wrong_secret_is_a_matter_of_the_account(simulator: Simulator, vendor: str) -> None:
    result = deliver(channel(simulator, vendor, secret="wrong"))
    assert (result.outcome, result.reason, result.unmapped) == (Outcome.REJECTED, Reason.ACCOUNT, False)


REJECTED, RETRYABLE, UNKNOWN = Outcome.REJECTED, Outcome.RETRYABLE, Outcome.UNKNOWN
REFUSALS: dict[str, tuple[Outcome, Reason | None, str]] = {
    "number": (REJECTED, Reason.NUMBER, "twilio aliyun tencent"),
    "blacklist": (REJECTED, Reason.NUMBER, "twilio tencent vonage"),
    "suspended": (REJECTED, Reason.ACCOUNT, "twilio aliyun tencent vonage"),
    "ip": (REJECTED, Reason.ACCOUNT, "twilio aliyun tencent vonage"),
    "signature": (REJECTED, Reason.CONFIG, "aliyun tencent"),
    "template": (REJECTED, Reason.CONFIG, "aliyun tencent"),
    "content_length": (REJECTED, Reason.CONTENT, "twilio aliyun tencent"),
    "balance": (REJECTED, Reason.BALANCE, "aliyun tencent vonage"),
    "busy": (RETRYABLE, None, "twilio aliyun"),
    "other": (UNKNOWN, Reason.ANSWER, "twilio aliyun tencent vonage"),
}


@pytest.mark.parametrize(
    ("fault", "vendor"), [(fault, vendor) for fault, row in REFUSALS.items() for vendor in row[2].split()]
)
def test_a_refusal_comes_to_its_outcome(simulator: Simulator, fault: str, vendor: str) -> None:
    simulator.account(DEMO[vendor].name, fault={"name": f"refuse_{fault}", "next": 1})
    result = deliver(channel(simulator, vendor))
    outcome, reason, _ = REFUSALS[fault]
    assert (result.outcome, result.reason, result.unmapped) == (outcome, reason, False)


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_refusal_of_a_vendor_is_one_that_no_rule_knows(simulator: Simulator, vendor: str) -> None:
    """Of all faults that the simulator has words for, in this vendor's."""
    judged = {}
    for fault in [row["name"] for row in simulator.http.get("/api/faults").json()["faults"]]:
        if fault.startswith("refuse_") and is_set(simulator, vendor, fault):
            judged[fault] = deliver(channel(simulator, vendor))
    assert len(judged) > 8
    assert {fault for fault, result in judged.items() if result.unmapped} == {"refuse_unmapped"}
    assert {fault for fault, result in judged.items() if result.outcome is Outcome.ACCEPTED} == set()


@pytest.mark.parametrize("vendor", VENDORS)
def test_whatever_happens_a_message_that_was_taken_is_never_said_not_to_be(simulator: Simulator, vendor: str) -> None:
    """Another try at it would be a second SMS; and one that was refused is never said to be taken."""
    met = 0
    for fault in [row["name"] for row in simulator.http.get("/api/faults").json()["faults"]]:
        if fault.startswith(("report_", "refuse_")) or not is_set(simulator, vendor, fault):
            continue
        met += 1
        simulator.http.delete("/api/messages")
        outcome = deliver(channel(simulator, vendor, deadline=0.4)).outcome
        taken = bool(simulator.messages())
        assert outcome in ((Outcome.ACCEPTED, UNKNOWN) if taken else (REJECTED, RETRYABLE, UNKNOWN)), fault
    assert met > 8


def is_set(simulator: Simulator, vendor: str, fault: str) -> bool:
    """Whether this protocol has words for it."""
    asked = {"fault": {"name": fault, "next": 1}}
    return bool(simulator.http.put(f"/api/accounts/{DEMO[vendor].name}", json=asked).status_code == 200)


@pytest.mark.parametrize("vendor", ["twilio", "aliyun", "vonage"])
@pytest.mark.parametrize(("state", "delivered"), [("delivered", True), ("failed", False)])
def test_a_pushed_report_is_genuine_and_names_its_message(
    simulator: Simulator, receiver: Receiver, vendor: str, state: str, delivered: bool
) -> None:
    more: dict[str, dict[str, Any]] = {
        "twilio": {"status_callback": f"{receiver.url}/a?b=c"},
        "aliyun": {"push_secret": KEY},
        "vonage": {"callback": f"{receiver.url}/a", "signature_secret": DEMO["vonage"].report_secret},
    }
    settings: dict[str, Any] = {"report_delay": 0} | ({} if delivered else {"report": state})
    if vendor == "aliyun":
        settings["report_url"] = f"{receiver.url}/a?key={KEY}"
    simulator.account(DEMO[vendor].name, **settings)
    chosen = channel(simulator, vendor, **more[vendor])
    assert not isinstance(chosen, TencentChannel)
    result = deliver(chosen)
    (report,) = chosen.read_push(pushed(receiver), time.time())
    assert report == Report(result.gateway_id, MESSAGE.to, delivered, report.words)


def test_tencent_is_polled_for_reports_and_replies(simulator: Simulator) -> None:
    simulator.account("demo-tencent", report_delay=0)
    chosen = tencent(simulator.url, DEMO["tencent"].secret)
    reply = {"account": "demo-tencent", "mobile": "13800138000", "content": "T"}

    async def act() -> tuple[TryResult, list[Report], list[Reply]]:
        result = await chosen.deliver(MESSAGE)
        assert simulator.http.post("/api/replies", json=reply).status_code < 300
        return result, list(await chosen.reports()), list(await chosen.replies())

    result, reports, replies = using(chosen, act)
    assert [(report.gateway_id, report.to, report.delivered) for report in reports] == [
        (result.gateway_id, MESSAGE.to, True)
    ]
    assert [(reply.to, reply.text) for reply in replies] == [(MESSAGE.to, "T")]


@pytest.mark.parametrize("vendor", ["twilio", "vonage"])
def test_the_balance_is_told(simulator: Simulator, vendor: str) -> None:
    chosen = channel(simulator, vendor)
    assert float(using(chosen, chosen.balance).remaining) > 0
