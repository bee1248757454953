"""Channels of each vendor's protocol against a raw gateway, with the clock stopped; keys and numbers are made up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

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
from otp_service.ports import Message, TryResult
from tests.raw_gateway import RawGateway

T = TypeVar("T")
AnyChannel = TwilioChannel | AliyunChannel | TencentChannel | VonageChannel

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
TEXT = "Acme: 345678 is your code. It is valid for 5 minutes."
MESSAGE = Message(
    "+8613800138000", TEXT, code="345678", minutes=5, purpose="login", locale="zh-CN", reference="0f9c2b7e-2"
)
SECRET = "s3cret-of-ours-alone"
OTHER_SECRET = "an0ther-secret-of-ours"
SID = "AC" + "ab0cd1ef" * 4


def twilio(url: str, **changes: Any) -> TwilioChannel:
    keys: dict[str, Any] = {"account_sid": SID, "auth_token": SECRET, "sender": "+15005550006", "deadline": 30}
    return TwilioChannel(TwilioSettings("twilio", **({"url": url} | keys | changes)), clock=lambda: NOW)


def aliyun(url: str, **changes: Any) -> AliyunChannel:
    keys: dict[str, Any] = {
        "access_key_id": "LTAI-example",
        "access_key_secret": SECRET,
        "signature": "今信科技",
        "templates": {"login": "SMS_1001"},
        "template_params": {"code": "{{ code }}"},
        "push_secret": OTHER_SECRET,
        "deadline": 30,
    }
    settings = AliyunSettings("aliyun", **({"url": url} | keys | changes))
    return AliyunChannel(settings, clock=lambda: NOW, nonce=lambda: "a-word-used-once")


def tencent(url: str, **changes: Any) -> TencentChannel:
    keys: dict[str, Any] = {
        "region": "ap-guangzhou",
        "secret_id": "AKID-example",
        "secret_key": SECRET,
        "sdk_app_id": "1400006666",
        "signature": "今信科技",
        "templates": {"login": "1110"},
        "template_params": ("{{ code }}", "{{ minutes }}"),
        "deadline": 30,
    }
    return TencentChannel(TencentSettings("tencent", **({"url": url} | keys | changes)), clock=lambda: NOW)


def vonage(url: str, **changes: Any) -> VonageChannel:
    keys: dict[str, Any] = {"api_key": "12ab34cd", "api_secret": SECRET, "sender": "Acme", "deadline": 30}
    return VonageChannel(VonageSettings("vonage", **({"url": url} | keys | changes)), clock=lambda: NOW)


BUILD: dict[str, Callable[..., AnyChannel]] = {
    "twilio": twilio,
    "aliyun": aliyun,
    "tencent": tencent,
    "vonage": vonage,
}


def using(channel: AnyChannel, act: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await act()
        finally:
            await channel.aclose()

    return asyncio.run(run())


def deliver(channel: AnyChannel, message: Message = MESSAGE) -> TryResult:
    return using(channel, lambda: channel.deliver(message))


def headers_of(gateway: RawGateway, index: int = 0) -> dict[str, str]:
    """The headers of a request that came, names in lower case."""
    head = gateway.requests[index].partition(b"\r\n\r\n")[0].decode()
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, _, value in pairs}
