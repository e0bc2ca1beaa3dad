"""Optimizers by name, with the original's weight decay and clipping."""

from collections.abc import Mapping
from typing import Any

from albert_core.optimizers.adamw import AdamW
from albert_core.optimizers.lamb import LAMB
from albert_core.optimizers.muon import Muon
from albert_core.optimizers.phases import PhasedSchedule
from albert_core.optimizers.schedules import PolynomialDecay
from albert_core.optimizers.settings import OptimizerName

_OPTIMIZERS: Mapping[OptimizerName, type[AdamW]] = {"lamb": LAMB, "adamw": AdamW, "muon": Muon}


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
    **settings: Any,
) -> AdamW:
    """Return an optimizer, not built, with the original's schedule and clipping.

    Args:
        name: Which of them.
        learning_rate: Peak rate.
        num_train_steps: Step at which the decay ends; the rate is 0 from there on, unless
            `poly_power` is 0.
        num_warmup_steps: Steps of linear warm-up.
        start_warmup_step: Step at which the warm-up begins; the rate is 0 before.
        poly_power: Exponent of the decay; 1 is linear, 0 keeps the peak.
        decay_rate: Weight decay of kernels and embeddings.
        clip_norm: Largest norm of the whole gradient; longer ones are scaled down to it.
        **settings: As `OptimizerConfig.optimizer_settings` returns them, and of a head of its own
            rate the `head_rate_multiplier`.

    Raises:
        InputError: A number of the schedule is out of its range; the others are not checked.
    """
    schedule = PolynomialDecay(
        peak=learning_rate,
        num_train_steps=num_train_steps,
        num_warmup_steps=num_warmup_steps,
        start_warmup_step=start_warmup_step,
        poly_power=poly_power,
    )
    schedule.check()
    phases = PhasedSchedule([schedule], num_steps=[num_train_steps])
    return make_phased_optimizer(
        name, phases, decay_rate=decay_rate, clip_norm=clip_norm, **settings
    )


def make_phased_optimizer(
    name: OptimizerName,
    schedule: PhasedSchedule,
    *,
    decay_rate: float = 0.01,
    clip_norm: float = 1.0,
    **settings: Any,
) -> AdamW:
    """Return an optimizer, not built, with any schedule; the defaults are the original's.

    Args:
        name: Which of them.
        schedule: The learning rate; its numbers are not checked here.
        decay_rate: Weight decay of kernels and embeddings.
        clip_norm: Largest norm of the whole gradient; longer ones are scaled down to it.
        **settings: As `OptimizerConfig.optimizer_settings` returns them, and on demand
            `head_rate_multiplier` and `ema_decay`; not checked.
    """
    return _OPTIMIZERS[name](
        schedule,
        decay_rate=decay_rate,
        # By the norm of all gradients together, as in the original; `clipnorm` would clip each
        # alone.
        global_clipnorm=clip_norm,
        **settings,
    )
