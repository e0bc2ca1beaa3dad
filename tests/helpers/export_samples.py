"""A small model of every kind to export, and batches for it."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from albert_core.checkpoints import Checkpoint
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from tests.helpers.checkpoint_samples import (
    CONFIG,
    classifier,
    of_model,
    pooled,
    pretrained,
    token_classifier,
)

SHALLOW = dataclasses.replace(CONFIG, num_hidden_layers=2, num_hidden_groups=1, inner_group_num=1)
# Its layers are of groups 0 and 1; no layer uses group 2.
UNEVEN = dataclasses.replace(SHALLOW, num_hidden_groups=3)
# Its weights are large beside the graph, as those of a real model are.
WIDE = dataclasses.replace(SHALLOW, vocab_size=8000, embedding_size=64, hidden_size=96)
# For heads: what several layers do is seen in the other kinds, and each is converted anew.
SINGLE = dataclasses.replace(SHALLOW, num_hidden_layers=1)
KINDS: Mapping[str, Callable[[], Checkpoint]] = {
    "pretrained": lambda: pretrained(SHALLOW),
    "classifier": lambda: classifier(3, SINGLE),
    "regression": lambda: classifier(1, UNEVEN),
    "multiple_choice": lambda: of_model(AlbertForMultipleChoice(SINGLE), is_multiple_choice=True),
    "span": lambda: of_model(AlbertForQuestionAnswering(SINGLE)),
    "span_beam": lambda: of_model(AlbertForQuestionAnsweringWithBeam(SINGLE)),
    "token_classifier": lambda: token_classifier(SINGLE),
    "layer_mix": lambda: pooled("layer_mix", SHALLOW),
    "siamese": lambda: pooled("siamese", SINGLE),
}
TOLERANCE = 1e-4


def parameter_bytes(checkpoint: Checkpoint) -> int:
    """Return what the weights take in float32."""
    return sum(array.nbytes for array in checkpoint.weights.values())


def mixed_batch(checkpoint: Checkpoint, batch_size: int, length: int) -> ModelInputs:
    """Return random inputs of a model whose sequences end anywhere, the first at the end."""
    rng = np.random.default_rng(batch_size)
    num_sequences = 4 if checkpoint.is_multiple_choice else 2
    shape = (batch_size, *[num_sequences] * checkpoint.has_sequence_groups, length)
    ends = rng.integers(1, length + 1, shape[:-1])
    ends.flat[0] = length
    mask = np.arange(length) < ends[..., None]
    drawn = {
        "input_ids": rng.integers(1, checkpoint.config.vocab_size, shape) * mask,
        "input_mask": mask,
        "segment_ids": rng.integers(0, 2, shape) * mask,
        "masked_lm_positions": rng.integers(0, length, (batch_size, 3)),
        "p_mask": ~mask,
    }
    return {name: drawn[name].astype(np.int32) for name in checkpoint.input_names}


def assert_same_model(checkpoint: Checkpoint, run: ModelFunction) -> None:
    """Check all outputs of a runner on batches of several sizes, in any order."""
    reference = reference_function(checkpoint)
    for batch_size, length in ((3, 24), (1, 9), (4, 16)):
        inputs = mixed_batch(checkpoint, batch_size, length)
        assert_close(run(inputs), reference(inputs))


def assert_close(outputs: ModelOutputs, expected: ModelOutputs) -> None:
    """Check names, types, shapes and values."""
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert outputs[name].dtype == values.dtype, name
        np.testing.assert_allclose(outputs[name], values, rtol=0, atol=TOLERANCE, err_msg=name)
