"""The model against recordings of the original: variables, every layer, losses, gradients.

Tolerances are those of the goldens' README: 2e-5 forward, 1e-3 for the one row whose mask is all
zero (its scores sit at -10000, where float32 has steps of 1e-3); gradients 1e-4 relative.
"""

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from albert_core.config import AlbertConfig
from albert_core.model import (
    AlbertForPreTraining,
    load_weights,
    pretraining_losses,
    weights_by_name,
)
from albert_core.presets import preset
from tests.helpers.gradients import value_and_gradients

pytestmark = pytest.mark.backends

CONFIGS = ("g1i1_factorised", "g2i2_equal_emb")
FULLY_MASKED_ROW = 3
NUM_ROWS, NUM_PREDICTIONS = 4, 5

Recording = dict[str, np.ndarray]


def load_model(folder: Path) -> AlbertForPreTraining:
    model = AlbertForPreTraining(AlbertConfig.from_json_file(folder / "albert_config.json"))
    load_weights(model, np.load(folder / "weights.npz"), source=str(folder))
    return model


@pytest.fixture(scope="module", params=CONFIGS)
def folder(request: pytest.FixtureRequest, numeric_goldens: Path) -> Path:
    return numeric_goldens / "model" / request.param


@pytest.fixture(scope="module")
def model(folder: Path) -> AlbertForPreTraining:
    return load_model(folder)


@pytest.fixture(scope="module", params=["io_masked", "io_nomask"])
def recorded(request: pytest.FixtureRequest, folder: Path) -> Recording:
    values = dict(np.load(folder / f"{request.param}.npz"))
    if request.param == "io_nomask":
        del values["in:input_mask"]
    return values


@pytest.fixture(scope="module")
def outputs(model: AlbertForPreTraining, recorded: Recording) -> dict[str, Any]:
    return model(inputs_of(recorded), training=False)


@pytest.fixture(scope="module")
def every_layer(model: AlbertForPreTraining, recorded: Recording) -> list[Any]:
    inputs = inputs_of(recorded)
    encoded = model.bert(
        inputs["input_ids"],
        input_mask=inputs.get("input_mask"),
        segment_ids=inputs["segment_ids"],
        return_all_layers=True,
        training=False,
    )
    return encoded["all_layer_outputs"]


@pytest.fixture(scope="module")
def losses(outputs: dict[str, Any], recorded: Recording) -> dict[str, Any]:
    return pretraining_losses(targets_of(recorded), outputs)


def inputs_of(recorded: Recording) -> dict[str, np.ndarray]:
    names = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
    return {name: recorded[f"in:{name}"] for name in names if f"in:{name}" in recorded}


def targets_of(recorded: Recording) -> dict[str, np.ndarray]:
    return {
        "masked_lm_ids": recorded["in:masked_lm_ids"],
        "masked_lm_weights": recorded["in:masked_lm_weights"],
        "sentence_order_labels": recorded["in:next_sentence_labels"][:, 0],
    }


def assert_rows_close(actual: Any, expected: np.ndarray, recorded: Recording) -> None:
    """Compare row by row of the batch, at the README's tolerances."""
    actual = np.asarray(actual)
    expected = expected.reshape(actual.shape)
    for row in range(NUM_ROWS):
        masked = row == FULLY_MASKED_ROW and "in:input_mask" in recorded
        np.testing.assert_allclose(
            actual[row], expected[row], rtol=0, atol=1e-3 if masked else 2e-5
        )


@pytest.mark.parametrize("size", ["base", "large", "xlarge", "xxlarge"])
def test_released_sizes_have_the_originals_variables(size: str, numeric_goldens: Path) -> None:
    path = numeric_goldens / "model" / "albert_sizes_variables.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))[size]
    # Variables without values: xxlarge has 223 million.
    with keras.StatelessScope(initialize_variables=False):
        model = AlbertForPreTraining(preset(f"{size}_v2", vocab_size=30000))
    keras.utils.clear_session()  # else the end of the next such scope would draw them
    shapes = {name: weight.shape for name, weight in weights_by_name(model).items()}
    assert {name: list(shape) for name, shape in shapes.items()} == dict(recorded["variables"])
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    assert sum(sizes.values()) == recorded["total_params"]
    encoder = sum(size for name, size in sizes.items() if name.startswith("bert/"))
    assert encoder == recorded["encoder_params"]


