"""What may be kept of a gateway's words and ids: gateways repeat numbers and codes in both."""

from __future__ import annotations

import re

MAX_DETAIL = 200
"""Characters of a gateway's own words."""
_DIGIT_RUN = re.compile(r"\d{4,}")
_PARTED_RUN = re.compile(r"\d(?:[ \-]?\d){3,}")
"""As numbers and codes are also written: 138-0013-8000, 345 678."""
_TELLING = 7
"""Last digits of a number that nobody else's message has by chance."""


def fit_to_keep(words: str) -> str:
    """Whatever a channel lets through, no number and no code is kept."""
    return _PARTED_RUN.sub("****", words)[:MAX_DETAIL]


def fit_id(gateway_id: str, e164: str, code: str) -> str:
    """The id, unless it spells this number or code: then its digits are starred, and letters are left to search by."""
    if e164[-_TELLING:] not in gateway_id and not (code and code in gateway_id):
        return gateway_id
    return _DIGIT_RUN.sub("****", gateway_id)
