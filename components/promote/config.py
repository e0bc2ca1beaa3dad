"""Settings of retraining on a schedule."""

import dataclasses

from albert_core.checks import check_between


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrainingConfig:
    """From which model a run goes on, and when it takes that model's place.

    Attributes:
        accepted: Folder of the accepted models' pointers, local or gs://. Pretraining goes on from
            the model accepted last before the run's date, with its vocabulary. Empty: no
            retraining.
        min_gain: Least gain over that model, as the mean over the tasks of their first metric
            (0.001 is 0.1 points).
        max_loss: Most that a single task may lose.
    """

    accepted: str = ""
    min_gain: float = 0.001
    max_loss: float = 0.02

    def __post_init__(self) -> None:
        check_between(self, "retraining", "min_gain", "max_loss", hint="0.01 is one point")
