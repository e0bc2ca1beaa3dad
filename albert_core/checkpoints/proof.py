"""Compare two checkpoints by the outputs of their models on the same random batch.

Shape suffixes: B batch, S sequence, P predictions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.checkpoints.names import HEADS
from albert_core.config import AlbertConfig
from albert_core.model_function import ModelOutputs

_BATCH, _LONGEST, _PREDICTIONS = 4, 32, 5


def random_batch(config: AlbertConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs for a model with any head, as int32 arrays by name.

    They are 4 sequences of 32 tokens, or of as many as the model reads at most. The first mask is
    full, the second cut off after half, and the other two have holes at random but not at the first
    token, so that wrong masking changes outputs; `p_mask` is the reverse. P is 5. Equal seeds give
    equal batches.

    Returns:
        `input_ids`, `input_mask`, `segment_ids` and `p_mask` [B, S]; `masked_lm_positions` [B, P];
        `start_positions` [B].
    """
    rng = np.random.default_rng(seed)
    length = min(_LONGEST, config.max_position_embeddings)
    shape_BS = (_BATCH, length)
    mask_BS = rng.integers(0, 2, shape_BS)
    mask_BS[:, 0] = 1
    mask_BS[0] = 1
    mask_BS[1] = np.arange(length) < (length + 1) // 2
    batch = {
        "input_ids": rng.integers(0, config.vocab_size, shape_BS),
        "input_mask": mask_BS,
        "segment_ids": rng.integers(0, config.type_vocab_size, shape_BS),
        "masked_lm_positions": rng.integers(0, length, (_BATCH, _PREDICTIONS)),
        "p_mask": 1 - mask_BS,
        "start_positions": rng.integers(0, length, _BATCH),
    }
    return {name: array.astype(np.int32) for name, array in batch.items()}


def compute_outputs(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return the outputs of a checkpoint's Keras model, built anew, on `random_batch`.

    Returns:
        `sequence_output`; `pooled_output`, unless the checkpoint `lacks_pooler`; and the logits of
        each head it has. For multiple choice the sequences are the choices of one question; for
        texts that are encoded separately they are taken in pairs.

    Raises:
        InputError: The weights do not fit the architecture.
    """
    model, batch = build_model(checkpoint), random_batch(checkpoint.config)
    inputs = {name: batch[name] for name in ("input_ids", "input_mask", "segment_ids")}
    encoded = model.bert(**inputs, training=False)
    outputs = {"sequence_output": encoded["sequence_output"]}
    if not checkpoint.lacks_pooler:
        outputs["pooled_output"] = encoded["pooled_output"]
    if checkpoint.is_multiple_choice:
        outputs["logits"] = model(group_sequences(inputs, checkpoint), training=False)[0][:, None]
    elif checkpoint.has_sequence_groups:
        outputs["logits"] = model(group_sequences(inputs, checkpoint), training=False)
    else:
        outputs |= _logits(model(batch, training=False), checkpoint.heads)
    return {name: np.asarray(value) for name, value in outputs.items()}


def group_sequences(
    inputs: Mapping[str, np.ndarray], checkpoint: Checkpoint
) -> dict[str, np.ndarray]:
    """Return the sequences of `random_batch` as examples of a model that reads groups of them.

    They are the choices of one question, [1, B, S]; or pairs of texts, [B / 2, 2, S].
    """
    size = _BATCH if checkpoint.is_multiple_choice else 2
    return {name: array.reshape(-1, size, array.shape[-1]) for name, array in inputs.items()}


def compare_outputs(first: ModelOutputs, second: ModelOutputs) -> dict[str, float]:
    """Return the largest absolute difference of each output that both have; NaN if one has it.

    Outputs that only one has are left out. Shapes must be equal; not checked.
    """
    return {
        name: float(np.max(np.abs(first[name] - second[name]))) for name in first if name in second
    }


def _logits(outputs: Any, heads: frozenset[str]) -> dict[str, Any]:
    """Return the logits of the given heads among a model's outputs, by name.

    A single array is `logits`. A pretraining model returns logits of an absent head, too, which are
    left out; all outputs with other names than `*_logits` are.
    """
    if not isinstance(outputs, Mapping):
        return {"logits": outputs}
    absent = {f"{head}_logits" for head in HEADS.keys() - heads}
    return {
        name: value
        for name, value in outputs.items()
        if name.endswith("_logits") and name not in absent
    }
