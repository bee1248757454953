"""Vonage's numbers for what went wrong: `status` of a request, `err-code` of a receipt. Source: its SMS guides."""

from __future__ import annotations

from otp_service.channels.http_outcomes import (
    ACCOUNT,
    BALANCE,
    CONFIG,
    CONTENT,
    NUMBER,
    TOO_OFTEN,
    UNKNOWN,
    Rule,
    codes,
)

REFUSALS: dict[str, Rule] = {
    **codes("1 10", TOO_OFTEN),
    **codes("2 3 12 15 16 20 21 22 23 32 39", CONFIG),
    **codes("4 8 11 14 29", ACCOUNT),
    "5": UNKNOWN,
    "6": CONTENT,
    **codes("7 33", NUMBER),
    "9": BALANCE,
}
"""6, "could not process this message", blames a message that another channel may well be able to send."""

FAILURES = {
    "1": "unknown",
    "2": "handset away",
    "3": "number no longer active",
    "4": "barred by the user",
    "5": "portability error",
    "6": "refused as spam",
    "7": "handset busy",
    "8": "network error",
    "9": "illegal number",
    "10": "illegal message",
    "11": "no route",
    "12": "destination out of reach",
    "13": "age restriction",
    "14": "blocked by the carrier",
    "15": "recipient's prepaid balance too low",
    "50": "entity filter",
    "51": "header filter",
    "52": "content filter",
    "53": "consent filter",
    "54": "regulation",
    "99": "general error",
}
