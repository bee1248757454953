"""A simulator of SMS gateways of the `sms.aspx` family, with an inbox. It accepts and misbehaves; it never sends.

Other projects' tests can use it: point a gateway's URL at it, then read `GET /api/messages?mobile=…&wait=5`.
"""

from otp_service.simulator.app import Settings, run, serve

__all__ = ["Settings", "run", "serve"]
