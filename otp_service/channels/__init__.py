"""Channels: one module (or folder) a protocol. A gateway's and a network's errors become outcomes here."""

from otp_service.channels.sms_aspx import SmsAspxChannel, SmsAspxSettings

__all__ = ["SmsAspxChannel", "SmsAspxSettings"]
