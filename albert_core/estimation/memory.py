"""Memory of a training step on one device, calculated from sizes; no compiler is asked.

It is that of JAX, whose step keeps a layer's marked values for the gradient (`save_for_backward`)
and computes the rest again. The constants were fitted to what the compiler for TPUs says of the
released sizes; docs/benchmarks.md has both beside each other.
"""

from collections.abc import Mapping

from albert_core.config import AlbertConfig
from albert_core.optimizers.settings import OptimizerName

_HALF, _WHOLE = 2, 4  # bytes of a bfloat16 and a float32
# Bytes of a kept bfloat16: a loop over layers copies part of what it keeps.
_KEPT = 3.4
# Bytes of each of a layer's values while its gradient is computed, and where all are kept.
_AT_WORK, _ALL_KEPT = 3.0, 5.0
_SCORE = 6.0  # of attention, for each pair of positions
# Moments of a weight, in float32.
_NUM_MOMENTS: Mapping[OptimizerName, int] = {"adamw": 2, "lamb": 2, "muon": 2}


def num_parameters(model: AlbertConfig) -> int:
    """Return the number of weights of an encoder with pooler; a head's are too few to count.

    Groups that no layer uses are not counted, and shared layers once.
    """
    e, h, i = model.embedding_size, model.hidden_size, model.intermediate_size
    num_rows = model.vocab_size + model.max_position_embeddings + model.type_vocab_size
    block = 4 * (h * h + h) + (h * i + i) + (i * h + h) + 4 * h
    projection = e * h + h if e != h else 0
    num_blocks = len(model.used_groups) * model.inner_group_num
    return num_rows * e + 2 * e + projection + num_blocks * block + h * h + h


def weights_bytes(
    model: AlbertConfig, optimizer: OptimizerName, model_parallel_size: int, *, accumulates: bool
) -> float:
    """Return the bytes on a device of weights, gradients, moments and a copy in bfloat16.

    All but the copy are in float32. Only encoder and pooler are counted (`num_parameters`).

    Args:
        model: The architecture.
        optimizer: The optimizer.
        model_parallel_size: Devices that hold one copy together; embeddings and pooler are whole
            on each, which is neglected.
        accumulates: Whether gradients of micro-batches are added up, beside those of one.
    """
    bytes_per_parameter = _WHOLE * (2 + accumulates + _NUM_MOMENTS[optimizer]) + _HALF
    return bytes_per_parameter * num_parameters(model) / model_parallel_size


def sequence_bytes(
    model: AlbertConfig,
    sequence_length: int,
    *,
    rematerialize: bool,
    is_fused: bool,
    model_parallel_size: int,
) -> float:
    """Return the bytes that a sequence needs at the step's peak, the weights not counted.

    That is what all layers keep for the gradient, and what one layer needs while its gradient is
    computed.

    Args:
        model: The architecture.
        sequence_length: Tokens of the sequence.
        rematerialize: Whether a layer keeps its input alone; not used of a model with dropout,
            whose layers keep all of their values.
        is_fused: Whether attention is one kernel that keeps no scores, as on GPUs.
        model_parallel_size: Devices that hold one copy of the weights together.
    """
    h, i = model.hidden_size, model.intermediate_size / model_parallel_size
    num_heads = model.num_attention_heads / model_parallel_size
    num_layers = model.num_hidden_layers * model.inner_group_num
    num_values = 8 * h + 2 * i
    scores = 0.0 if is_fused else _SCORE * num_heads * sequence_length
    if model.has_dropout:  # the layers are written out, and keep all of their values
        return sequence_length * num_layers * (_ALL_KEPT * num_values + scores)
    # Rematerialised it is a layer's input, else also two sums and the feed-forward's width, and
    # of attention in one kernel its output.
    kept = _HALF * h if rematerialize else _KEPT * (3 * h + i + h * is_fused)
    return sequence_length * (num_layers * kept + _AT_WORK * num_values + scores)
