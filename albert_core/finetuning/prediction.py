"""Run a model over many examples: the one loop behind dev scores, evaluation, export and serving.

Shape suffixes: M examples.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from albert_core.finetuning.batches import padded_length
from albert_core.finetuning.features import Features
from albert_core.model_function import ModelFunction, ModelInputs
from albert_core.training.signals import raise_if_signal

DEFAULT_BATCH_SIZE = 64

ExampleOutputs = Mapping[str, Sequence[np.ndarray]]
"""A model's outputs by name: one array for each example [M], in the order of the examples."""

MakeInputs = Callable[[Features, np.ndarray, int], ModelInputs]
"""Function of features, the indices of a batch's examples and the batch's length to inputs."""


def predict_outputs(
    run: ModelFunction,
    features: Features,
    make_inputs: MakeInputs,
    *,
    max_length: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
    length_multiple: int | None = None,
    batch_cost_tokens: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> ExampleOutputs:
    """Run a model on all examples, in batches of similar length, and return its outputs.

    Args:
        run: The model.
        features: The examples; there may be none, then no output is known and the result is empty.
        make_inputs: Pads the sequences of a batch, and adds what the model's head reads.
        max_length: Longest sequence the settings allow, in tokens; batches are rounded up to at
            most this length.
        batch_size: Examples in a batch; the last one may have fewer.
        length_multiple: Multiple to which a batch's length is rounded up, so that a runtime sees
            few different shapes; None: the one for Keras's backend, for which Keras is imported.
        batch_cost_tokens: What a batch costs beside its tokens, in tokens: batches are cut where
            that is less than the padding it saves. None: they are not.
        on_batch: Called with the number of examples before each batch is run.

    Returns:
        For each output the row of each example, in the order of the examples. Rows whose size
        follows the batch's length, as logits of positions do, differ in size between examples.

    Raises:
        SignalError: A signal has come during the training that this is an evaluation of.
    """
    outputs: dict[str, list[np.ndarray]] = {}
    for indices in length_sorted_batches(features.lengths, batch_size, batch_cost_tokens):
        raise_if_signal()
        length = padded_length(features, indices, max_length, multiple=length_multiple)
        if on_batch:
            on_batch(len(indices))
        for name, rows in run(make_inputs(features, indices, length)).items():
            by_example = outputs.setdefault(name, [np.zeros(0)] * len(features))
            for index, row in zip(indices, np.asarray(rows), strict=True):
                by_example[index] = row
    return outputs


def length_sorted_batches(
    lengths: np.ndarray, batch_size: int, batch_cost_tokens: int | None = None
) -> list[np.ndarray]:
    """Return the indices of all examples [M], each once, the shortest first, cut into batches.

    Args:
        lengths: Tokens of each example [M].
        batch_size: Most examples in a batch; only the last has fewer, unless batches are cut.
        batch_cost_tokens: As for `predict_outputs`.
    """
    order = np.argsort(lengths, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if batch_cost_tokens is None:
        return batches
    return [part for batch in batches for part in _cut(batch, lengths[batch], batch_cost_tokens)]


def _cut(batch: np.ndarray, lengths: np.ndarray, batch_cost_tokens: int) -> list[np.ndarray]:
    """Return a batch in the parts that cost least in all, each padded to its longest example.

    Args:
        batch: Indices of its examples, the shortest first.
        lengths: Their lengths, in tokens.
        batch_cost_tokens: What each part costs beside its tokens.
    """
    # The least cost of the first `end` examples, and where the last part of these begins.
    costs, begins = [0], [0]
    for end in range(1, len(batch) + 1):
        longest = int(lengths[end - 1])
        ways = [costs[k] + batch_cost_tokens + (end - k) * longest for k in range(end)]
        begins.append(int(np.argmin(ways)))
        costs.append(ways[begins[-1]])
    parts, end = [], len(batch)
    while end:
        parts.append(batch[begins[end] : end])
        end = begins[end]
    return parts[::-1]
