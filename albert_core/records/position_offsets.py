"""Where the positions of a training sequence begin: mostly at 0, or anywhere in the table.

With offsets all position embeddings are trained, also by sequences shorter than the table.

Shape suffixes: B batch.
"""

from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel
from albert_core.records.rng import integer_below, uniform


# nogil: batches are made by a thread beside the one that trains.
@kernel(nogil=True)
def draw_position_offsets(rng_states_B: Any, probability: float, max_offset: int) -> Any:
    """Return the first position of each sequence of a batch, int32 [B].

    Args:
        rng_states_B: uint64, the state of each sequence's generator; not changed.
        probability: Chance that an offset is drawn; else it is 0.
        max_offset: Largest offset; all from 0 on are equally likely.
    """
    offsets_B = np.zeros(len(rng_states_B), np.int32)
    state = np.zeros(1, np.uint64)
    for example in range(len(rng_states_B)):
        state[0] = rng_states_B[example]
        if uniform(state) < probability:
            offsets_B[example] = integer_below(state, max_offset + 1)
    return offsets_B