def test_variables_have_the_originals_names_and_shapes(
    model: AlbertForPreTraining, folder: Path
) -> None:
    expected = json.loads((folder / "variables.json").read_text(encoding="utf-8"))
    shapes = {name: list(weight.shape) for name, weight in weights_by_name(model).items()}
    assert shapes == dict(expected)


@pytest.mark.parametrize("name", ["sequence_output", "pooled_output"])
def test_encoder_output(name: str, outputs: dict[str, Any], recorded: Recording) -> None:
    assert_rows_close(outputs[name], recorded[name], recorded)


def test_output_of_every_layer(every_layer: list[Any], recorded: Recording) -> None:
    layers = sorted(name for name in recorded if name.startswith("encoder_layer_"))
    assert len(every_layer) == len(layers)
    for actual, name in zip(every_layer, layers, strict=True):
        assert_rows_close(actual, recorded[name], recorded)


@pytest.mark.parametrize(
    ("logits", "name"),
    [("masked_lm_logits", "mlm_log_probs"), ("sentence_order_logits", "sop_log_probs")],
)
def test_log_probabilities(
    logits: str, name: str, outputs: dict[str, Any], recorded: Recording
) -> None:
    assert_rows_close(keras.ops.log_softmax(outputs[logits]), recorded[name], recorded)


def test_losses_of_examples(losses: dict[str, Any], recorded: Recording) -> None:
    assert_rows_close(losses["masked_lm_example_loss"], recorded["mlm_example_loss"], recorded)
    assert_rows_close(losses["sentence_order_example_loss"], recorded["sop_example_loss"], recorded)


@pytest.mark.parametrize(
    ("loss", "name"),
    [("masked_lm_loss", "mlm_loss"), ("sentence_order_loss", "sop_loss"), ("loss", "total_loss")],
)
def test_losses(loss: str, name: str, losses: dict[str, Any], recorded: Recording) -> None:
    np.testing.assert_allclose(losses[loss], recorded[name], rtol=0, atol=2e-5)


def test_gradients(model: AlbertForPreTraining, recorded: Recording) -> None:
    def loss() -> Any:
        outputs = model(inputs_of(recorded), training=True)
        return pretraining_losses(targets_of(recorded), outputs)["loss"]

    weights = weights_by_name(model)
    _, gradients = value_and_gradients(loss, list(weights.values()))
    for name, gradient in zip(weights, gradients, strict=True):
        np.testing.assert_allclose(
            gradient, recorded[f"grad:{name}"], rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_metrics_of_evaluation_are_the_losses(folder: Path) -> None:
    """`evaluate` weighs by masked piece, as the original does over a whole evaluation."""
    model, recorded = load_model(folder), dict(np.load(folder / "io_masked.npz"))
    model.compile(jit_compile=False)
    metrics = model.evaluate(
        inputs_of(recorded), targets_of(recorded), batch_size=2, return_dict=True, verbose=0
    )
    weights = recorded["in:masked_lm_weights"].ravel()
    expected = {
        "masked_lm_loss": np.average(recorded["mlm_example_loss"], weights=weights),
        "masked_lm_accuracy": np.average(
            recorded["mlm_log_probs"].argmax(-1) == recorded["in:masked_lm_ids"].ravel(),
            weights=weights,
        ),
        "sentence_order_loss": recorded["sop_example_loss"].mean(),
        "sentence_order_accuracy": np.mean(
            recorded["sop_log_probs"].argmax(-1) == recorded["in:next_sentence_labels"][:, 0]
        ),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=2e-5)
