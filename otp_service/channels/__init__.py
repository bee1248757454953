"""Channels: one module (or folder) a protocol. A gateway's and a network's errors become outcomes here.

A protocol is imported when it is asked for: a process holds those that its configuration names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otp_service.channels.aliyun import AliyunChannel, AliyunSettings
    from otp_service.channels.sms_aspx import SmsAspxChannel, SmsAspxSettings
    from otp_service.channels.tencent import TencentChannel, TencentSettings
    from otp_service.channels.twilio import TwilioChannel, TwilioSettings
    from otp_service.channels.vonage import VonageChannel, VonageSettings

__all__ = [
    "AliyunChannel",
    "AliyunSettings",
    "SmsAspxChannel",
    "SmsAspxSettings",
    "TencentChannel",
    "TencentSettings",
    "TwilioChannel",
    "TwilioSettings",
    "VonageChannel",
    "VonageSettings",
]

_PROTOCOLS = {"Aliyun": "aliyun", "SmsAspx": "sms_aspx", "Tencent": "tencent", "Twilio": "twilio", "Vonage": "vonage"}


def __getattr__(name: str) -> Any:
    if protocol := _PROTOCOLS.get(name.removesuffix("Channel").removesuffix("Settings")):
        return getattr(import_module(f"{__name__}.{protocol}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
