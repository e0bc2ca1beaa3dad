"""Muon for the matrices of the transformer blocks, with AdamW for all other variables.

Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (momentum,
iteration and its coefficients); Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2
(the scale of the update, and weight decay).
"""

import math
import re
from typing import Any

import keras
from keras import ops

from albert_core.optimizers.adamw import AdamW
from albert_core.training.devices import Precision

# The kernels of attention and feed-forward. Not the projection of the embeddings, the pooler and
# the heads, which the sources leave to AdamW as the ends of the network.
_BLOCK_KERNEL = re.compile(r"encoder/transformer/group_\d+/inner_group_\d+/.+/kernel$")

# The odd polynomial a x + b x^3 + c x^5, applied to singular values from 0 to 1 five times, takes
# those above 0.002 to between 0.68 and 1.21. It does not converge to 1: the coefficients were
# chosen for the steepest slope at 0 (Jordan et al.).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_NUM_ITERATIONS = 5
_SMALLEST_NORM = 1e-7  # added to the norm: a gradient of zeros stays zero

# The root mean square that updates of AdamW typically have (Liu et al.), so that both kinds of
# variables can have one rate and one weight decay.
_UPDATE_RMS = 0.2


@keras.saving.register_keras_serializable(package="albert")
class Muon(AdamW):
    """Momentum whose update is made orthogonal for matrices of blocks; AdamW for the rest.

    A weight that several layers share is one matrix, and so is the kernel of all heads together;
    groups and blocks of a group have their own. Such a matrix has one moment, `muon_m`, instead of
    two; its update has the same root mean square as AdamW's, and decoupled weight decay.

    Args:
        learning_rate: A rate or a schedule of rates.
        momentum: Decay of the matrices' moment.
        rate_ratio: Rate of the matrices over `learning_rate`.
        precision: Precision in which the update is made orthogonal. `auto`: bfloat16 where layers
            made now compute in it, else float32. The moment and the weights are always float32.
        name: Name of the optimizer.
        **kwargs: The other arguments of `AdamW`; betas, epsilon and bias correction hold for the
            rest only.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        *,
        momentum: float = 0.95,
        rate_ratio: float = 1.0,
        precision: Precision = "auto",
        name: str = "muon",
        **kwargs: Any,
    ) -> None:
        """Keep the settings, unchecked, with the precision resolved."""
        super().__init__(learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.rate_ratio = rate_ratio
        if precision == "auto":
            is_bfloat16 = keras.config.dtype_policy().compute_dtype == "bfloat16"
            precision = "bfloat16" if is_bfloat16 else "float32"
        self.precision = precision

    def _add_moments(self, variables: list[Any]) -> None:
        """Create `muon_m` of every kernel of a block, `adam_m` and `adam_v` of the other variables.

        Each of the three lists has a place for every variable; None where it has no such moment.
        """
        moments: dict[str, list[Any]] = {"adam_m": [], "adam_v": [], "muon_m": []}
        for variable in variables:
            is_matrix = len(variable.shape) == 2 and _BLOCK_KERNEL.search(variable.path)
            for slot, of_slot in moments.items():
                is_used = (slot == "muon_m") == bool(is_matrix)
                of_slot.append(
                    self.add_variable_from_reference(variable, name=slot) if is_used else None
                )
        self.adam_m, self.adam_v, self.muon_m = moments.values()

    def _compute_step(self, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        """Update the moments of a variable; return what is to be subtracted from it.

        The rate is `learning_rate` times `rate_factor`, for a matrix also times `rate_ratio`. For a
        matrix that is its moment with Nesterov's momentum, made orthogonal and scaled to the root
        mean square of 0.2, plus weight decay; other variables go by AdamW.
        """
        muon_m = self.muon_m[self._get_variable_index(variable)]
        if muon_m is None:
            return super()._compute_step(gradient, variable, learning_rate)
        gradient = ops.cast(gradient, variable.dtype)
        next_m = self.momentum * muon_m + (1.0 - self.momentum) * gradient
        self.assign(muon_m, next_m)
        # Nesterov's momentum: the moment that the same gradient once more would give.
        ahead = self.momentum * next_m + (1.0 - self.momentum) * gradient
        # An orthogonal matrix whose longer side is n has a root mean square of n ** -0.5.
        scale = _UPDATE_RMS * math.sqrt(max(ahead.shape))
        update = scale * orthogonalize(ahead, self.precision) + self.decay_rate * variable
        rate = ops.cast(learning_rate, variable.dtype) * self.rate_factor * self.rate_ratio
        return rate * update

    def _moments_by_slot(self) -> dict[str, list[Any]]:
        """Return the moments by kind, in the order of the variables; None where one has none."""
        return {**super()._moments_by_slot(), "muon_m": self.muon_m}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "rate_ratio": self.rate_ratio,
            "precision": self.precision,
        }


def orthogonalize(matrix: Any, dtype: str) -> Any:
    """Return about the nearest (semi-)orthogonal matrix: singular values of 0.68 to 1.21.

    Five Newton-Schulz iterations of fifth order. Singular values below 0.002 of the Frobenius norm
    come out smaller, zeros as zeros; the singular vectors stay the same.

    Args:
        matrix: float32 [rows, columns].
        dtype: `bfloat16` or `float32`, in which the products are computed.

    Returns:
        float32 [rows, columns].
    """
    # On the shorter side: the products with the transpose are smaller then.
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if is_tall else matrix
    # By the Frobenius norm, since no singular value is above it; in float32, as a sum of many.
    norm = ops.sqrt(ops.sum(ops.square(x)))
    x = ops.cast(x / (norm + _SMALLEST_NORM), dtype)
    for _ in range(_NUM_ITERATIONS):
        gram = ops.matmul(x, ops.transpose(x))
        polynomial = _B * gram + _C * ops.matmul(gram, gram)
        x = _A * x + ops.matmul(polynomial, x)
    x = ops.cast(x, matrix.dtype)
    return ops.transpose(x) if is_tall else x
