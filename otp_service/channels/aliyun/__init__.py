"""Aliyun's SendSms (dysmsapi 2017-05-25), and the reports that it pushes."""

from otp_service.channels.aliyun.acs3 import authorization
from otp_service.channels.aliyun.channel import AliyunChannel, AliyunSettings

__all__ = ["AliyunChannel", "AliyunSettings", "authorization"]
