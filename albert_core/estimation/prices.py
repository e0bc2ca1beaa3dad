"""What an hour of a chip costs: a dated table that can be replaced."""

import dataclasses
import datetime
from collections.abc import Mapping

from albert_core.checks import check_minimum
from albert_core.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of an hour of a chip.

    Attributes:
        date: Day they were noted, as 2026-01-31.
        source: Where they stand, for which region and on which terms.
        currency: What they are in.
        per_chip_hour: The price by generation: v5e, v5p, v6e.
    """

    date: str
    source: str
    currency: str = "USD"
    per_chip_hour: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a date that is not one, and prices below 0.

        Raises:
            InputError: The date is no ISO date such as 2026-01-31, or a price is below 0 or NaN.
        """
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError as error:
            raise InputError(f"date: got {self.date!r}, expected one as 2026-01-31") from error
        for generation, price in self.per_chip_hour.items():
            check_minimum(f"per_chip_hour.{generation}", price, 0)


LIST_PRICES = Prices(
    date="2025-06-30",
    source="Google Cloud list price, on demand, us-central1 and us-east5; look it up before use",
    per_chip_hour={"v5e": 1.20, "v5p": 4.20, "v6e": 2.70},
)
