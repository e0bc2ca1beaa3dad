"""Examples to padded batches; every batch is only as long as its longest example.

Shape suffixes: B batch, S sequence (of this batch).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from albert_core.tasks import Example
from albert_core.tokenization import SpecialIds, Tokenizer

_LENGTH_MULTIPLE = 8
_POOL_BATCHES = 32  # batches are formed from this many batches' worth of shuffled examples

Batch = tuple[dict[str, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Features:
    """An example as the model reads it: [CLS] A [SEP] or [CLS] A [SEP] B [SEP].

    Attributes:
        ids: Piece ids, special pieces included.
        second_start: Where segment 1 begins; the length if there is none.
        target: Class number or score; 0 where unknown.
    """

    ids: list[int]
    second_start: int
    target: float


def make_features(
    examples: Sequence[Example], tokenizer: Tokenizer, sequence_length: int
) -> list[Features]:
    """Encode examples, the longer text losing its end until both fit `sequence_length`.

    Source: convert_single_example of the original's classifier_utils.py.
    """
    columns = [
        tokenizer.encode_batch(texts)
        for texts in zip(*(example.texts for example in examples), strict=True)
    ]
    return [
        _features(list(texts), example.target or 0.0, sequence_length, tokenizer.special_ids)
        for *texts, example in zip(*columns, examples, strict=True)
    ]


def _features(
    texts: list[list[int]], target: float, sequence_length: int, special_ids: SpecialIds
) -> Features:
    excess = sum(map(len, texts)) - (sequence_length - len(texts) - 1)
    while excess > 0:
        longest = max(reversed(texts), key=len)
        longest.pop()
        excess -= 1
    ids = [special_ids.cls, *texts[0], special_ids.sep]
    second_start = len(ids)
    if len(texts) == 2:
        ids += [*texts[1], special_ids.sep]
    return Features(ids, second_start, target)


def pad_batch(features: Sequence[Features]) -> Batch:
    """Return inputs `input_ids`, `input_mask`, `segment_ids` int32 [B, S], and targets [B].

    As in the original, padding is 0 whatever piece that is; `input_mask` tells it apart.
    """
    longest = max(len(feature.ids) for feature in features)
    length = -(-longest // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
    inputs = {
        name: np.zeros((len(features), length), np.int32)
        for name in ("input_ids", "input_mask", "segment_ids")
    }
    for row, feature in enumerate(features):
        inputs["input_ids"][row, : len(feature.ids)] = feature.ids
        inputs["input_mask"][row, : len(feature.ids)] = 1
        inputs["segment_ids"][row, feature.second_start : len(feature.ids)] = 1
    return inputs, np.array([feature.target for feature in features], np.float32)


def batches_in_epoch(num_examples: int, batch_size: int) -> int:
    """Return the batches of an epoch; a last, smaller one is left out."""
    return max(1, num_examples // batch_size)


def training_batches(
    features: Sequence[Features], batch_size: int, *, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Return endless batches of examples of like length; batch k is the same after a resume."""

    def generate() -> Iterator[Batch]:
        epoch, done = divmod(start_step, batches_in_epoch(len(features), batch_size))
        while True:
            for indices in _epoch(features, batch_size, np.random.default_rng((seed, epoch)))[
                done:
            ]:
                yield pad_batch([features[index] for index in indices])
            epoch, done = epoch + 1, 0

    return _dataset(generate)


def _epoch(
    features: Sequence[Features], batch_size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the batches of an epoch as arrays of example numbers."""
    order = rng.permutation(len(features))
    order = order[: max(1, len(order) // batch_size) * batch_size]
    lengths = np.array([len(feature.ids) for feature in features])
    pool_size = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[k : k + batch_size] for k in range(0, len(pool), batch_size)]
    return [batches[k] for k in rng.permutation(len(batches))]


def evaluation_batches(features: Sequence[Features], batch_size: int) -> tf.data.Dataset:
    """Return all examples once, in order."""

    def generate() -> Iterator[Batch]:
        for start in range(0, len(features), batch_size):
            yield pad_batch(features[start : start + batch_size])

    num_batches = -(-len(features) // batch_size)
    return _dataset(generate).apply(tf.data.experimental.assert_cardinality(num_batches))


def _dataset(generate: object) -> tf.data.Dataset:
    ids_BS = tf.TensorSpec((None, None), tf.int32)
    inputs = {"input_ids": ids_BS, "input_mask": ids_BS, "segment_ids": ids_BS}
    signature = (inputs, tf.TensorSpec((None,), tf.float32))
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)
