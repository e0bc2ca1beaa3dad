"""LAMB as the original defines it: AdamW with a trust ratio per variable.

Source: lamb_optimizer.py of google-research/albert; You et al. 2020, algorithm 2.
"""

from typing import Any

import keras
from keras import ops

from albert_core.optimizers.adamw import AdamW


@keras.saving.register_keras_serializable(package="albert")
class LAMB(AdamW):
    """AdamW whose step is scaled, per variable, by the ratio of weight norm to update norm.

    Args:
        learning_rate: A rate or a schedule of rates.
        name: Name of the optimizer.
        **kwargs: The other arguments of `AdamW`.
    """

    def __init__(self, learning_rate: Any = 0.00176, *, name: str = "lamb", **kwargs: Any) -> None:
        super().__init__(learning_rate, name=name, **kwargs)

    def _trust_ratio(self, variable: Any, update: Any) -> Any:
        """Return the norm of the weights over that of the update; 1 where either is 0.

        The norms are those of all numbers of the variable; the update has its weight decay already.
        """
        weight_norm, update_norm = _norm(variable), _norm(update)
        usable = ops.logical_and(weight_norm > 0.0, update_norm > 0.0)
        # Both branches of a `where` are computed: a division by 0 in the unused one would be NaN.
        safe_update_norm = ops.where(usable, update_norm, 1.0)
        return ops.where(usable, weight_norm / safe_update_norm, 1.0)


def _norm(tensor: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(tensor)))
