"""Models whose layers do not divide evenly into groups, against the original's rule.

The reference is modeling.py of the original written out in NumPy with float64; layer k of n is of
group int(k / n * groups), and blocks of a group follow each other.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.checkpoints import (
    Checkpoint,
    CheckpointFormat,
    build_model,
    convert,
    describe,
    read_checkpoint,
    save_folder,
    save_huggingface,
    save_release,
)
from albert_core.checkpoints.proof import random_batch
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from tests.helpers.checkpoint_samples import Arrays, edit_weights, pretrained

pytestmark = pytest.mark.backends

TOLERANCE = 1e-5
SHAPES = {  # num_hidden_layers, num_hidden_groups, inner_group_num: group of each layer
    (4, 12, 1): (0, 3, 6, 9),
    (5, 3, 2): (0, 0, 1, 1, 2),
    (3, 2, 1): (0, 0, 1),
    (2, 3, 3): (0, 1),
    (1, 4, 1): (0,),
}
# Floating point rounds the original's quotient down: group 15 has no layer.
ROUNDED = {**{layer: layer for layer in range(22)}, 15: 14}

Writer = Callable[[Checkpoint, Path], Any]
WRITERS: dict[CheckpointFormat, Writer] = {
    "tf1": save_release,
    "huggingface": save_huggingface,
    "keras": save_folder,
}


def uneven_config(layers: int, groups: int, inner: int = 1) -> AlbertConfig:
    return AlbertConfig(
        vocab_size=40,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=layers,
        num_hidden_groups=groups,
        inner_group_num=inner,
        num_attention_heads=2,
        intermediate_size=20,
        max_position_embeddings=24,
        initializer_range=0.2,
    )


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "-".join(map(str, shape)))
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return pretrained(uneven_config(*request.param))


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    """Four layers of twelve groups, the numbers that published models have."""
    return pretrained(uneven_config(4, 12))


def normalize(x: np.ndarray, weights: Arrays, scope: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{scope}/gamma"] + weights[f"{scope}/beta"]


def project(x: np.ndarray, weights: Arrays, scope: str) -> np.ndarray:
    return x @ weights[f"{scope}/kernel"] + weights[f"{scope}/bias"]


def attend(
    x: np.ndarray, mask: np.ndarray, weights: Arrays, scope: str, num_heads: int
) -> np.ndarray:
    def heads(name: str) -> np.ndarray:
        projected = project(x, weights, f"{scope}/self/{name}")
        return projected.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3)

    query, key, value = (heads(name) for name in ("query", "key", "value"))
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
    scores += (1 - mask[:, None, None, :]) * -10000.0
    exponents = np.exp(scores - scores.max(-1, keepdims=True))
    context = exponents / exponents.sum(-1, keepdims=True) @ value
    return project(context.transpose(0, 2, 1, 3).reshape(x.shape), weights, f"{scope}/output/dense")


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def reference_layers(checkpoint: Checkpoint, batch: Arrays) -> list[np.ndarray]:
    """Return the output of every block application, by the rule of the original."""
    c = checkpoint.config
    weights = {name: array.astype(np.float64) for name, array in checkpoint.weights.items()}
    embedded = (
        weights["bert/embeddings/word_embeddings"][batch["input_ids"]]
        + weights["bert/embeddings/token_type_embeddings"][batch["segment_ids"]]
        + weights["bert/embeddings/position_embeddings"][: batch["input_ids"].shape[1]]
    )
    x = normalize(embedded, weights, "bert/embeddings/LayerNorm")
    x = project(x, weights, "bert/encoder/embedding_hidden_mapping_in")
    outputs = []
    for layer in range(c.num_hidden_layers):
        group = int(layer / c.num_hidden_layers * c.num_hidden_groups)
        for inner in range(c.inner_group_num):
            scope = f"bert/encoder/transformer/group_{group}/inner_group_{inner}"
            attended = attend(
                x, batch["input_mask"], weights, f"{scope}/attention_1", c.num_attention_heads
            )
            x = normalize(x + attended, weights, f"{scope}/LayerNorm")
            wide = gelu(project(x, weights, f"{scope}/ffn_1/intermediate/dense"))
            narrow = project(wide, weights, f"{scope}/ffn_1/intermediate/output/dense")
            x = normalize(x + narrow, weights, f"{scope}/LayerNorm_1")
            outputs.append(x)
    return outputs


def encoder_inputs(checkpoint: Checkpoint) -> Arrays:
    batch = random_batch(checkpoint.config)
    return {name: batch[name] for name in ("input_ids", "input_mask", "segment_ids")}


def assert_close(actual: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("shape", "groups"), SHAPES.items())
def test_layers_are_spread_as_in_the_original(shape, groups) -> None:
    assert uneven_config(*shape).layer_groups == groups


def test_groups_are_rounded_as_in_the_original() -> None:
    config = uneven_config(22, 22)
    assert config.layer_groups == tuple(ROUNDED.values())
    assert config.used_groups == tuple(group for group in range(22) if group != 15)


def test_every_layer_is_the_originals(checkpoint: Checkpoint) -> None:
    inputs = encoder_inputs(checkpoint)
    expected = reference_layers(checkpoint, inputs)
    encoder = build_model(checkpoint).bert
    layers = encoder(**inputs, return_all_layers=True, training=False)["all_layer_outputs"]
    assert len(layers) == len(expected)
    for actual, layer in zip(layers, expected, strict=True):
        assert_close(actual, layer)
    outputs = encoder(**inputs, training=False)
    assert_close(outputs["sequence_output"], expected[-1])
    pooled = np.tanh(project(expected[-1][:, 0], dict(checkpoint.weights), "bert/pooler/dense"))
    assert_close(outputs["pooled_output"], pooled)


def test_a_training_step_computes_the_same(checkpoint: Checkpoint) -> None:
    """Its last layer computes nothing but [CLS] and the masked positions."""
    inputs = encoder_inputs(checkpoint)
    positions = np.array([[1, 3]] * len(inputs["input_ids"]), np.int32)
    encoder = build_model(checkpoint).bert
    outputs = encoder(**inputs, output_positions=positions, training=True)
    assert_close(outputs["sequence_output"], reference_layers(checkpoint, inputs)[-1][:, [1, 3]])


def test_groups_without_a_layer_have_no_variables(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    groups = {
        int(name.split("/group_")[1].split("/")[0])
        for name in checkpoint.weights
        if "/group_" in name
    }
    assert groups == set(config.used_groups)


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("kind", WRITERS)
def test_they_are_converted_to_every_kind(
    kind: CheckpointFormat, to: CheckpointFormat, tiny: Checkpoint, tmp_path: Path
) -> None:
    WRITERS[kind](tiny, tmp_path / "source")
    conversion = convert(tmp_path / "source", tmp_path / "converted", to=to)
    assert max(conversion.differences.values()) <= 1e-6
    back = read_checkpoint(tmp_path / "converted")
    assert back.config == tiny.config
    assert back.content_hash() == tiny.content_hash()


def test_a_stored_group_without_a_layer_is_left_out_and_told(
    tiny: Checkpoint, tmp_path: Path
) -> None:
    """As transformers writes them: with weights, which the original would not read."""
    save_huggingface(tiny, tmp_path)

    def fill(arrays: Arrays) -> None:
        for name, array in arrays.items():
            if ".albert_layer_groups.5." in name:
                array[...] = 7.0

    edit_weights(tmp_path / "model.safetensors", fill)
    back = read_checkpoint(tmp_path)
    assert back.content_hash() == tiny.content_hash()
    assert back.notes == (
        f"{tmp_path}: 8 of num_hidden_groups 12 are used by none of num_hidden_layers 4; left out "
        "their 128 variables",
    )
    model = describe(tmp_path).model
    assert model is not None
    assert (model.num_variables, model.num_unused) == (len(tiny.weights), 128)


def test_a_missing_group_that_a_layer_uses_is_refused(tiny: Checkpoint, tmp_path: Path) -> None:
    weights = {name: a for name, a in tiny.weights.items() if "/group_6/" not in name}
    save_folder(dataclasses.replace(tiny, weights=weights), tmp_path)
    with pytest.raises(InputError, match="missing bert/encoder/transformer/group_6/"):
        build_model(read_checkpoint(tmp_path))


def test_groups_that_transformers_puts_elsewhere_are_refused(tmp_path: Path) -> None:
    config = uneven_config(22, 22)
    with pytest.raises(
        InputError, match="layer 15 is of group 14 in the original, but of group 15"
    ):
        save_huggingface(Checkpoint(config=config, weights={}, source="memory"), tmp_path)
