"""A simulator of SMS gateways (`sms.aspx` and others) with an inbox. It accepts and misbehaves; it never sends.

Other projects' tests can use it: point a gateway's URL at it, then read `GET /api/messages?mobile=…&wait=5`.
"""

from otp_service.simulator.app import Settings, run, serve
from otp_service.simulator.demo_accounts import DEMO

__all__ = ["DEMO", "Settings", "run", "serve"]
