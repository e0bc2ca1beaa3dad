"""LAMB and AdamW as the original defines them, and its learning-rate schedule.

Neither corrects the bias of the moments. Source: lamb_optimizer.py and optimization.py of
google-research/albert; You et al. 2020, algorithm 2.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from albert_core.training.plan import OptimizerName, check_rates

# Variables left out of weight decay, and of LAMB's trust ratio.
_NOT_ADAPTED = re.compile(r"LayerNorm|layer_norm|bias")


@keras.saving.register_keras_serializable(package="albert")
class AdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and without bias correction.

    Its variable `rate_factor`, 1 unless training had to go back, multiplies the learning rate.

    Args:
        learning_rate: A rate or a schedule of rates.
        decay_rate: Weight decay, times the learning rate, of all kernels and embeddings.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        name: Name of the optimizer.
        **kwargs: Passed on to Keras, for example `global_clipnorm`.
    """

    def __init__(
        self,
        learning_rate: Any = 5e-5,
        *,
        decay_rate: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        name: str = "adamw",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[Any]) -> None:
        """Make the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self.adam_m, self.adam_v = self.add_optimizer_variables(variables, ["adam_m", "adam_v"])
        self.rate_factor = self.add_variable(shape=(), initializer="ones", name="rate_factor")
        self._adapted = [_NOT_ADAPTED.search(variable.path) is None for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable one step."""
        index = self._get_variable_index(variable)
        update = self._direction(ops.cast(gradient, variable.dtype), index)
        rate = ops.cast(learning_rate, variable.dtype) * self.rate_factor
        if self._adapted[index]:
            update = update + self.decay_rate * variable
            rate = rate * self._trust_ratio(variable, update)
        self.assign_sub(variable, rate * update)

    def _direction(self, gradient: Any, index: int) -> Any:
        adam_m, adam_v = self.adam_m[index], self.adam_v[index]
        next_m = self.beta_1 * adam_m + (1.0 - self.beta_1) * gradient
        next_v = self.beta_2 * adam_v + (1.0 - self.beta_2) * ops.square(gradient)
        self.assign(adam_m, next_m)
        self.assign(adam_v, next_v)
        return next_m / (ops.sqrt(next_v) + self.epsilon)

    def _trust_ratio(self, variable: Any, update: Any) -> Any:
        return 1.0

    def slots_by_name(self) -> dict[str, Any]:
        """Return the moments under the names they have in the original's checkpoints."""
        return {
            f"{variable.path.partition('/')[2]}/{slot}": moments[index]
            for slot, moments in (("adam_m", self.adam_m), ("adam_v", self.adam_v))
            for index, variable in enumerate(self._trainable_variables)
        }

    def state_by_name(self) -> dict[str, Any]:
        """Return everything that changes: moments, number of updates, factor of the rate."""
        return {
            **self.slots_by_name(),
            "global_step": self.iterations,
            "rate_factor": self.rate_factor,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        return {
            **super().get_config(),
            "decay_rate": self.decay_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable(package="albert")
class LAMB(AdamW):
    """AdamW whose step is scaled, per variable, by the ratio of weight norm to update norm.

    Args:
        learning_rate: A rate or a schedule of rates.
        name: Name of the optimizer.
        **kwargs: As for `AdamW`.
    """

    def __init__(self, learning_rate: Any = 0.00176, *, name: str = "lamb", **kwargs: Any) -> None:
        super().__init__(learning_rate, name=name, **kwargs)

    def _trust_ratio(self, variable: Any, update: Any) -> Any:
        weight_norm, update_norm = _norm(variable), _norm(update)
        usable = ops.logical_and(weight_norm > 0.0, update_norm > 0.0)
        safe_update_norm = ops.where(usable, update_norm, 1.0)
        return ops.where(usable, weight_norm / safe_update_norm, 1.0)


def _norm(tensor: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(tensor)))


@keras.saving.register_keras_serializable(package="albert")
class WarmUpPolynomialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then polynomial decay to 0 at the last step.

    As in the original the decay counts from step 0, so the rate steps down a little where the
    warm-up ends. The rate of the first warm-up step is 0.

    Deviates from the original: before `start_warmup_step` the rate is 0; there it is negative.

    Args:
        peak: Rate the warm-up leads to.
        num_train_steps: Step at which the rate is 0.
        num_warmup_steps: Length of the warm-up.
        start_warmup_step: Step at which the warm-up begins.
        power: Exponent of the decay; 1 is linear.
    """

    def __init__(
        self,
        peak: float,
        *,
        num_train_steps: int,
        num_warmup_steps: int = 0,
        start_warmup_step: int = 0,
        power: float = 1.0,
    ) -> None:
        super().__init__()
        self.peak = peak
        self.num_train_steps = num_train_steps
        self.num_warmup_steps = num_warmup_steps
        self.start_warmup_step = start_warmup_step
        self.power = power

    def __call__(self, step: Any) -> Any:
        """Return the rate for the update that is made at `step`."""
        step = ops.cast(step, "float32")
        left = 1.0 - ops.minimum(step, self.num_train_steps) / self.num_train_steps
        decayed = self.peak * ops.power(left, self.power)
        if not self.num_warmup_steps:
            return decayed
        warmed = step - self.start_warmup_step
        warming = self.peak * ops.maximum(warmed, 0.0) / self.num_warmup_steps
        return ops.where(warmed < self.num_warmup_steps, warming, decayed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        return {
            "peak": self.peak,
            "num_train_steps": self.num_train_steps,
            "num_warmup_steps": self.num_warmup_steps,
            "start_warmup_step": self.start_warmup_step,
            "power": self.power,
        }


@keras.saving.register_keras_serializable(package="albert")
class ScheduleOfPhases(keras.optimizers.schedules.LearningRateSchedule):
    """One schedule after the other, each counting its steps from its own beginning.

    Args:
        schedules: The schedules.
        num_steps: How many steps each of them lasts.
    """

    def __init__(
        self, schedules: Sequence[WarmUpPolynomialDecay], *, num_steps: Sequence[int]
    ) -> None:
        super().__init__()
        self.schedules = list(schedules)
        self.num_steps = list(num_steps)

    def __call__(self, step: Any) -> Any:
        """Return the rate for the update that is made at `step`."""
        rate = self.schedules[0](step)
        for begin, schedule in zip(
            itertools.accumulate(self.num_steps), self.schedules[1:], strict=False
        ):
            rate = ops.where(step >= begin, schedule(step - begin), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        schedules = [keras.saving.serialize_keras_object(each) for each in self.schedules]
        return {"schedules": schedules, "num_steps": self.num_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScheduleOfPhases":
        """Build one from `get_config`."""
        schedules = map(keras.saving.deserialize_keras_object, config["schedules"])
        return cls(list(schedules), num_steps=config["num_steps"])


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
