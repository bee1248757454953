"""Twilio's Messages resource, its balance, and its status callbacks."""

from otp_service.channels.twilio.channel import TwilioChannel, TwilioSettings

__all__ = ["TwilioChannel", "TwilioSettings"]
