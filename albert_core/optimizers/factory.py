"""Optimizers by name, with the original's schedule, weight decay and clipping."""

from typing import Any

from albert_core.optimizers.adamw import AdamW
from albert_core.optimizers.lamb import LAMB
from albert_core.optimizers.schedules import WarmUpPolynomialDecay
from albert_core.optimizers.settings import OptimizerName, check_rates


def make_optimizer(
    name: OptimizerName,
    *,
    learning_rate: float,
    num_train_steps: int,
    num_warmup_steps: int,
    start_warmup_step: int = 0,
    poly_power: float = 1.0,
    decay_rate: float = 0.01,
    clip_norm: float = 1.0,
) -> AdamW:
    """Return LAMB or AdamW with the original's schedule and clipping of the global norm.

    Raises:
        InputError: A number is out of its range.
    """
    check_rates(
        learning_rate,
        num_warmup_steps,
        num_train_steps,
        start_warmup_step=start_warmup_step,
        poly_power=poly_power,
    )
    return optimizer_with(
        WarmUpPolynomialDecay(
            learning_rate,
            num_train_steps=num_train_steps,
            num_warmup_steps=num_warmup_steps,
            start_warmup_step=start_warmup_step,
            power=poly_power,
        ),
        name,
        decay_rate=decay_rate,
        clip_norm=clip_norm,
    )


def optimizer_with(
    schedule: Any, name: OptimizerName, *, decay_rate: float = 0.01, clip_norm: float = 1.0
) -> AdamW:
    """Return LAMB or AdamW with any schedule; decay and clipping are the original's."""
    optimizer = {"lamb": LAMB, "adamw": AdamW}[name]
    return optimizer(schedule, decay_rate=decay_rate, global_clipnorm=clip_norm)
