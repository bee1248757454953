"""What is counted for Prometheus. Every label has few values: a route is its template, never a path."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from otp_service.verification import Verification

REQUESTS = Counter("otp_requests", "Requests answered, by route template and status.", ["route", "status"])
CHECKS = Counter("otp_checks", "Codes checked, by purpose and result; replays are not counted.", ["purpose", "result"])
TRIES = Counter("otp_tries", "Hand-overs to a channel, by what they came to.", ["channel", "outcome", "reason"])
TRY_SECONDS = Histogram("otp_try_seconds", "How long a channel took to answer.", ["channel"])
REFUSALS = Counter("otp_refusals", "Requests refused by a limit, by the limit's name.", ["limit"])
REPORTS = Counter("otp_reports", "Delivery reports acted on, by channel and what they did.", ["channel", "end"])
REPORT_PUSHES = Counter("otp_report_pushes", "Pushes of reports, by channel and result.", ["channel", "result"])
REPLIES = Counter("otp_replies", "Replies of handsets, by channel and what they want.", ["channel", "wish"])
CHANNEL_BALANCE = Gauge("otp_channel_balance", "What the gateway says is left; the same on every worker.", ["channel"])
WEBHOOKS = Counter("otp_webhooks", "Events and attempts to send them, by webhook and result.", ["webhook", "result"])
WEBHOOKS_QUEUED = Gauge("otp_webhooks_queued", "Events that wait for a webhook; the same on every worker.", ["webhook"])


def count_check(verification: Verification | None, result: str) -> None:
    """`result` is `approved` or a problem's name. The purpose is the verification's: a caller's word has no bound."""
    CHECKS.labels(verification.purpose if verification else "unknown", result).inc()
