"""AdamW as the original defines it; on demand with bias correction, and with averaged weights.

Source: optimization.py of google-research/albert; the correction: Kingma and Ba 2015, section 3.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from albert_core.backends import compile_loops
from albert_core.optimizers.phases import SettledSchedule

# As in the original, layer normalisation and biases have neither weight decay nor a trust ratio
# (exclude_from_weight_decay).
_NOT_ADAPTED = re.compile(r"LayerNorm|layer_norm|bias")
_ENCODER = "/bert/"  # in the paths of the encoder's variables, pooler included

# What follows a weight's name in the name of its average, in checkpoints of a training.
AVERAGE = "average"

# Variables of this many numbers or more are updated in compiled loops: of 8,000 word embeddings
# that saves a dozen passes over 4 MB, while small ones are not worth compiling for.
_LARGE = 2**18


@keras.saving.register_keras_serializable(package="albert")
class AdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay; without bias correction unless it is asked for.

    Its variable `rate_factor` multiplies the learning rate: 1, unless training was rolled back.

    Args:
        learning_rate: A rate or a schedule of rates.
        decay_rate: Weight decay of all kernels and embeddings; it is multiplied by the learning
            rate.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        head_rate_multiplier: Factor of the learning rate for variables outside the encoder.
        bias_correction: Whether the moments, which begin at 0, are divided by the sum of the
            weights in their mean. Without it the update t of the first ones is too large, by (1 -
            beta_1 ** t) / sqrt(1 - beta_2 ** t): with the defaults 3 to 6 times.
        ema_decay: Decay of an exponential moving average of every variable; None: none is kept.
            After t updates the next one uses (1 + t) / (10 + t) where that is smaller, as
            `tf.train.ExponentialMovingAverage` does, so that the initial values are soon gone.
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
        head_rate_multiplier: float = 1.0,
        bias_correction: bool = False,
        ema_decay: float | None = None,
        name: str = "adamw",
        **kwargs: Any,
    ) -> None:
        """Keep the settings, unchecked; variables are made by `build`."""
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.head_rate_multiplier = head_rate_multiplier
        self.bias_correction = bias_correction
        # Not Keras's `use_ema`: of t weights it averages, the first one's part is decay ** t, which
        # is most of the average for the first 1 / (1 - decay) updates.
        self.ema_decay = ema_decay

    def build(self, variables: list[Any]) -> None:
        """Create the moments of every variable, and `rate_factor`; a second call does nothing.

        A `SettledSchedule` makes its variable here, too. With `ema_decay` there are also the
        averages, which begin as the variables' values.
        """
        if self.built:
            return
        super().build(variables)
        self._add_moments(variables)
        # A variable, so that a roll-back changes it in a compiled step, and checkpoints keep it.
        self.rate_factor = self.add_variable(shape=(), initializer="ones", name="rate_factor")
        if isinstance(self.schedule, SettledSchedule):
            self.schedule.build(self)
        self._adapted = [_NOT_ADAPTED.search(variable.path) is None for variable in variables]
        self._in_head = [_ENCODER not in variable.path for variable in variables]
        self._averages = []
        if self.ema_decay is not None:
            (self._averages,) = self.add_optimizer_variables(variables, [AVERAGE])
            for variable, average in zip(variables, self._averages, strict=True):
                # A copy: JAX cannot donate one array in two places to a step.
                average.assign(ops.copy(variable))

    def _add_moments(self, variables: list[Any]) -> None:
        """Create `adam_m` and `adam_v`: a moment of each variable, in the variables' order."""
        self.adam_m, self.adam_v = self.add_optimizer_variables(variables, ["adam_m", "adam_v"])

    @property
    def schedule(self) -> Any:
        """The rate or schedule that the optimizer was made with."""
        return self._learning_rate

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable by its gradient, in place, its moments, and its average if kept.

        The average moves towards the new value, by 1 minus the smaller of `ema_decay` and (1 + t) /
        (10 + t) after t updates.
        """
        self.assign_sub(variable, self._compute_step(gradient, variable, learning_rate))
        if self.ema_decay is None:
            return
        average = self._averages[self._get_variable_index(variable)]
        num_before = ops.cast(self.iterations, variable.dtype)
        decay = ops.minimum(self.ema_decay, (1.0 + num_before) / (10.0 + num_before))
        self.assign(average, average + (1.0 - decay) * (variable - average))

    def _compute_step(self, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        """Update the moments of a variable; return what is to be subtracted from it.

        The rate is `learning_rate` times `rate_factor`, for the head also times its multiplier, and
        in LAMB also times the trust ratio. Biases and layer normalisation have neither weight decay
        nor a trust ratio.
        """
        index = self._get_variable_index(variable)
        update = self._update_moments(ops.cast(gradient, variable.dtype), index)
        rate = ops.cast(learning_rate, variable.dtype) * self.rate_factor
        if self._in_head[index] and self.head_rate_multiplier != 1:
            rate = rate * self.head_rate_multiplier
        if self._adapted[index]:
            # Before the trust ratio: as in the original its norm is that of the update with the
            # decay.
            update = update + self.decay_rate * variable
            rate = rate * self._trust_ratio(variable, update)
        return rate * update

    def _update_moments(self, gradient: Any, index: int) -> Any:
        """Update the moments of a variable; return its update before weight decay and rate.

        That is the first moment over the root of the second plus epsilon, with both corrected for
        beginning at 0 only if `bias_correction` is set.
        """
        adam_m, adam_v = self.adam_m[index], self.adam_v[index]
        is_large = math.prod(adam_m.shape) >= _LARGE
        next_m, next_v, update = (_compiled_adam if is_large else _adam)(
            gradient,
            adam_m,
            adam_v,
            self._sum_of_weights(self.beta_1) if self.bias_correction else None,
            self._sum_of_weights(self.beta_2) if self.bias_correction else None,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
        self.assign(adam_m, next_m)
        self.assign(adam_v, next_v)
        return update

    def _sum_of_weights(self, beta: float) -> Any:
        """Return 1 - beta ** t, float32, for update number t, the current one, counted from 1."""
        num_updates = ops.cast(self.iterations, "float32") + 1.0
        # Not 1 - power: in float32 the difference of two numbers close to 1 has few digits left.
        return -ops.expm1(num_updates * math.log(beta))

    def _trust_ratio(self, variable: Any, update: Any) -> Any:
        """Return 1 as the factor of the rate of a variable with weight decay; LAMB overrides it."""
        return 1.0

    def slots_by_name(self) -> dict[str, Any]:
        """Return the variables of the moments by name: name of the weight, `/`, `adam_m` or such.

        A moment that a variable does not have is left out. The names of `adam_m` and `adam_v` are
        those in the original's checkpoints.

        The optimizer must be built.
        """
        return {
            f"{variable.path.partition('/')[2]}/{slot}": moments[index]
            for slot, moments in self._moments_by_slot().items()
            for index, variable in enumerate(self._trainable_variables)
            if moments[index] is not None
        }

    def _moments_by_slot(self) -> dict[str, list[Any]]:
        """Return the moments by kind, in the order of the variables; None where one is missing."""
        return {"adam_m": self.adam_m, "adam_v": self.adam_v}

    def averages_by_name(self) -> dict[str, Any]:
        """Return the averages of the variables, by the variables' names; none without `ema_decay`.

        The optimizer must be built.
        """
        if self.ema_decay is None:
            return {}
        names = (variable.path.partition("/")[2] for variable in self._trainable_variables)
        return dict(zip(names, self._averages, strict=True))

    @contextlib.contextmanager
    def averages_in_place(self) -> Iterator[None]:
        """Give the variables the values of their averages for the body, then their own values back.

        The values are given back after an error, too. During the body the averages hold the
        variables' values. Does nothing without `ema_decay`. The optimizer must be built.
        """
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _swap_averages(self) -> None:
        """Exchange the values of variables and averages; does nothing without `ema_decay`."""
        if self.ema_decay is None:
            return
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            value = ops.copy(variable)  # with TensorFlow its value is the variable itself
            variable.assign(average)
            average.assign(value)

    def state_by_name(self) -> dict[str, Any]:
        """Return the variables that a checkpoint needs, by name.

        They are the moments, the averages (with `ema_decay`), `global_step` and `rate_factor`. The
        variable of a `SettledSchedule` is left out: `settle` sets it again. They are the variables
        themselves, not copies.

        The optimizer must be built.
        """
        return {
            **self.slots_by_name(),
            **{f"{name}/{AVERAGE}": value for name, value in self.averages_by_name().items()},
            "global_step": self.iterations,
            "rate_factor": self.rate_factor,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for serialisation."""
        return {
            **super().get_config(),
            "decay_rate": self.decay_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "head_rate_multiplier": self.head_rate_multiplier,
            "bias_correction": self.bias_correction,
            "ema_decay": self.ema_decay,
        }


def _adam(
    gradient: Any,
    adam_m: Any,
    adam_v: Any,
    sum_m: Any,
    sum_v: Any,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Any, Any, Any]:
    """Return the next moments of a variable and its update before weight decay and rate.

    Args:
        gradient: Gradient of the variable, float32, as the moments are.
        adam_m: The first moment.
        adam_v: The second moment.
        sum_m: Sum of the weights in the first moment, by which the moment is divided; None: it is
            not divided.
        sum_v: Sum of the weights in the second moment, by which the moment is divided; None: it is
            not divided.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
    """
    next_m = beta_1 * adam_m + (1.0 - beta_1) * gradient
    next_v = beta_2 * adam_v + (1.0 - beta_2) * ops.square(gradient)
    mean = next_m if sum_m is None else next_m / sum_m
    variance = next_v if sum_v is None else next_v / sum_v
    return next_m, next_v, mean / (ops.sqrt(variance) + epsilon)


_compiled_adam = compile_loops(_adam)
