"""Small checkpoints with random weights, and ways to spoil them."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from albert_core.checkpoints import Checkpoint
from albert_core.config import AlbertConfig
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
)
from albert_core.model.weights import as_arrays, weights_by_name

CONFIG = AlbertConfig(
    vocab_size=120,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_hidden_groups=2,
    inner_group_num=2,
    num_attention_heads=2,
    intermediate_size=20,
    max_position_embeddings=24,
    initializer_range=0.3,
)
KERNEL = "bert/pooler/dense/kernel"

Arrays = dict[str, np.ndarray]


def of_model(model: Any, **more: Any) -> Checkpoint:
    """Return a model's checkpoint."""
    weights = as_arrays(weights_by_name(model))
    return Checkpoint(config=model.config, weights=weights, source="memory", **more)


def pretrained(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with both pretraining heads."""
    return of_model(AlbertForPreTraining(config), **more)


def classifier(num_labels: int, config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with a classification head."""
    return of_model(AlbertForSequenceClassification(config, num_labels=num_labels), **more)


def pooled(pooling: str, config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with a classifier of another pooling, none of whose weights is 0."""
    model = AlbertForSequenceClassification(config, num_labels=3, pooling=pooling)
    draw_head(model)
    return of_model(model, **more)


def draw_head(model: Any) -> None:
    """Give the head of a model of another pooling weights that are not 0."""
    rng = np.random.default_rng(1)
    for variable in model.head.weights:
        variable.assign(rng.normal(size=variable.shape, scale=0.3))


def multiple_choice(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with a head that scores choices."""
    return of_model(AlbertForMultipleChoice(config), is_multiple_choice=True, **more)


def span(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with the head of SQuAD 1.1."""
    return of_model(AlbertForQuestionAnswering(config), **more)


def span_beam(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with the head of SQuAD 2.0."""
    return of_model(AlbertForQuestionAnsweringWithBeam(config), **more)


def token_classifier(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with a head that gives each token one of five classes."""
    return of_model(AlbertForTokenClassification(config, num_labels=5), **more)


SAMPLES: dict[str, Callable[..., Checkpoint]] = {
    "pretrained": pretrained,
    "classification": functools.partial(classifier, 3),
    "regression": functools.partial(classifier, 1),
    "multiple_choice": multiple_choice,
    "span": span,
    "span_beam": span_beam,
    "token_classifier": token_classifier,
}
POOLED: dict[str, Callable[..., Checkpoint]] = {
    pooling: functools.partial(pooled, pooling) for pooling in ("mean", "layer_mix", "siamese")
}


def batch_of(
    checkpoint: Checkpoint, lengths: tuple[int, ...] = (24, 9, 17), seed: int = 0
) -> Arrays:
    """Return inputs of a model for sequences of some lengths; three choices or two texts of each.

    The latter if the model reads them.
    """
    rng = np.random.default_rng(seed)
    num_sequences = 3 if checkpoint.is_multiple_choice else 2
    shape = (len(lengths), *[num_sequences] * checkpoint.has_sequence_groups)
    length = np.array(lengths).reshape(-1, *[1] * len(shape))
    mask = np.broadcast_to(np.arange(max(lengths)) < length, (*shape, max(lengths))).astype(int)
    batch = {
        "input_ids": rng.integers(0, checkpoint.config.vocab_size, mask.shape) * mask,
        "input_mask": mask,
        "segment_ids": rng.integers(0, 2, mask.shape) * mask,
        "masked_lm_positions": rng.integers(0, min(lengths), (len(lengths), 4)),
        "p_mask": 1 - mask,
    }
    return {name: batch[name].astype(np.int32) for name in checkpoint.input_names}


def encoder_of(checkpoint: Checkpoint) -> Arrays:
    """Return the weights of a checkpoint's encoder."""
    return {name: a for name, a in checkpoint.weights.items() if name.startswith("bert/")}


def edit_json(path: Path, **changes: Any) -> None:
    """Change values of a JSON object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(path: Path, change: Callable[[Arrays], Any]) -> None:
    """Change the arrays in a safetensors file."""
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    safetensors.numpy.save_file(arrays, path)


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}
