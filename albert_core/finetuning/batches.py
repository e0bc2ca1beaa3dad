"""Pad features to batches, and draw the batches of training.

A batch is only as long as its longest sequence, rounded up.

Shape suffixes: B batch, R rows of a filled batch, C choices, S sequence (of this batch),
N sequences.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from albert_core.finetuning.features import Features
from albert_core.model_function import ModelInputs

_POOL_BATCHES = 32  # batches are formed from this many batches' worth of shuffled examples


def pad_inputs(features: Features, indices: np.ndarray, length: int) -> dict[str, np.ndarray]:
    """Return the encoder's inputs for the examples of some indices.

    As in the original, padding has the id 0 whichever token that is; `input_mask` tells it apart.

    Args:
        features: All features.
        indices: Indices of the examples [B].
        length: Length S of the batch, no less than its longest sequence, which would be cut (not
            checked).

    Returns:
        int32 `input_ids`, `input_mask`, `segment_ids` [B, S]; [B, C, S] where an example has
        several sequences, its choices or two texts that are encoded separately.
    """
    group = features.group_size
    sequences_N = (indices[:, None] * group + np.arange(group)).reshape(-1)
    begins_N = features.begins[sequences_N]
    lengths_N = features.begins[sequences_N + 1] - begins_N
    columns_S = np.arange(length)
    is_token_NS = columns_S < lengths_N[:, None]
    places_NS = np.where(is_token_NS, begins_N[:, None] + columns_S, 0)
    is_second_NS = is_token_NS & (columns_S >= features.second_starts[sequences_N][:, None])
    inputs = {
        "input_ids": np.where(is_token_NS, features.ids[places_NS], 0).astype(np.int32),
        "input_mask": is_token_NS.astype(np.int32),
        "segment_ids": is_second_NS.astype(np.int32),
    }
    if group > 1:
        return {name: array.reshape(-1, group, length) for name, array in inputs.items()}
    return inputs


def pad_answerability_inputs(
    features: Features, indices: np.ndarray, length: int
) -> dict[str, np.ndarray]:
    """Return the inputs for questions that may have no answer: those of `pad_inputs` and `p_mask`.

    `p_mask` [B, S] is 1 where no answer can start or end. Arguments are those of `pad_inputs`.
    """
    inputs = pad_inputs(features, indices, length)
    return {**inputs, "p_mask": answer_mask(inputs)}


def answer_mask(inputs: ModelInputs) -> np.ndarray:
    """Return where no answer can start or end, int32 [B, S]: 0 for [CLS] and the context, else 1.

    Args:
        inputs: `segment_ids`, 1 for the context and the [SEP] after it, and `input_mask`, ones
            first, both [B, S]; left as they are.
    """
    segments_BS, mask_BS = inputs["segment_ids"], inputs["input_mask"]
    p_mask_BS = 1 - segments_BS
    p_mask_BS[np.arange(len(mask_BS)), mask_BS.sum(axis=1) - 1] = 1
    p_mask_BS[:, 0] = 0
    return p_mask_BS


def fill_up(indices: np.ndarray, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch's indices, repeated to a number of rows, and the weights of the rows.

    Args:
        indices: Indices of the batch's examples [B].
        num_rows: Rows R, no fewer than B (not checked).

    Returns:
        Indices [R], and float32 [R]: 1 for the first B rows, 0 for those that repeat.
    """
    return np.resize(indices, num_rows), (np.arange(num_rows) < len(indices)).astype(np.float32)


def padded_length(
    features: Features, indices: np.ndarray, longest: int, *, multiple: int | None = None
) -> int:
    """Return the length of a batch: that of its longest sequence, rounded up.

    Args:
        features: All features.
        indices: Indices of the batch's examples [B], at least one.
        longest: Rounding up ends here, unless a sequence is longer.
        multiple: What to round up to a multiple of; None: the one for Keras's backend, for which
            Keras is imported.
    """
    if multiple is None:
        # Here, not above: it imports the framework, which features are made without.
        from albert_core.backends import LENGTH_MULTIPLE

        multiple = LENGTH_MULTIPLE
    length = int(features.lengths[indices].max())
    # The longest need not be a multiple, and the model has no positions beyond it.
    return min(-(-length // multiple) * multiple, max(longest, length))


def count_padded_lengths(features: Features, longest: int, *, multiple: int | None = None) -> int:
    """Return how many lengths batches of some features may have; arguments as for `padded_length`.

    A batch has the length that its longest sequence alone would be padded to.
    """
    lengths = np.unique(features.lengths, return_index=True)[1]
    return len(
        {
            padded_length(features, lengths[[k]], longest, multiple=multiple)
            for k in range(len(lengths))
        }
    )


def batches_in_epoch(num_examples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; a last, smaller one is left out.

    If there are fewer examples than a batch has, there is one batch with all of them.
    """
    return max(1, num_examples // batch_size)


def training_batches(
    lengths: np.ndarray,
    make_batch: Callable[[np.ndarray], Any],
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
) -> Any:
    """Return endless batches of examples of similar length, as `fit` of Keras's backend reads them.

    Each epoch is shuffled anew, from `seed` and its number; its examples that do not fill a last
    batch are left out, see `epoch_batches`. Batch k is the same whatever `start_step` is.

    Args:
        lengths: Length of each example, by which they are put together.
        make_batch: Function of the indices of a batch's examples [B] to the batch. With TensorFlow
            it is called for the first batch at once, for its structure and types.
        batch_size: Examples in a batch; with fewer examples than that, a batch has all of them.
        seed: Seed of the order.
        start_step: Number of batches to skip: those of the steps that are done.

    Raises:
        ValueError: There is no example, hence no batch.
    """
    # Else `generate` would look for a batch for ever.
    if not len(lengths):
        raise ValueError("batches: got no examples, expected one or more")

    def generate() -> Iterator[Any]:
        """Yield the batches from `start_step` on, epoch after epoch without end."""
        epoch, done = divmod(start_step, batches_in_epoch(len(lengths), batch_size))
        while True:
            for indices in epoch_batches(lengths, batch_size, seed=seed, epoch=epoch)[done:]:
                yield make_batch(indices)
            epoch, done = epoch + 1, 0

    from albert_core.backends import feed_batches

    return feed_batches(generate)


def epoch_batches(
    lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int
) -> list[np.ndarray]:
    """Return the batches of an epoch, shuffled, as arrays of indices.

    Shuffled examples are cut into pools of 32 batches and sorted by length within a pool, so that a
    batch has similar lengths; then the batches are shuffled. Examples that do not fill a last batch
    are left out, other ones in every epoch; with fewer examples than a batch has, all are in one
    batch.

    Args:
        lengths: Length of each example.
        batch_size: Examples in a batch.
        seed: Seed of the order.
        epoch: Number of the epoch, from 0; each has an order of its own.
    """
    # By seed and epoch, not one generator that goes on: a resumed run makes the same batches.
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    # A smaller last batch would be another shape to compile, and its examples would weigh more.
    order = order[: max(1, len(order) // batch_size) * batch_size]
    pool_size = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[k : k + batch_size] for k in range(0, len(pool), batch_size)]
    # Shuffled once more: each pool would otherwise be learned from its shortest batch to its
    # longest.
    return [batches[k] for k in rng.permutation(len(batches))]
