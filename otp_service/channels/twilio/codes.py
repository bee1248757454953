"""Twilio's error codes: what a refused request comes to, and the words for a message that failed later.

Source: Twilio's error and warning dictionary. Codes that it gives for a number which only *this* sender can't reach are
`config`: another channel may reach it.
"""

from __future__ import annotations

from otp_service.channels.http_outcomes import (
    ACCOUNT,
    CONFIG,
    CONTENT,
    NUMBER,
    RATE,
    TOO_OFTEN,
    Rule,
    codes,
)

REFUSALS: dict[str, Rule] = {
    **codes("21211 21214 21217 21265 21401 21421 21610 21614 21635", NUMBER),
    **codes("10001 10002 20003 20005 20006 20008 20403 21219 21608 30002", ACCOUNT),
    **codes("20001 20404 21212 21213 21408 21603 21604 21606 21607 21609 21612 21615 21618", CONFIG),
    **codes("21659 21660 21661 21701 21703 21704 21705 30034", CONFIG),
    **codes("21602 21605 21617 21619", CONTENT),
    **codes("14107 63038", RATE),
    **codes("20429 21611 30001", TOO_OFTEN),
}
"""21610 is a handset that answered STOP: the number's own wish, so no other channel is tried."""

FAILURES = {
    "30001": "queue overflow",
    "30002": "account suspended",
    "30003": "handset out of reach",
    "30004": "message blocked",
    "30005": "unknown or inactive handset",
    "30006": "landline, or carrier out of reach",
    "30007": "filtered by the carrier",
    "30008": "unknown error",
    "30022": "too many messages for this campaign",
    "30032": "toll-free number not verified",
    "30034": "sender's number not registered",
    "30036": "validity period over",
}


def named(code: str) -> str:
    """`21.211`: five digits in a row would be masked as if they were somebody's code."""
    return f"{code[:2]}.{code[2:]}" if len(code) == 5 else code
