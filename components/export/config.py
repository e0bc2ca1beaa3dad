"""Settings of the export."""

import dataclasses
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, QUANTIZED, Bounds, ExportFormat
from albert_core.settings.checks import check_between, check_distinct
from components.export.card.config import CardConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of the export: the formats, and the scores that a model must reach.

    Settings out of their range, or without the formats that they are for, are refused with an
    InputError.

    Attributes:
        formats: Names in the table of formats (`albert_core.exports.formats`, and this step's
            README). Without any, nothing is exported.
        thresholds: Least score by task, `*` for all others, of its first metric on the dev set (0.8
            is 80 points). A model below it is not exported; models of tasks without one always are.
        max_score_loss: Largest loss of a score by rounded weights, from 0 to 1 (0.02 is 2 points,
            the default). In other formats they may differ by 0.001, or by one example where that
            is more.
        card: What only people know, for the cards of the models.
    """

    formats: tuple[ExportFormat, ...] = ()
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    max_score_loss: float | None = None
    card: CardConfig = dataclasses.field(default_factory=CardConfig)

    def __post_init__(self) -> None:
        """Refuse settings that do not fit together or are out of range.

        Raises:
            InputError: There are thresholds or settings of the card (but for price and currency)
                without formats, a format twice, a threshold outside -1 to 1, or a `max_score_loss`
                outside 0 to 1 or without a format of rounded weights.
        """
        # The price is of the leaderboard, too (tests/benchmarks), which needs no exports.
        card = self.card
        priced = CardConfig(price_per_hour=card.price_per_hour, currency=card.currency)
        has_card = card != priced
        for name, is_set in (("thresholds", self.thresholds), ("card", has_card)):
            if is_set and not self.formats:
                raise InputError(
                    f"export.{name}: got settings without export.formats, so nothing is exported; "
                    "expected formats, for example --export.formats huggingface"
                )
        check_distinct("export.formats", self.formats)
        for task, least in self.thresholds.items():
            if not -1 <= least <= 1:
                raise InputError(
                    f"export.thresholds.{task}: got {least}, expected -1 to 1 (0.8 is 80 points)"
                )
        self._check_score_loss()

    def _check_score_loss(self) -> None:
        """Refuse a loss below 0 or above 1, or one that no format of rounded weights uses.

        Raises:
            InputError: `max_score_loss` is one of these. None, 0 and 1 are right.
        """
        if self.max_score_loss is None:
            return
        check_between(self, "export", "max_score_loss", hint="0.02 is 2 points")
        if not set(self.formats) & set(QUANTIZED):
            raise InputError(
                f"export.max_score_loss: got {self.max_score_loss} without a format of rounded "
                f"weights ({', '.join(QUANTIZED)}); the others have limits of their own"
            )

    def get_bounds(self, name: ExportFormat) -> Bounds:
        """Return the limits of a format's proof.

        They are those in the table of formats; but `max_score_loss`, if set, takes the place of
        `score_change` where weights are rounded.
        """
        bounds = FORMATS[name].bounds
        if self.max_score_loss is None or not bounds.is_quantized:
            return bounds
        return dataclasses.replace(bounds, score_change=self.max_score_loss)
