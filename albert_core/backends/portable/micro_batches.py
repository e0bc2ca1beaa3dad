"""Batches cut into micro-batches."""

from typing import Any

from keras import ops


def split_micro_batches(tensor: Any, num_micro_batches: int) -> Any:
    """Cut a batch: [B, ...] to [num_micro_batches, B / num_micro_batches, ...].

    Example i goes to micro-batch i % num_micro_batches. B must be a multiple of their number: an
    error of the backend, if it is not.
    """
    # Strided, not contiguous: rows that are spread over devices in order stay on their devices.
    # `ops.shape`: the length of fine-tuning's batches is not known when a step is traced.
    apart = ops.reshape(tensor, (-1, num_micro_batches, *ops.shape(tensor)[1:]))
    return ops.swapaxes(apart, 0, 1)
