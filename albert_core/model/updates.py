"""A model whose update is made of one or several micro-batches, on one device or several."""

import importlib
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

# A name made at run time: the two steps have nothing in common but what Keras calls.
UpdateStep: Any = importlib.import_module(
    f"albert_core.model.updates_{keras.backend.backend()}"
).UpdateStep


class ModelUpdatedInParts(UpdateStep, keras.Model):
    """A model that `fit` updates with the exact gradient of a whole batch, however it is cut.

    A batch is cut into `num_micro_batches` parts that go through the model one after the other,
    and each of them, over the devices of a strategy. The loss is therefore a sum over examples,
    divided by totals of the whole batch, which `batch_totals` counts and `compute_loss` finds
    among the targets. The gradient's norm is clipped once it is whole.

    Deviates from the original, which on several cores takes the mean of the cores' own means, and
    clips each core's gradient by itself; and from Keras's accumulation, which weighs micro-batches
    alike whatever they hold.
    """

    num_micro_batches = 1

    def batch_totals(self, targets: Mapping[str, Any]) -> dict[str, Any]:
        """Return scalars by name, sums over the examples of a batch, to divide losses by."""
        raise NotImplementedError


def in_parts(tensor: Any, num_parts: int) -> Any:
    """Cut a batch into parts: [B, ...] to [num_parts, B / num_parts, ...].

    Example i goes to part i % num_parts, so that a batch whose rows are spread over devices in
    order stays where it is.
    """
    apart = ops.reshape(tensor, (-1, num_parts, *tensor.shape[1:]))
    return ops.swapaxes(apart, 0, 1)
