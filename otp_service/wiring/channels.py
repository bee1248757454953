"""From a `[[channels]]` table to the channel that speaks its protocol."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any, NamedTuple, cast

from otp_service.config.channel import ChannelSection
from otp_service.ports import Channel


class _Adapter(NamedTuple):
    """Where a protocol is spoken; imported on demand, as some need a library that not everybody installs."""

    module: str
    settings: str
    channel: str


_ADAPTERS = {
    "sms_aspx": _Adapter("sms_aspx", "SmsAspxSettings", "SmsAspxChannel"),
    "twilio": _Adapter("twilio", "TwilioSettings", "TwilioChannel"),
    "aliyun": _Adapter("aliyun", "AliyunSettings", "AliyunChannel"),
    "tencent": _Adapter("tencent", "TencentSettings", "TencentChannel"),
    "vonage": _Adapter("vonage", "VonageSettings", "VonageChannel"),
}


def build_channel(section: ChannelSection) -> Channel:
    """Raises ConfigError for what its protocol can't work with."""
    adapter, module = _adapter(section)
    return cast(Channel, getattr(module, adapter.channel)(channel_settings(section)))


def channel_settings(section: ChannelSection) -> Any:
    """What the adapter is given: the keys of the table that it knows. Raises ConfigError as `build_channel` does."""
    adapter, module = _adapter(section)
    settings = getattr(module, adapter.settings)
    values = section.plain()
    return settings(**{field.name: values[field.name] for field in fields(settings)})


def _adapter(section: ChannelSection) -> tuple[_Adapter, Any]:
    adapter = _ADAPTERS[section.protocol]
    return adapter, importlib.import_module(f"otp_service.channels.{adapter.module}")
