"""The protocols beside sms.aspx: what each takes, checks, answers and pushes, in its own words."""

from otp_service.simulator.protocols.counter import Counter

__all__ = ["Counter"]
