"""What is done when training goes wrong: stop with the reason, or go back with a lower rate."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from albert_core.checks import check_at_least, check_between
from albert_core.errors import InputError

_CHANCE = 0.52  # accuracy on a balanced choice of two that is not above chance


class DivergenceError(RuntimeError):
    """Training does not do what it should; the message says what was seen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SafeguardConfig:
    """What counts as trouble, and what is done about it.

    Attributes:
        action: `stop`, keeping the last good checkpoint, or `roll_back` to it and go on with a
            lower learning rate.
        spike_ratio: A loss of more than this many times the lowest so far is trouble; 0: never.
            A loss that is not finite always is.
        stuck_after_steps: Trouble if after so many updates the held-out sentence-order accuracy
            has never left 50 %; None: never. Always stops: a lower rate does not cure it.
        roll_back_factor: What a roll-back multiplies the learning rate by.
        max_roll_backs: Roll-backs after which trouble stops the run.
    """

    action: Literal["stop", "roll_back"] = "stop"
    spike_ratio: float = 2.0
    stuck_after_steps: int | None = None
    roll_back_factor: float = 0.5
    max_roll_backs: int = 3

    def __post_init__(self) -> None:
        if self.spike_ratio and not self.spike_ratio > 1.0:
            raise InputError(
                f"safeguards.spike_ratio: got {self.spike_ratio}, expected above 1, or 0 for never"
            )
        check_between(self, "safeguards", "roll_back_factor", inclusive="neither")
        check_at_least(self, "safeguards", max_roll_backs=0)

    def check_loss(self, step: int, loss: float, lowest_loss: float | None) -> None:
        """Look at the mean loss of the last few updates.

        Raises:
            DivergenceError: It is not finite, or a spike.
        """
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss is {loss} at step {step}")
        if self.spike_ratio and lowest_loss and loss > self.spike_ratio * lowest_loss:
            raise DivergenceError(
                f"the loss jumped to {loss:.3f} at step {step}, over {self.spike_ratio:g} times "
                f"the lowest so far ({lowest_loss:.3f})"
            )

    def check_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Look at the held-out evaluations so far.

        Raises:
            StuckError: Sentence order is still guessed.
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
    """Training does not learn; going back would not help."""
