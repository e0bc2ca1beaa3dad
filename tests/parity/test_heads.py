"""The heads and their metrics against recordings of the original.

Tolerances are those of the goldens' README: 2e-5, and 1e-3 for the one sequence whose mask is all
zero (its scores sit at -10000, where float32 has steps of 1e-3). The weights of every head are
loaded by the names they were recorded under.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from albert_core.backends import cross_entropy
from albert_core.config import AlbertConfig
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
    AlbertForSequenceClassification,
    load_weights,
)
from albert_core.model.heads import AlbertWithHead, mean_loss
from albert_core.tasks import Task, compute_metrics

pytestmark = pytest.mark.backends

NUM_SEQUENCES, FULLY_MASKED_SEQUENCE = 4, 3
NUM_BATCHES = 3

Recording = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def folder(numeric_goldens: Path) -> Path:
    """The small model whose encoder the heads were recorded with."""
    return numeric_goldens / "model" / "g1i1_factorised"


@pytest.fixture(scope="module")
def config(folder: Path) -> AlbertConfig:
    return AlbertConfig.from_json_file(folder / "albert_config.json")


@pytest.fixture
def recorded(request: pytest.FixtureRequest, numeric_goldens: Path, folder: Path) -> Recording:
    values = dict(np.load(numeric_goldens / "heads" / f"{request.param}.npz"))
    encoder = np.load(folder / "weights.npz")
    return values | {f"var:{name}": encoder[name] for name in encoder if name.startswith("bert/")}


def of(name: str) -> Any:
    """Use the recording of this name in a test."""
    return pytest.mark.parametrize("recorded", [name], indirect=True)


def part(recorded: Recording, prefix: str) -> Recording:
    return {
        name.removeprefix(prefix): values
        for name, values in recorded.items()
        if name.startswith(prefix)
    }


def fill(model: AlbertWithHead, recorded: Recording) -> None:
    load_weights(model, part(recorded, "var:"), source="the recording")


def assert_close(actual: Any, expected: np.ndarray) -> None:
    """Compare values of all the sequences, one after the other, or of the batch as a whole."""
    actual = ops.convert_to_numpy(actual).reshape(expected.shape)
    if expected.size % NUM_SEQUENCES:
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)
        return
    actual, expected = (values.reshape(NUM_SEQUENCES, -1) for values in (actual, expected))
    for sequence in range(NUM_SEQUENCES):
        np.testing.assert_allclose(
            actual[sequence],
            expected[sequence],
            rtol=0,
            atol=1e-3 if sequence == FULLY_MASKED_SEQUENCE else 2e-5,
        )


@pytest.mark.parametrize(
    ("recorded", "num_labels"),
    [("classifier_mnli_3way", 3), ("classifier_stsb", 1)],
    indirect=["recorded"],
)
def test_classification_and_regression(
    recorded: Recording, num_labels: int, config: AlbertConfig
) -> None:
    model = AlbertForSequenceClassification(config, num_labels=num_labels)
    fill(model, recorded)
    inputs = part(recorded, "in:")
    labels = inputs.pop("labels")
    outputs = model(inputs, training=False)
    assert_close(outputs, recorded["logits"])
    assert_close(model.example_losses(labels, outputs), recorded["per_example_loss"])
    assert_close(model.compute_loss(inputs, labels, outputs), recorded["loss"])


@of("race_2options")
def test_multiple_choice(recorded: Recording, config: AlbertConfig) -> None:
    model = AlbertForMultipleChoice(config)
    fill(model, recorded)
    inputs = part(recorded, "in:")
    labels = inputs.pop("labels")
    inputs = {name: values.reshape(2, 2, -1) for name, values in inputs.items()}
    logits = model(inputs, training=False)
    assert_close(logits, recorded["logits"])
    assert_close(ops.softmax(logits), recorded["probabilities"])
    assert_close(model.example_losses(labels, logits), recorded["per_example_loss"])
    assert_close(model.compute_loss(inputs, labels, logits), recorded["loss"])


@of("squad_v1")
def test_question_answering(recorded: Recording, config: AlbertConfig) -> None:
    model = AlbertForQuestionAnswering(config)
    fill(model, recorded)
    inputs = part(recorded, "in:")
    outputs = model(inputs, training=False)
    for name in ("start_logits", "end_logits"):
        assert_close(outputs[name], recorded[name])
    assert_close(model.compute_loss(inputs, inputs, outputs), recorded["total_loss"])


@of("squad_v2_train")
def test_ends_and_losses_given_the_start(recorded: Recording, config: AlbertConfig) -> None:
    model = AlbertForQuestionAnsweringWithBeam(config, classifier_dropout=0.0)
    fill(model, recorded)
    inputs = part(recorded, "in:")
    outputs = model(inputs, training=True)
    assert_close(outputs["cls_logits"], recorded["cls_logits"])
    for name in ("start", "end"):
        logits, positions = outputs[f"{name}_logits"], inputs[f"{name}_positions"]
        assert_close(ops.log_softmax(logits), recorded[f"{name}_log_probs"])
        assert_close(ops.mean(cross_entropy(positions, logits)), recorded[f"{name}_loss"])
    assert_close(model.compute_loss(inputs, inputs, outputs), recorded["total_loss"])


@of("squad_v2_predict_start3_end4")
def test_search_for_starts_and_their_ends(recorded: Recording, config: AlbertConfig) -> None:
    model = AlbertForQuestionAnsweringWithBeam(config, start_n_top=3, end_n_top=4)
    fill(model, recorded)
    outputs = model(part(recorded, "in:"), training=False)
    for name in ("start_top_log_probs", "end_top_log_probs", "cls_logits"):
        assert_close(outputs[name], recorded[name])
    for name in ("start_top_index", "end_top_index"):
        np.testing.assert_array_equal(ops.convert_to_numpy(outputs[name]), recorded[name])


@pytest.mark.parametrize(
    ("name", "metric", "of_the_original"),
    [
        ("mnli", "accuracy", "eval_accuracy"),
        ("cola", "accuracy", "eval_accuracy"),
        ("cola", "matthews_correlation", "matthew_corr"),
        ("sts-b", "pearson", "pearson"),
        ("sts-b", "mean_squared_error", "MSE"),
    ],
)
def test_metrics(name: str, metric: Any, of_the_original: str, numeric_goldens: Path) -> None:
    recorded = metrics_recording(numeric_goldens, name)
    real = recorded["is_real_example"] > 0
    outputs, targets = recorded["logits"][real], recorded["labels"][real]
    outputs = outputs.reshape(len(outputs), -1)
    labels = tuple("abc"[: outputs.shape[1]]) if outputs.shape[1] > 1 else ()
    metrics = (metric,) if labels else ("spearman", metric)
    kind: Any = "classification" if labels else "regression"
    task = Task(name="t", kind=kind, texts=(0,), labels=labels, metrics=metrics)
    score = compute_metrics(task, outputs, targets)[metric]
    assert score == pytest.approx(float(recorded[of_the_original]), abs=1e-6)


@pytest.mark.parametrize("name", ["mnli", "cola", "sts-b"])
def test_loss_over_an_evaluation(name: str, numeric_goldens: Path) -> None:
    recorded = metrics_recording(numeric_goldens, name)
    loss = mean_loss(recorded["per_example_loss"], recorded["is_real_example"])
    assert float(loss) == pytest.approx(float(recorded["eval_loss"]), abs=1e-6)


def metrics_recording(numeric_goldens: Path, name: str) -> Recording:
    """Return the batches one after the other, the last with rows of padding; and the metrics."""
    file = np.load(numeric_goldens / "heads" / f"metrics_{name}.npz")
    columns = ("logits", "labels", "is_real_example", "per_example_loss")
    return part(file, "final:") | {
        column: np.concatenate([file[f"batch{batch}:{column}"] for batch in range(NUM_BATCHES)])
        for column in columns
    }
