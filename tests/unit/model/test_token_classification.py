"""The head for tokens: its loss, and the same model in every format that can hold it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.checkpoints import (
    convert,
    describe,
    read_checkpoint,
    save_folder,
    save_huggingface,
    save_release,
)
from albert_core.checkpoints.task_head import fit_to_task
from albert_core.errors import InputError
from albert_core.model import AlbertForTokenClassification
from albert_core.optimizers.factory import make_optimizer
from albert_core.tasks import Task
from tests.helpers.checkpoint_samples import classifier, token_classifier
from tests.helpers.export_samples import SINGLE

NAMES = ("O", "B-A", "I-A", "B-B", "I-B")


@pytest.mark.backends
@pytest.mark.usefixtures("eager")
def test_the_loss_is_the_mean_over_the_tokens_with_a_class() -> None:
    model = AlbertForTokenClassification(SINGLE, num_labels=3)
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 4, 3)).astype(np.float32)
    classes = np.array([[-1, 2, 0, -1], [-1, 1, -1, -1]], np.int32)
    odds = np.exp(logits)
    losses = [
        -np.log(odds[row, place, number] / odds[row, place].sum())
        for (row, place), number in np.ndenumerate(classes)
        if number >= 0
    ]
    found = float(model.compute_loss(y=classes, y_pred=logits))
    assert found == pytest.approx(np.mean(losses), rel=1e-5)
    weighted = float(model.compute_loss(y=classes, y_pred=logits, sample_weight=np.array([0, 1])))
    assert weighted == pytest.approx(losses[2], rel=1e-5)
    assert float(model.compute_loss(y=np.full((2, 4), -1), y_pred=logits)) == 0.0
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    optimizer = make_optimizer("adamw", learning_rate=0.001, num_train_steps=20, num_warmup_steps=0)
    model.compile(optimizer=optimizer, jit_compile=JITS_VARYING_LENGTHS)
    inputs = {name: np.ones((2, 4), np.int32) for name in ("input_ids", "input_mask")}
    inputs["segment_ids"] = np.zeros((2, 4), np.int32)
    first = model.train_on_batch(inputs, classes)
    for _ in range(9):  # one step's loss is within what dropout changes
        last = model.train_on_batch(inputs, classes)
    assert last < first


def test_names_of_tags_go_through_every_kind_of_checkpoint_and_back(tmp_path: Path) -> None:
    checkpoint = token_classifier(labels=NAMES)
    notes = save_huggingface(checkpoint, tmp_path / "theirs")
    assert notes == ("left out bert/pooler/*, which AlbertForTokenClassification does without",)
    values = json.loads((tmp_path / "theirs/config.json").read_text())
    assert values["architectures"] == ["AlbertForTokenClassification"]
    assert (list(values["id2label"].values()), "problem_type" in values) == (list(NAMES), False)
    source = tmp_path / "theirs"
    for to in ("keras", "huggingface"):
        convert(source, tmp_path / to, to=to)
        source = tmp_path / to
        back = read_checkpoint(source)
        assert (back.heads, back.labels, back.num_labels) == ({"token_classifier"}, NAMES, 5)
        found = describe(source)
        assert (found.purpose.kind, found.purpose.labels) == ("token_classification", NAMES)
        assert (found.model.heads, found.model.num_labels) == (("token_classifier",), 5)
    for name in ("output_weights", "output_bias"):
        key = f"token_classifier/{name}"
        np.testing.assert_array_equal(back.weights[key], checkpoint.weights[key])


def test_the_originals_format_has_no_such_head(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tags words, .* tf1 cannot hold it; write huggingface, "):
        save_release(token_classifier(), tmp_path / "tf1")
    assert not (tmp_path / "tf1").exists()
    save_folder(token_classifier(), tmp_path / "ours")
    with pytest.raises(InputError, match="tf1 cannot hold it"):
        convert(tmp_path / "ours", tmp_path / "tf1", to="tf1")


def test_a_model_meets_a_task_by_the_names_of_its_tags() -> None:
    labels = ("B-A", "B-B", "I-A", "I-B", "O")
    task = Task(name="t", kind="token_classification", labels=labels, metrics=("f1",))
    checkpoint = token_classifier(labels=NAMES)
    order = [NAMES.index(label) for label in labels]
    key = "token_classifier/output_bias"
    weights = {**checkpoint.weights, key: np.arange(5.0)}
    fitted = fit_to_task(dataclasses.replace(checkpoint, weights=weights), task)
    assert fitted.weights[key].tolist() == order
    with pytest.raises(InputError, match="got the heads classifier, expected token_classifier"):
        fit_to_task(classifier(5), task)
    texts = Task(name="t", texts=("a",), labels=labels, metrics=("accuracy",))
    with pytest.raises(InputError, match="got the heads token_classifier, expected classifier"):
        fit_to_task(checkpoint, texts)
