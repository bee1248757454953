"""`[spend]`: what an SMS costs, and what may be spent within 24 hours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from phonenumbers import SUPPORTED_REGIONS
from pydantic import BeforeValidator, Field, field_validator

from otp_service import policy
from otp_service.config.section import Section


def _exact(amount: Any) -> Any:
    """As it is written: a float of TOML is the decimal that stands there."""
    if isinstance(amount, int | float | str) and not isinstance(amount, bool):
        try:
            return Decimal(str(amount))
        except InvalidOperation:
            return amount
    return amount


Money = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=1_000_000, decimal_places=6)]
_PRICES = 'prices by region, such as { CN = 0.0065, "*" = 0.08 }'
CAP = "an amount of money within 24 hours, such as 250 or 99.50"


class Spend(Section):
    """Amounts are in one currency of your choice: that of `prices`."""

    prices: dict[str, Money] = Field(default_factory=dict, description=_PRICES)
    client: Money | None = Field(None, description=CAP)
    installation: Money | None = Field(None, description=CAP)

    @field_validator("prices")
    @classmethod
    def _are_regions(cls, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        """In capitals: the environment knows no others. What stands later is nearer to it."""
        prices = {region.upper(): price for region, price in prices.items()}
        for region in prices:
            if region != policy.EVERYBODY and region not in SUPPORTED_REGIONS:
                raise ValueError(f"{region[:8]!r} is not an ISO 3166 region; write {_PRICES}")
        return prices

    def domain(self, clients: Mapping[str, Decimal]) -> policy.Spend:
        return policy.Spend(
            {region: _millionths(price) for region, price in self.prices.items()},
            None if self.client is None else _millionths(self.client),
            {name: _millionths(cap) for name, cap in clients.items()},
            None if self.installation is None else _millionths(self.installation),
        )


def _millionths(amount: Decimal) -> int:
    return int(amount * policy.MILLIONTHS)
