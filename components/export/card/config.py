"""Settings of the card: what only people know about a model and its text."""

import dataclasses

from albert_core.errors import InputError

_LINES = ("name", "license", "data_license", "currency")
_LISTS = ("languages", "tags")
_NUMBERS = ("price_per_hour", "watts", "energy_kwh")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardConfig:
    """What the card says beside the facts of the run; empty settings are left out of it.

    Refused with an InputError are several lines but for `intended_use` and `data_description`,
    numbers that are below 0 or not finite, and `watts` beside `energy_kwh`.

    Attributes:
        name: Name of the model; by default made of its size and its task.
        license: Licence of the model, by its identifier, such as apache-2.0.
        languages: Languages of the text, by their codes, such as en; by default `corpus.language`
            of the run.
        tags: Further words to find the model by.
        intended_use: What the model is meant for, and what not.
        data_license: Licence of the text.
        data_description: Where the text comes from.
        price_per_hour: Price of an hour of the machine, or machines, of pretraining.
        currency: Currency of the price.
        watts: Average power of these machines, for an estimate of the energy.
        energy_kwh: The energy of pretraining, if it was measured.
    """

    name: str = ""
    license: str = ""
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    intended_use: str = ""
    data_license: str = ""
    data_description: str = ""
    price_per_hour: float | None = None
    currency: str = "USD"
    watts: float | None = None
    energy_kwh: float | None = None

    def __post_init__(self) -> None:
        """Refuse texts of several lines, numbers below 0 or not finite, and power beside energy.

        Descriptions (`intended_use`, `data_description`) may have several lines.

        Raises:
            InputError: A setting is one of these.
        """
        for name in (*_LINES, *_LISTS):
            value = getattr(self, name)
            for text in value if name in _LISTS else [value]:
                if len(text.splitlines()) > 1:
                    raise InputError(f"card.{name}: got several lines, expected one")
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"card.{name}: got {value}, expected 0 or more")
        if self.watts is not None and self.energy_kwh is not None:
            raise InputError(
                "card.watts: got it beside card.energy_kwh, expected the measured energy or, for "
                "an estimate, the power"
            )
