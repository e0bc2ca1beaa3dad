"""Settings of retraining on a schedule."""

import dataclasses

from albert_core.errors import InputError
from albert_core.settings.checks import check_between


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainingConfig:
    """Which model a run starts from, and when the new model replaces it.

    A bound outside 0 to 1, or without `accepted`, is refused with an InputError.

    Attributes:
        accepted: Folder of the accepted models' pointers, local, gs:// or s3://. Pretraining starts
            from the model accepted last before the run's date, with its vocabulary. Empty: no
            retraining.
        min_gain: Smallest gain over that model at which the new one is accepted, as the mean over
            the tasks of their first metric, from 0 to 1 (0.001 is 0.1 points).
        max_loss: Largest loss of a single task at which it is accepted, from 0 to 1.
    """

    accepted: str = ""
    min_gain: float = 0.001
    max_loss: float = 0.02

    def __post_init__(self) -> None:
        """Refuse bounds outside 0 to 1, and those of no retraining.

        Raises:
            InputError: `min_gain` or `max_loss` is below 0 or above 1, or is set without
                `accepted`.
        """
        check_between(self, "retraining", "min_gain", "max_loss", hint="0.01 is one point")
        for name in ("min_gain", "max_loss"):
            value = getattr(self, name)
            if value != getattr(RetrainingConfig, name) and not self.accepted:
                raise InputError(
                    f"retraining.{name}: got {value} without retraining.accepted, so that no model "
                    "is compared; name the folder of the accepted models, or remove it"
                )
