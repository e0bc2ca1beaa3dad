"""Names and kind of a classifier's outputs go through every format, and meet a task by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.checkpoints import (
    Checkpoint,
    convert,
    describe,
    read_checkpoint,
    save_folder,
    save_huggingface,
    save_release,
)
from albert_core.checkpoints.huggingface_labels import labels_from_huggingface
from albert_core.checkpoints.side_files import write_side_files
from albert_core.checkpoints.task_head import fit_to_task
from albert_core.errors import InputError
from albert_core.tasks import TASKS, Task
from tests.helpers.checkpoint_samples import (
    CONFIG,
    classifier,
    edit_json,
    multiple_choice,
    names_in,
    pretrained,
    span,
    span_beam,
)

SHALLOW = dataclasses.replace(CONFIG, num_hidden_layers=2, inner_group_num=1)
NAMES = ("entailment", "neutral", "contradiction")  # another order than the task's
BY_ID = {"0": "entailment", "1": "neutral", "2": "contradiction"}
MULTI = "multi_label_classification"


def config_of(folder: Path) -> dict[str, Any]:
    values = json.loads((folder / "config.json").read_text())
    return {name: values.get(name) for name in ("id2label", "problem_type", "architectures")}


@pytest.mark.parametrize("problem_type", [MULTI, "single_label_classification"])
def test_labels_go_through_every_kind_of_checkpoint_and_back(
    problem_type: str, tmp_path: Path
) -> None:
    checkpoint = classifier(3, SHALLOW, labels=NAMES, problem_type=problem_type)
    save_huggingface(checkpoint, tmp_path / "theirs")
    source = tmp_path / "theirs"
    for to in ("keras", "tf1", "huggingface"):
        convert(source, tmp_path / to, to=to)
        source = tmp_path / to
        back = read_checkpoint(source)
        assert (back.labels, back.problem_type, back.task) == (NAMES, problem_type, None)
        purpose = describe(source).purpose
        assert (purpose.labels, purpose.task) == (NAMES, "")
        assert purpose.kind == ("multi_label" if problem_type == MULTI else "classification")
    assert config_of(source) == config_of(tmp_path / "theirs")
    assert config_of(source)["id2label"] == BY_ID
    assert "head.json" not in names_in(source)  # config.json says the same


def test_choices_go_through_every_kind_of_checkpoint_and_back(tmp_path: Path) -> None:
    save_huggingface(multiple_choice(SHALLOW), tmp_path / "theirs")
    source = tmp_path / "theirs"
    for to in ("tf1", "keras", "huggingface"):
        convert(source, tmp_path / to, to=to)
        source = tmp_path / to
        assert read_checkpoint(source).is_multiple_choice
        assert describe(source).purpose.kind == "multiple_choice"
    assert config_of(source)["architectures"] == ["AlbertForMultipleChoice"]


def test_task_settings_and_threshold_go_through_every_kind_of_checkpoint(tmp_path: Path) -> None:
    task = json.loads(json.dumps(dataclasses.asdict(TASKS["squad2"])))
    checkpoint = span_beam(SHALLOW, task=task, finetuning={"sequence_length": 20})
    save_folder(checkpoint, tmp_path / "own")
    write_side_files(checkpoint, tmp_path / "own")
    trials = [{"name": "a", "null_threshold": 1.0}, {"name": "b", "null_threshold": -2.5}]
    (tmp_path / "own" / "trials.json").write_text(json.dumps({"chosen": "b", "trials": trials}))
    source = tmp_path / "own"
    for to in ("tf1", "keras"):
        convert(source, tmp_path / to, to=to)
        source = tmp_path / to
        back = read_checkpoint(source)
        assert (back.task, back.finetuning) == (task, {"sequence_length": 20})
        assert back.null_threshold == -2.5
        purpose = describe(source).purpose
        assert (purpose.task, purpose.sequence_length) == ("squad2", 20)


def test_settings_of_fine_tuning_go_along_to_transformers(tmp_path: Path) -> None:
    checkpoint = classifier(3, SHALLOW, finetuning={"sequence_length": 20})
    save_folder(checkpoint, tmp_path / "own")
    write_side_files(checkpoint, tmp_path / "own")
    convert(tmp_path / "own", tmp_path / "theirs", to="huggingface")
    assert read_checkpoint(tmp_path / "theirs").finetuning == {"sequence_length": 20}


def test_pretrained_models_get_no_file_about_a_head(tmp_path: Path) -> None:
    save_folder(pretrained(SHALLOW), tmp_path / "own")
    convert(tmp_path / "own", tmp_path / "out", to="keras")
    assert names_in(tmp_path / "out") == {"albert_config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ()),
        ({"id2label": None, "label2id": None}, ()),
        ({"id2label": {"2": "c", "0": "a", "1": "b"}}, ("a", "b", "c")),
        ({"id2label": {0: "a", 1: "b", 2: "c"}}, ("a", "b", "c")),
        ({"id2label": {"0": 1, "1": 2, "2": 3}}, ("1", "2", "3")),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, ()),
        ({"id2label": {"0": "c", "1": "LABEL_1", "2": "LABEL_2"}}, ("c", "LABEL_1", "LABEL_2")),
    ],
)
def test_names_are_in_the_order_of_their_numbers(values: dict, names: tuple[str, ...]) -> None:
    found = labels_from_huggingface(values, num_labels=3, source="config.json")
    assert (found.names, found.notes) == (names, ())


def test_numbers_that_contradict_the_names_are_told() -> None:
    label_ids = {"a": 1, "b": 0}
    values = {"id2label": {"0": "a", "1": "b"}, "label2id": label_ids}
    found = labels_from_huggingface(values, num_labels=2, source="config.json")
    assert found.names == ("a", "b")
    assert "label2id has other numbers" in found.notes[0]
    placeholders = values | {"label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    assert not labels_from_huggingface(placeholders, num_labels=2, source="config.json").notes


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"id2label": {"0": "a", "1": "b"}}, "a different name for each of the classifier's 3"),
        ({"id2label": {"0": "a", "1": "b", "3": "c"}}, "a different name for each"),
        ({"id2label": {"0": "a", "1": "b", "2": "b"}}, "a different name for each"),
        ({"id2label": {"0": "a", "1": "b", "2": "c", "x": "d"}}, "a different name for each"),
        ({"id2label": {"0": "a", "1": "b", "2": None}}, "got null as 'id2label'"),
        ({"id2label": ["a", "b", "c"]}, "got a list as id2label"),
        ({"problem_type": "ranking"}, "got problem_type 'ranking', expected one of regression"),
        ({"problem_type": "regression"}, "got problem_type 'regression' and 3 outputs"),
    ],
)
def test_names_that_do_not_fit_the_classifier_are_refused(values: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        labels_from_huggingface(values, num_labels=3, source="config.json")


def test_names_that_are_not_those_of_the_task_are_refused(tmp_path: Path) -> None:
    task = {"name": "moods", "labels": ["sad", "glad", "mad"]}
    save_huggingface(classifier(3, SHALLOW, task=task), tmp_path)
    (tmp_path / "task.json").write_text(json.dumps(task))
    assert read_checkpoint(tmp_path).label_names == ("sad", "glad", "mad")
    edit_json(tmp_path / "config.json", id2label={"0": "glad", "1": "sad", "2": "mad"})
    with pytest.raises(InputError, match=r"names glad, sad, mad, and task\.json beside it sad, "):
        read_checkpoint(tmp_path)


def test_a_classifier_meets_a_task_by_the_names_of_its_labels() -> None:
    checkpoint = classifier(3, SHALLOW, labels=("Entailment", "NEUTRAL", "contradiction"))
    fitted = fit_to_task(checkpoint, TASKS["mnli"])
    order = [("contradiction", "entailment", "neutral").index(name) for name in NAMES]
    for name in ("output_weights", "output_bias"):
        np.testing.assert_array_equal(fitted.weights[name][order], checkpoint.weights[name])
    assert fitted.label_names == TASKS["mnli"].labels
    assert "are read as contradiction, entailment, neutral" in fitted.notes[0]
    again = fit_to_task(fitted, TASKS["mnli"])
    assert again.notes == fitted.notes
    assert again.weights["output_bias"].tolist() == fitted.weights["output_bias"].tolist()


@pytest.mark.parametrize(
    ("task", "labels", "note"),
    [
        ("mnli", (), "no names: taken for contradiction, entailment, neutral, in this order"),
        ("mnli", ("0", "1", "2"), "no names: taken for contradiction"),
        ("sst-2", ("negative", "positive"), "by their numbers: 0: negative, 1: positive"),
        ("rte", ("entailment", "not entailment"), "are read as entailment, not_entailment"),
    ],
)
def test_what_is_not_known_by_name_is_told(task: str, labels: tuple, note: str) -> None:
    checkpoint = classifier(len(TASKS[task].labels), SHALLOW, labels=labels)
    fitted = fit_to_task(checkpoint, TASKS[task])
    assert note in fitted.notes[0]
    for name in ("output_weights", "output_bias"):
        np.testing.assert_array_equal(fitted.weights[name], checkpoint.weights[name])


MOODS = Task(name="moods", texts=("text",), labels=("sad", "glad", "mad"), metrics=("accuracy",))


@pytest.mark.parametrize(
    ("make", "task", "reason"),
    [
        (lambda: classifier(3, SHALLOW, labels=NAMES), MOODS, "got the labels entailment, neutral"),
        (lambda: classifier(2, SHALLOW), MOODS, "a classifier with 2 outputs, expected 3"),
        (lambda: span(SHALLOW), MOODS, "got the heads span, expected classifier"),
        (
            lambda: pretrained(SHALLOW),
            TASKS["squad2"],
            "expected span_beam or span for task squad2",
        ),
        (lambda: pretrained(SHALLOW), MOODS, "got the heads masked_lm, sentence_order"),
        (lambda: multiple_choice(SHALLOW), TASKS["sts-b"], "got one for multiple_choice"),
        (
            lambda: classifier(3, SHALLOW, problem_type=MULTI),
            MOODS,
            "got one for multi_label, expected one for classification",
        ),
        (
            lambda: classifier(1, SHALLOW, problem_type="regression"),
            TASKS["race"],
            "got one for regression, expected one for multiple_choice",
        ),
    ],
)
def test_a_model_that_is_not_for_the_task_is_refused(make: Any, task: Task, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        fit_to_task(make(), task)


def test_the_originals_run_race_is_a_multiple_choice_if_the_task_says_so(tmp_path: Path) -> None:
    save_release(classifier(1, SHALLOW), tmp_path)
    checkpoint: Checkpoint = fit_to_task(read_checkpoint(tmp_path), TASKS["race"])
    assert checkpoint.is_multiple_choice
    assert not fit_to_task(read_checkpoint(tmp_path), TASKS["sts-b"]).is_multiple_choice
