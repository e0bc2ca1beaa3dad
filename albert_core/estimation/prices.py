"""What an hour of a chip costs: a dated table that can be replaced."""

import dataclasses
import datetime
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.estimation.accelerators import GENERATIONS, GPUS
from albert_core.settings.checks import check_minimum
from albert_core.settings.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of an hour of a chip.

    A date of another form, an unknown chip and a price below 0 are refused with an InputError.

    Attributes:
        date: Day on which the prices were read, such as 2026-01-31.
        source: Where the prices were read, for which region and on which terms.
        currency: Currency of the prices.
        per_chip_hour: The price by kind of chip: v5e, v5p, v6e, or a GPU such as h200.
    """

    date: str
    source: str
    currency: str = "USD"
    per_chip_hour: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a date that is none, unknown chips, and prices that are no numbers of 0 or more.

        Raises:
            InputError: The date is no ISO date such as 2026-01-31, a chip is not known, or a price
                is below 0 or NaN.
        """
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError as error:
            raise InputError(f"date: got {self.date!r}, expected one as 2026-01-31") from error
        known = [*GENERATIONS, *GPUS]
        for kind, price in self.per_chip_hour.items():
            if kind not in known:
                # A key of a YAML file may be a number.
                raise InputError(
                    f"per_chip_hour: got {kind!r}, expected some of {', '.join(known)}"
                    f"{did_you_mean(str(kind), known)}"
                )
            check_minimum(f"per_chip_hour.{kind}", price, 0)

    def describe_missing(self, kind: str) -> str:
        """Return the text of a message: that a kind of chip has no price, and how to give one."""
        return (
            f"no price of {kind} in the table of {self.date}: give --prices FILE with date, source "
            f"and per_chip_hour: {{{kind}: PRICE}}"
        )


LIST_PRICES = Prices(
    date="2025-06-30",
    source="Google Cloud list price, on demand, us-central1 and us-east5; look it up before use",
    per_chip_hour={"v5e": 1.20, "v5p": 4.20, "v6e": 2.70},
)
"""Of GPUs there are none: what one costs depends on the machine around it and on the contract."""
