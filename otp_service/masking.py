"""What may be kept of a gateway's words and ids: gateways repeat numbers and codes in both."""

from __future__ import annotations

import re

MAX_DETAIL = 200
"""Characters of a gateway's own words."""
_DIGIT_RUN = re.compile(r"\d{4,}")
_TELLING = 7
"""Last digits of a number that nobody else's message has by chance."""


def fit_to_keep(words: str) -> str:
    """Whatever a channel lets through, no number and no code is kept."""
    return _DIGIT_RUN.sub("****", words)[:MAX_DETAIL]


def without_number(gateway_id: str, e164: str) -> str:
    """The id, unless it spells this number: then its digits are starred, and its letters are left to search by."""
    if e164[-_TELLING:] not in gateway_id:
        return gateway_id
    return _DIGIT_RUN.sub("****", gateway_id)
