"""What counts as divergence of a training, and what is done then: stop, or roll back.

Does not import Keras.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.settings.checks import check_at_least, check_between

# Above 0.5 by more than held-out samples of a few thousand pairs vary: still guessing below it.
_CHANCE = 0.52
_OF_ROLL_BACKS = ("roll_back_factor", "max_roll_backs")


class DivergenceError(RuntimeError):
    """Training diverges; the message says how that was noticed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SafeguardConfig:
    """Settings of what counts as divergence, and of what is done about it.

    Attributes:
        action: `stop`, keeping the last good checkpoint, or `roll_back` to it and go on with a
            lower learning rate.
        spike_ratio: A loss of more than this many times the lowest so far is divergence; above 1,
            or 0: never. A loss that is not finite always is.
        stuck_after_steps: Steps after which training stops if the held-out sentence-order accuracy
            has never reached 52 %; None: never. It is not rolled back, which would not help.
        roll_back_factor: What each roll-back multiplies the learning rate by, once more; between 0
            and 1.
        max_roll_backs: Roll-backs after which divergence stops the run.
    """

    action: Literal["stop", "roll_back"] = "stop"
    spike_ratio: float = 2.0
    stuck_after_steps: int | None = None
    roll_back_factor: float = 0.5
    max_roll_backs: int = 3

    def __post_init__(self) -> None:
        """Refuse settings out of their range, and those of roll-backs where there are none.

        `stuck_after_steps` is not checked.

        Raises:
            InputError: `spike_ratio` is neither 0 nor above 1, `roll_back_factor` is 0, 1 or not
                between them, `max_roll_backs` is below 0, or one of these two is set although
                `action` is not `roll_back`.
        """
        # Not `<=`, which NaN would pass.
        if self.spike_ratio and not self.spike_ratio > 1.0:
            raise InputError(
                f"safeguards.spike_ratio: got {self.spike_ratio}, expected above 1, or 0 for never"
            )
        check_between(self, "safeguards", "roll_back_factor", inclusive="neither")
        check_at_least(self, "safeguards", max_roll_backs=0)
        for name in _OF_ROLL_BACKS:
            value = getattr(self, name)
            if self.action != "roll_back" and value != getattr(SafeguardConfig, name):
                raise InputError(
                    f"safeguards.{name}: got {value} with the action {self.action}, expected it "
                    "with the action roll_back; set that, or remove it"
                )

    def check_loss(self, step: int, loss: float, lowest_loss: float | None) -> None:
        """Refuse a loss that shows divergence.

        Args:
            step: The last step, for the message.
            loss: Mean loss of the steps since the last check.
            lowest_loss: Lowest one so far in this phase; None or 0: there is none to compare with.

        Raises:
            DivergenceError: It is not finite, or more than `spike_ratio` times `lowest_loss`.
        """
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss is {loss} at step {step}")
        # A lowest loss of 0 compares with nothing: any loss would be too many times it.
        if self.spike_ratio and lowest_loss and loss > self.spike_ratio * lowest_loss:
            raise DivergenceError(
                f"the loss jumped to {loss:.3f} at step {step}, over {self.spike_ratio:g} times "
                f"the lowest so far ({lowest_loss:.3f})"
            )

    def check_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a history of a model that does not learn the order of sentences.

        Args:
            history: At least one row; with `sentence_order_accuracy` if `stuck_after_steps` is set.

        Raises:
            StuckError: After `stuck_after_steps` no sentence-order accuracy has reached 52 %.
        """
        last, name = history[-1], "sentence_order_accuracy"
        if self.stuck_after_steps is None or last["global_step"] < self.stuck_after_steps:
            return
        best = max(row[name] for row in history)
        if best < _CHANCE:
            raise StuckError(
                f"held-out sentence-order accuracy was never above {best:.3f} up to step "
                f"{last['global_step']}: the segments cannot be told apart, or the rate is too high"
            )


class StuckError(DivergenceError):
    """Training does not learn, and a roll-back would not help."""


def without_unused_safeguards(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded settings of a training without those of roll-backs that it did not have.

    Earlier versions took such settings, which `SafeguardConfig` refuses.

    Args:
        recorded: Settings of pretraining or fine-tuning by name, with or without `safeguards`.
    """
    safeguards = recorded.get("safeguards")
    if not isinstance(safeguards, Mapping) or safeguards.get("action") == "roll_back":
        return dict(recorded)
    used = {name: value for name, value in safeguards.items() if name not in _OF_ROLL_BACKS}
    return {**recorded, "safeguards": used}
