"""Random numbers by which the generator of replaced tokens draws, for each record its own.

Shape suffixes: B batch, P predictions.
"""

from typing import Any

import numba
import numpy as np

from albert_core.records.batch import DRAW_BITS
from albert_core.records.masking import record_rng_states
from albert_core.records.rng import next_bits

# Added to the seed of the masks: the same generators would tie the draws to the masks. A prime, so
# that seeds of phases, which follow each other, do not meet.
_SEED_OFFSET = 1_000_000_007


def replacement_draws(
    seed: int, epochs: np.ndarray, indices: np.ndarray, num_predictions: int
) -> np.ndarray:
    """Return random numbers int32 [B, P] from 0 to below 2**24, by the records' places in the data.

    They depend on nothing drawn before: a resumed run draws the same, and so do several processes.

    Args:
        seed: Seed of the data.
        epochs: int64 [B], epoch of each record.
        indices: int64 [B], its place in the epoch.
        num_predictions: P.
    """
    states = record_rng_states(seed + _SEED_OFFSET, epochs, indices)
    draws_BP = np.empty((len(states), num_predictions), np.int32)
    _fill(states, draws_BP)
    return draws_BP


@numba.njit(cache=True)
def _fill(states: Any, draws_BP: Any) -> None:
    """Fill each row with the upper bits of its generator's next numbers; `states` move on."""
    for row in range(draws_BP.shape[0]):
        state = states[row : row + 1]
        for slot in range(draws_BP.shape[1]):
            draws_BP[row, slot] = next_bits(state) >> np.uint64(64 - DRAW_BITS)
