"""`[retention]`: how long things are remembered, in words such as "2h" and "400d"."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from otp_service import retention
from otp_service.config.section import Section

_UNITS = {"h": 3_600_000, "d": 86_400_000}


def _span(value: Any) -> Any:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hd])", value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a time in hours or days")
    return int(match[1]) * _UNITS[match[2]]


def in_words(ms: int) -> str:
    """As one writes it: in days where that reads well."""
    unit = "d" if ms % _UNITS["d"] == 0 and ms not in (_UNITS["d"], 3 * _UNITS["d"]) else "h"
    return f"{ms // _UNITS[unit]}{unit}"


Span = Annotated[int, BeforeValidator(_span)]
"""Milliseconds."""


def _field(name: str) -> Any:
    least, most = getattr(retention.SHORTEST, name), getattr(retention.LONGEST, name)
    default = getattr(retention.Retention(), name)
    return Field(default, ge=least, le=most, description=f'"{in_words(least)}" to "{in_words(most)}"')


class RetentionSection(Section):
    tombstone: Span = _field("tombstone")
    tries: Span = _field("tries")
    approved: Span = _field("approved")
    audit: Span = _field("audit")

    def domain(self) -> retention.Retention:
        return retention.Retention(self.tombstone, self.tries, self.approved, self.audit)
