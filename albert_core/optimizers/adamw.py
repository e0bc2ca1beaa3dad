"""AdamW as the original defines it: without correction of the moments' bias.

Source: optimization.py of google-research/albert.
"""

import re
from typing import Any

import keras
from keras import ops

# As in the original, layer normalisation and biases have neither weight decay nor a trust ratio
# (exclude_from_weight_decay).
_NOT_ADAPTED = re.compile(r"LayerNorm|layer_norm|bias")
_ENCODER = "/bert/"  # in the paths of the encoder's variables, pooler included


@keras.saving.register_keras_serializable(package="albert")
class AdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and without bias correction.

    Its variable `rate_factor` multiplies the learning rate: 1, unless training was rolled back.

    Args:
        learning_rate: A rate or a schedule of rates.
        decay_rate: Weight decay, times the learning rate, of all kernels and embeddings.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        head_rate_multiplier: What the rate of variables outside the encoder is multiplied by.
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

    def build(self, variables: list[Any]) -> None:
        """Create two moments of every variable, and `rate_factor`; a second call does nothing."""
        if self.built:
            return
        super().build(variables)
        self.adam_m, self.adam_v = self.add_optimizer_variables(variables, ["adam_m", "adam_v"])
        # A variable, so that a roll-back changes it in a compiled step, and checkpoints keep it.
        self.rate_factor = self.add_variable(shape=(), initializer="ones", name="rate_factor")
        self._adapted = [_NOT_ADAPTED.search(variable.path) is None for variable in variables]
        self._in_head = [_ENCODER not in variable.path for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable by its gradient, in place, and its two moments.

        The rate is `learning_rate` times `rate_factor`, of the head times its multiplier (in LAMB
        also times the trust ratio). Biases and layer normalisation have neither weight decay nor a
        trust ratio.
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
        self.assign_sub(variable, rate * update)

    def _update_moments(self, gradient: Any, index: int) -> Any:
        """Update the moments of a variable; return its update before weight decay and rate."""
        # No bias correction: the original has none, and its numbers are kept exactly.
        adam_m, adam_v = self.adam_m[index], self.adam_v[index]
        next_m = self.beta_1 * adam_m + (1.0 - self.beta_1) * gradient
        next_v = self.beta_2 * adam_v + (1.0 - self.beta_2) * ops.square(gradient)
        self.assign(adam_m, next_m)
        self.assign(adam_v, next_v)
        return next_m / (ops.sqrt(next_v) + self.epsilon)

    def _trust_ratio(self, variable: Any, update: Any) -> Any:
        """Return what multiplies the rate of a variable with weight decay: 1; LAMB overrides it."""
        return 1.0

    def slots_by_name(self) -> dict[str, Any]:
        """Return the variables of the moments under their names in the original's checkpoints.

        The optimizer must be built.
        """
        return {
            f"{variable.path.partition('/')[2]}/{slot}": moments[index]
            for slot, moments in (("adam_m", self.adam_m), ("adam_v", self.adam_v))
            for index, variable in enumerate(self._trainable_variables)
        }

    def state_by_name(self) -> dict[str, Any]:
        """Return the variables that a checkpoint needs, by name: moments, step, factor of the rate.

        The optimizer must be built.
        """
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
            "head_rate_multiplier": self.head_rate_multiplier,
        }
