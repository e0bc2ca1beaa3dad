"""Small checkpoints with random weights, and ways to spoil them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from albert_core.checkpoints import Checkpoint
from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, AlbertForSequenceClassification
from albert_core.model.weights import arrays_of, weights_by_name

CONFIG = AlbertConfig(
    vocab_size=120,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=4,
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
    weights = arrays_of(weights_by_name(model))
    return Checkpoint(config=model.config, weights=weights, source="memory", **more)


def pretrained(config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with both pretraining heads."""
    return of_model(AlbertForPreTraining(config), **more)


def classifier(num_labels: int, config: AlbertConfig = CONFIG, **more: Any) -> Checkpoint:
    """Return an encoder with a classification head."""
    return of_model(AlbertForSequenceClassification(config, num_labels=num_labels), **more)


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
