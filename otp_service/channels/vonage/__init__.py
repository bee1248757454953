"""Vonage's (once Nexmo's) SMS API, its balance, and its delivery receipts."""

from otp_service.channels.vonage.channel import VonageChannel, VonageSettings
from otp_service.channels.vonage.signature import signature

__all__ = ["VonageChannel", "VonageSettings", "signature"]
