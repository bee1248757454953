"""otp-service: proves that a person controls a phone number, through the SMS gateways you already have."""

__version__ = "0.1.0"
