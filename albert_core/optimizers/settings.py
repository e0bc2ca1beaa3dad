"""Settings that optimizers share. Does not import Keras."""

import math
from typing import Literal

from albert_core.checks import check_minimum
from albert_core.errors import InputError

OptimizerName = Literal["lamb", "adamw"]


def check_rates(
    learning_rate: float,
    num_warmup_steps: int,
    num_train_steps: int,
    *,
    start_warmup_step: int = 0,
) -> None:
    """Refuse a rate that is not positive and a warm-up that does not end before training does.

    Raises:
        InputError: One of them is out of its range, or `start_warmup_step` is below 0.
    """
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate: got {learning_rate}, expected a number above 0")
    check_minimum("start_warmup_step", start_warmup_step, 0)
    last = num_train_steps - start_warmup_step
    if not 0 <= num_warmup_steps < last:
        after = f" - start_warmup_step={start_warmup_step}" if start_warmup_step else ""
        raise InputError(
            f"num_warmup_steps: got {num_warmup_steps}, expected from 0 to below "
            f"num_train_steps={num_train_steps}{after}"
        )
