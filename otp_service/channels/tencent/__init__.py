"""Tencent Cloud's SendSms (2021-01-11), and the reports and replies that it is asked for."""

from otp_service.channels.tencent.channel import TencentChannel, TencentSettings
from otp_service.channels.tencent.tc3 import authorization

__all__ = ["TencentChannel", "TencentSettings", "authorization"]
