"""From a `[[channels]]` table to the channel that speaks its protocol."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any, NamedTuple, cast

from otp_service.config.channel import ChannelSection
from otp_service.errors import ConfigError
from otp_service.ports import Channel


class _Adapter(NamedTuple):
    """Where a protocol is spoken; imported on demand, as some need a library that not everybody installs."""

    module: str
    settings: str
    channel: str
    extra: str = ""
    """What `pip install otp-service[…]` brings the library by, where the protocol needs one."""


_ADAPTERS = {
    "sms_aspx": _Adapter("sms_aspx", "SmsAspxSettings", "SmsAspxChannel"),
    "twilio": _Adapter("twilio", "TwilioSettings", "TwilioChannel"),
    "aliyun": _Adapter("aliyun", "AliyunSettings", "AliyunChannel"),
    "tencent": _Adapter("tencent", "TencentSettings", "TencentChannel"),
    "vonage": _Adapter("vonage", "VonageSettings", "VonageChannel"),
    "http_template": _Adapter("http_template", "HttpTemplateSettings", "HttpTemplateChannel"),
    "webhook": _Adapter("webhook", "WebhookSettings", "WebhookChannel"),
    "smpp": _Adapter("smpp", "SmppSettings", "SmppChannel"),
    "email": _Adapter("email", "EmailSettings", "EmailChannel", extra="email"),
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


def check_reports(section: ChannelSection) -> None:
    """Raises ConfigError where `reports` asks for a way that its protocol does not have."""
    adapter, module = _adapter(section)
    channel = getattr(module, adapter.channel)
    ways = {"off"}
    ways |= {"poll"} if hasattr(channel, "reports") else set()
    ways |= {"push"} if hasattr(channel, "read_push") else set()
    if section.report_way not in ways:
        allowed = " or ".join(f'"{way}"' for way in sorted(ways))
        raise ConfigError(f"channels.{section.name}.reports: protocol {section.protocol} has {allowed}")


def _adapter(section: ChannelSection) -> tuple[_Adapter, Any]:
    adapter = _ADAPTERS[section.protocol]
    try:
        return adapter, importlib.import_module(f"otp_service.channels.{adapter.module}")
    except ModuleNotFoundError as error:
        if not adapter.extra:
            raise
        raise ConfigError(
            f"channels.{section.name}.protocol: {section.protocol} needs the library {error.name}, which is not "
            f"installed; run pip install 'otp-service[{adapter.extra}]'"
        ) from error
