"""A model whose steps take the gradient of one or several micro-batches, on any devices."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from albert_core.backends import TrainStep


class GradientAccumulationModel(TrainStep, keras.Model):
    """A model that `fit` trains with the exact gradient of a whole batch, however it is cut.

    A batch is cut into `num_micro_batches`, which go through the model one after the other, each
    spread over the devices of a strategy; B must be a multiple of their number. The loss is
    therefore a sum over examples, divided by totals of the whole batch: `batch_totals` counts them,
    and `compute_loss` finds them among the targets; subclasses define both. The norm of the
    gradient is clipped once it is whole.

    Deviates from the original, which on several cores takes the mean of the cores' own means, and
    clips each core's gradient by itself; and from Keras's accumulation, which gives micro-batches
    the same weight whatever they hold.
    """

    # Not Keras's `gradient_accumulation_steps`, which also fails under MirroredStrategy.
    num_micro_batches = 1

    @property
    def sliced_weights(self) -> Sequence[Any]:
        """Weights whose gradient TensorFlow's step leaves in slices, one for each use of a row.

        There are none here; subclasses name theirs. The norm by which the gradient is clipped is
        then that of the slices, not of their sums. JAX has no such gradients.
        """
        return ()

    def batch_totals(
        self, inputs: Mapping[str, Any], targets: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return scalars by name, sums over the examples of a batch, to divide losses by.

        Subclasses must define it.

        Args:
            inputs: Of the batch.
            targets: Of the batch.
            sample_weight: Weights of its examples [B], or None.
        """
        raise NotImplementedError

    def with_totals(self, targets: Any, totals: Mapping[str, Any]) -> Any:
        """Return new targets with the totals among them, as `compute_loss` takes them in training.

        Args:
            targets: Of a batch or micro-batch, by name.
            totals: What `batch_totals` returned for the whole batch.
        """
        return {**targets, **totals}
