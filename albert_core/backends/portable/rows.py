"""Batches filled up with rows, so that devices can divide them evenly."""

from collections.abc import Mapping

import numpy as np


def fill_rows(arrays: Mapping[str, np.ndarray], multiple: int) -> dict[str, np.ndarray]:
    """Return arrays [B, ...] with their last row repeated, until B is a multiple of a number.

    Args:
        arrays: Arrays with the same number of rows B, at least 1.
        multiple: The number.
    """

    def fill(array: np.ndarray) -> np.ndarray:
        missing = -len(array) % multiple
        return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])

    return {name: fill(array) for name, array in arrays.items()}
