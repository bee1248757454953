"""Channels: one module (or folder) a protocol. A gateway's and a network's errors become outcomes here."""

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
