"""Random numbers by which tokens are drawn from the generator of replaced-token detection.

Shape suffixes: B batch, P predictions.
"""

from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel
from albert_core.records.batch import DRAW_BITS
from albert_core.records.rng import next_bits


def replacement_draws(states: np.ndarray, num_predictions: int) -> np.ndarray:
    """Return random numbers int32 [B, P] from 0 to below 2**24.

    Args:
        states: uint64 [B], a generator for each record; they move on.
        num_predictions: P.
    """
    draws_BP = np.empty((len(states), num_predictions), np.int32)
    _fill(states, draws_BP)
    return draws_BP


@kernel()
def _fill(states: Any, draws_BP: Any) -> None:
    """Fill each row with the upper bits of its generator's next numbers."""
    for row in range(draws_BP.shape[0]):
        state = states[row : row + 1]
        for slot in range(draws_BP.shape[1]):
            # Not all bits: float32 holds 24, and rounds no fraction of them up to 1.
            draws_BP[row, slot] = next_bits(state) >> np.uint64(64 - DRAW_BITS)
