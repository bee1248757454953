"""`[pumping]`: what is done about sends that are made for a carrier's fees."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from phonenumbers import SUPPORTED_REGIONS
from pydantic import BeforeValidator, Field, field_validator

from otp_service import policy, pumping
from otp_service.config.fields import Int, Items
from otp_service.config.section import Section

_SPAN = 'a time such as "1h", "30m" or "30d"'


def _seconds(value: object) -> object:
    """`"1h"` as limits write their windows."""
    if not isinstance(value, str):
        return value
    try:
        return policy.Window.parse(f"1/{value}").seconds
    except ValueError:
        raise ValueError("not a time") from None


Span = Annotated[Int, BeforeValidator(_seconds)]


class Pumping(Section):
    mode: Literal["off", "monitor", "challenge", "block"] = Field(
        pumping.Rules().mode, description='"off", "monitor", "challenge" or "block"'
    )
    first_seen: Int = Field(pumping.Rules().first_seen, ge=2, le=100, description="2 to 100 sends")
    country_first_seen: Int = Field(pumping.Rules().country_first_seen, ge=10, le=1000, description="10 to 1000 sends")
    block_for: Span = Field(pumping.Rules().block_seconds, ge=60, le=86400, description=f"{_SPAN}; 1m to 24h")
    window: Span = Field(pumping.Rules().window_seconds, ge=86400, le=90 * 86400, description=f"{_SPAN}; 1d to 90d")
    safe: Annotated[tuple[str, ...], Items] = Field((), description='regions or beginnings, such as ["CN", "+85290"]')

    @field_validator("safe")
    @classmethod
    def _are_regions_or_beginnings(cls, safe: tuple[str, ...]) -> tuple[str, ...]:
        for entry in safe:
            if entry not in SUPPORTED_REGIONS and not re.fullmatch(r"\+[1-9][0-9]{0,13}", entry):
                raise ValueError(
                    f"{entry[:8]!r} is neither an ISO 3166 region nor the beginning of a number with its +"
                )
        return safe

    def rules(self) -> pumping.Rules:
        return pumping.Rules(
            mode=self.mode,
            first_seen=self.first_seen,
            country_first_seen=self.country_first_seen,
            block_seconds=self.block_for,
            window_seconds=self.window,
            safe=frozenset(self.safe),
        )
