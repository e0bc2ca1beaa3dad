"""Effective rank of the model's outputs on held-out text: how many directions they really use.

Shape suffixes: B batch, S sequence, P predictions, H hidden, M sequences.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from albert_core.model.encoder import AlbertEncoder
from albert_core.model.pooling import mean_of_tokens
from albert_core.model.pretraining import PretrainingModel

_MOST_SEQUENCES = 512


def effective_rank(vectors_MH: np.ndarray) -> float:
    """Return exp of the entropy of the singular values divided by their sum; 0 for only zeros.

    It is between 1, if all vectors lie on one line, and min(M, H), if all singular values are
    equal. The mean is not subtracted: outputs that are all the same then have rank 1.

    Source: Roy and Vetterli, The effective rank: a measure of effective dimensionality (EUSIPCO
    2007), definition 1; used so on outputs by Garrido et al., RankMe (ICML 2023).

    Args:
        vectors_MH: A vector in each row; where one is not finite, the result is NaN.
    """
    if not np.isfinite(vectors_MH).all():
        return math.nan
    values = np.linalg.svd(np.asarray(vectors_MH, np.float64), compute_uv=False)
    if not values.any():
        return 0.0
    fractions = values / values.sum()
    fractions = fractions[fractions > 0]
    return float(np.exp(-np.sum(fractions * np.log(fractions))))


def unmasked_inputs(
    inputs: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return `input_ids`, `input_mask`, `segment_ids` [B, S] of a batch with no token masked.

    Args:
        inputs: Inputs of a pretraining model, left as they are.
        targets: Targets of the same batch, with ids and weights of the masked tokens.
    """
    # Here, not above: this imports numba, for a third of a second.
    from albert_core.records.static import unmask

    batch = {name: np.asarray(values) for name, values in {**inputs, **targets}.items()}
    return {
        "input_ids": unmask(batch),
        "input_mask": batch["input_mask"],
        "segment_ids": batch["segment_ids"],
    }


class _SequenceVectors(keras.Model):
    """An encoder that returns a vector for each sequence: the pooled output, and the mean."""

    def __init__(self, encoder: AlbertEncoder, *, jit_compile: bool) -> None:
        super().__init__(name="sequence_vectors")
        self.encoder = encoder
        # Else Keras would run the first batch uncompiled with JAX, to make variables.
        self.built = True
        self.compile(optimizer=None, jit_compile=jit_compile)

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return `pooled_output` and `mean_output` [B, H], the mean of all tokens but padding.

        The outputs are float32.

        Args:
            inputs: `input_ids`, `input_mask`, `segment_ids` [B, S].
            training: Whether dropout is on.
        """
        outputs = self.encoder(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            training=training,
        )
        return {
            "pooled_output": ops.cast(outputs["pooled_output"], "float32"),
            "mean_output": mean_of_tokens(outputs["sequence_output"], inputs["input_mask"]),
        }


def measure_effective_ranks(
    model: PretrainingModel, batches: Any, *, multiple_of: int = 1
) -> dict[str, float]:
    """Measure the effective ranks (`effective_rank`) of a model's outputs on held-out sequences.

    The sequences are the first ones, with the masked tokens put back. They are as many whole
    batches as there are, up to 512 sequences; or, if the first batch alone has more, its first 512,
    rounded down to a multiple of `multiple_of`, but at least `multiple_of`.

    Args:
        model: The compiled model of a training in one process.
        batches: Held-out batches, read from the beginning: inputs and targets, all of one size, a
            multiple of `multiple_of`. They must have a length.
        multiple_of: Devices that share a batch.

    Returns:
        `pooled_output_effective_rank`; `mean_output_effective_rank`, of the means of the last layer
        over all tokens of a sequence but padding, both rounded to 2 decimals; and
        `max_effective_rank`, the number of sequences or that of hidden units, whichever is smaller,
        which neither rank can exceed.
    """
    iterator = iter(batches)
    first = unmasked_inputs(*next(iterator))
    batch_size = min(len(first["input_ids"]), max(multiple_of, _MOST_SEQUENCES))
    batch_size -= batch_size % multiple_of
    num_batches = max(1, min(len(batches), _MOST_SEQUENCES // batch_size))
    others = itertools.islice(iterator, num_batches - 1)
    parts = [first, *(unmasked_inputs(*batch) for batch in others)]
    inputs = {
        name: np.concatenate([part[name] for part in parts])[: num_batches * batch_size]
        for name in first
    }
    vectors = _SequenceVectors(model.bert, jit_compile=model.jit_compile)
    outputs = vectors.predict(inputs, batch_size=batch_size, verbose=0)
    ranks = {
        f"{name}_effective_rank": round(effective_rank(values_MH), 2)
        for name, values_MH in sorted(outputs.items(), reverse=True)
    }
    return {**ranks, "max_effective_rank": min(next(iter(outputs.values())).shape)}
