"""Tasks in which any number of labels applies: read, trained on, scored and written by sigmoids."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.checkpoints import read_checkpoint, save_huggingface
from albert_core.checkpoints.task_head import fit_to_task
from albert_core.errors import InputError
from albert_core.finetuning.baseline import baseline_score
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.example_rows import read_example_rows
from albert_core.finetuning.models import new_task_model
from albert_core.finetuning.task_preprocessor import make_preprocessor
from albert_core.inference import load
from albert_core.inference.evaluation import evaluate_splits
from albert_core.optimizers.factory import make_optimizer
from albert_core.tasks import InvalidRows, Source, Task, find_task, read_examples
from albert_core.tasks.metrics import compute_metrics
from albert_core.tasks.split_files import has_labels
from albert_core.tokenization import SentencePieceTokenizer
from components.report.analysis import calibration, confident_mistakes
from components.report.significance import paired_interval
from tests.helpers.checkpoint_samples import classifier, of_model
from tests.helpers.served_models import MODEL_CONFIG

TAGS = Task(
    name="tags",
    kind="multi_label",
    train=(Source(file="train.tsv"),),
    dev=(Source(file="dev.jsonl"),),
    texts=("text",),
    label="tags",
    labels=("sea", "farm", "town"),
    metrics=("micro_f1", "macro_f1", "accuracy"),
)
ROWS = [("Bread.", ["town"]), ("Dogs.", ["farm", "town"]), ("Apples.", []), ("Fish.", ["sea"])]
TARGETS = [(0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The same rows as a table and as JSON lines."""
    folder = tmp_path / "tags"
    folder.mkdir()
    lines = [f"{text}\t{', '.join(tags)}" for text, tags in ROWS]
    (folder / "train.tsv").write_text("\n".join(["text\ttags", *lines]) + "\n")
    values = [json.dumps({"text": text, "tags": tags}) for text, tags in ROWS]
    (folder / "dev.jsonl").write_text("\n".join(values) + "\n")
    return folder


@pytest.mark.parametrize("split", ["train", "dev"])
def test_every_label_that_applies_is_read(split: str, data: Path) -> None:
    examples = read_examples(TAGS, data, split, invalid_rows=InvalidRows())
    assert [example.target for example in examples] == TARGETS


@pytest.mark.parametrize(
    ("file", "row", "message"),
    [
        ("train.tsv", "x\ttown, sky", "line 6: got label 'sky', expected some of sea, farm, town"),
        ("dev.jsonl", '{"text": "x", "tags": "town"}', "line 5: got the text 'town' as 'tags', "),
        ("dev.jsonl", '{"text": "x", "tags": [1]}', "line 5: got the number 1 as"),
        ("dev.jsonl", '{"text": "x", "tags": null}', "line 5: got null as 'tags'"),
    ],
)
def test_labels_that_are_none_are_refused(file: str, row: str, message: str, data: Path) -> None:
    with (data / file).open("a") as rows:
        rows.write(row + "\n")
    with pytest.raises(InputError, match=message):
        read_examples(TAGS, data, Path(file).stem, invalid_rows=InvalidRows())


@pytest.mark.parametrize("file", ["train.tsv", "train.csv", "train.jsonl", "train.parquet"])
def test_each_label_may_have_a_column(file: str, tmp_path: Path) -> None:
    kinds = {"sea": int, "farm": float, "town": bool}
    rows = [
        {"text": text, "more": 7, **{name: kind(name in tags) for name, kind in kinds.items()}}
        for text, tags in ROWS
    ]
    task = dataclasses.replace(TAGS, train=(Source(file=file),))
    write_rows(rows, tmp_path / file)
    assert [one.target for one in read_examples(task, tmp_path, "train")] == TARGETS
    write_rows([*rows[:3], {**rows[3], "sea": 2}], tmp_path / file)
    with pytest.raises(InputError, match=r"[45]: got '?2'? as 'sea', expected 1 or 0"):
        read_examples(task, tmp_path, "train")
    for row in rows:
        del row["sea"]
    write_rows(rows, tmp_path / file)
    with pytest.raises(InputError, match="'tags'"):
        read_examples(task, tmp_path, "train")


@pytest.mark.parametrize("file", ["test.tsv", "test.csv", "test.jsonl", "test.parquet"])
def test_a_column_for_each_label_counts_as_labels_of_a_test_file(file: str, tmp_path: Path) -> None:
    path, source = tmp_path / file, Source(file=file)
    for value, is_labelled in ((0, True), (1, True), (-1, False)):
        write_rows([{"text": "Bread.", **dict.fromkeys(TAGS.labels, value)}], path)
        assert has_labels(TAGS, source, str(path)) == is_labelled
    write_rows([{"text": "Bread.", "sea": 1}], path)
    assert not has_labels(TAGS, source, str(path))


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """Write a table as the ending of the path says."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        sign = "\t" if path.suffix == ".tsv" else ","
        lines = [rows[0].keys(), *(row.values() for row in rows)]
        path.write_text("".join(sign.join(map(str, line)) + "\n" for line in lines))


def test_labels_are_scored_as_by_hand() -> None:
    targets = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    outputs = np.array([[2.0, -1.0, -3.0], [-1.0, 4.0, 0.5]])
    # Right: 2 of 3 that apply, 2 of 3 that were said. By label: 1, 1, 0. No example is all right.
    expected = {"micro_f1": 2 / 3, "macro_f1": 2 / 3, "accuracy": 0.0}
    assert compute_metrics(TAGS, outputs, targets) == pytest.approx(expected)
    right = compute_metrics(TAGS, 2 * targets - 1, targets)
    assert set(right.values()) == {1.0}


@pytest.mark.backends
@pytest.mark.usefixtures("eager")
def test_the_loss_is_the_mean_binary_cross_entropy() -> None:
    model = new_task_model(TAGS, FinetuningConfig(), MODEL_CONFIG)
    logits = np.array([[2.0, -1.0, 0.0], [80.0, -80.0, 80.0]], np.float32)
    targets = np.array([[1, 0, 1], [1, 0, 0]], np.float32)
    probabilities = 1 / (1 + np.exp(-logits[0]))
    first = -np.mean(np.log([probabilities[0], 1 - probabilities[1], probabilities[2]]))
    losses = np.asarray(model.example_losses(targets, logits))
    np.testing.assert_allclose(losses, [first, 80 / 3], rtol=1e-5)
    again = type(model).from_config(model.get_config())
    assert again.is_multi_label
    optimizer = make_optimizer("adamw", learning_rate=0.01, num_train_steps=20, num_warmup_steps=0)
    model.compile(optimizer=optimizer, jit_compile=JITS_VARYING_LENGTHS)
    inputs = {name: np.ones((2, 6), np.int32) for name in ("input_ids", "input_mask")}
    inputs["segment_ids"] = np.zeros((2, 6), np.int32)
    first = model.train_on_batch(inputs, targets)
    assert model.train_on_batch(inputs, targets) < first


def test_training_batches_have_a_target_for_each_label(
    tokenizer: SentencePieceTokenizer, data: Path
) -> None:
    preprocessor = make_preprocessor(TAGS, FinetuningConfig(sequence_length=20), tokenizer)
    train, dev = preprocessor.read(data, "train"), preprocessor.read(data, "dev")
    inputs, targets = preprocessor.batch(train.features, np.array([1, 3]), 8)
    assert targets.tolist() == [list(TARGETS[1]), list(TARGETS[3])]
    assert inputs["input_ids"].shape == (2, 8)
    # No label applies to more than half of the rows, so that the baseline says none.
    assert baseline_score(preprocessor, train, dev) == 0.0


@pytest.mark.usefixtures("eager")
def test_a_classifier_of_transformers_is_scored_by_the_names_of_its_labels(
    tokenizer: SentencePieceTokenizer, data: Path, tmp_path: Path
) -> None:
    names, multi = ("town", "Sea", "farm"), "multi_label_classification"
    checkpoint = classifier(3, MODEL_CONFIG, tokenizer=tokenizer, labels=names, problem_type=multi)
    save_huggingface(checkpoint, tmp_path / "theirs")
    model, theirs = load(tmp_path / "theirs", task=TAGS), load(tmp_path / "theirs")
    (tmp_path / "results").mkdir()
    results = tmp_path / "results"
    scores = evaluate_splits(model, data=data, results=results, with_baselines=True)
    texts = [text for text, _ in ROWS]
    found = theirs.predict(texts)
    said = [{name.lower() for name in one.labels} for one in found]
    right = [one == {*tags} for one, (_, tags) in zip(said, ROWS, strict=True)]
    assert scores["accuracy"] == np.mean(right)
    table = (tmp_path / "results" / "predictions_dev.tsv").read_text().splitlines()
    assert table[0] == "id\tprediction\tsea\tfarm\ttown"
    for line, one in zip(table[1:], found, strict=True):
        _, prediction, *probabilities = line.split("\t")
        assert {*filter(None, prediction.split(","))} == {name.lower() for name in one.labels}
        expected = [one.probabilities[name] for name in ("Sea", "farm", "town")]
        assert [float(value) for value in probabilities] == pytest.approx(expected, abs=1e-5)
    rows = read_example_rows(results)
    assert [row["label"] for row in rows] == [list(map(int, target)) for target in TARGETS]
    assert [row["majority"] for row in rows] == [[0, 0, 0]] * len(ROWS)
    mistakes, num_mistakes = confident_mistakes(rows, TAGS.labels)
    assert num_mistakes == len(right) - sum(right) == len(mistakes)
    assert calibration(rows, TAGS.labels).of == "each label"
    low, high = paired_interval(TAGS, rows, [row["without_model"] for row in rows])
    assert -1 <= low <= high <= 1


def test_a_model_of_such_a_task_is_one_in_transformers(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    task = json.loads(json.dumps(dataclasses.asdict(TAGS)))
    model = new_task_model(TAGS, FinetuningConfig(pooling="pooler"), MODEL_CONFIG)
    checkpoint = of_model(model, tokenizer=tokenizer, task=task)
    save_huggingface(checkpoint, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["problem_type"] == "multi_label_classification"
    assert list(values["id2label"].values()) == list(TAGS.labels)
    back = read_checkpoint(tmp_path)
    assert (back.is_multi_label, back.labels) == (True, TAGS.labels)


def test_a_model_for_one_label_is_not_for_several() -> None:
    one = "single_label_classification"
    with pytest.raises(
        InputError, match="got one for classification, expected one for multi_label"
    ):
        fit_to_task(classifier(3, MODEL_CONFIG, problem_type=one), TAGS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("a", "a")}, "expected 1 or more different ones"),
        ({"metrics": ("f1",)}, "got metrics f1, expected some of micro_f1, macro_f1, accuracy"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        dataclasses.replace(TAGS, **changes)


def own_task(folder: Path, file: str, text: str = "") -> tuple[Task, Path]:
    """A task with the same file for training and dev set."""
    (folder / "task.yaml").write_text(
        "name: own\nkind: multi_label\ntexts: [text]\nlabel: tags\nmetrics: [micro_f1]\n"
        f"train: {file}\ndev: {file}\n{text}"
    )
    return find_task(str(folder / "task.yaml"), folder)


@pytest.mark.parametrize("file", ["train.jsonl", "train.parquet"])
@pytest.mark.parametrize(
    "declared", ["", "labels: [0, 1, 2]\n", "labels: [a, b, c]\nclass_names: [a, b, c]\n"]
)
def test_labels_in_a_list_may_be_numbers(file: str, declared: str, tmp_path: Path) -> None:
    rows = [{"text": f"Text {number}.", "tags": [number % 2, 2]} for number in range(4)]
    if file.endswith("jsonl"):
        (tmp_path / file).write_text("\n".join(map(json.dumps, rows)))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / file)
    task, folder = own_task(tmp_path, file, declared)
    assert len(task.labels) == 3
    targets = [example.target for example in read_examples(task, folder, "train")]
    assert targets == [(1.0, 0.0, 1.0), (0.0, 1.0, 1.0)] * 2


@pytest.mark.parametrize("file", ["train.csv", "train.tsv"])
def test_labels_in_a_cell_may_be_a_list_as_pandas_writes_it(file: str, tmp_path: Path) -> None:
    cells = ["['joy', 'fear']", "[]", '["joy"]', "fear, joy"]
    mark, quote = (",", '"') if file.endswith("csv") else ("\t", "")
    doubled = [cell.replace('"', '""') if quote else cell for cell in cells]
    lines = [f"Text {n}.{mark}{quote}{cell}{quote}" for n, cell in enumerate(doubled)]
    (tmp_path / file).write_text("\n".join([f"text{mark}tags", *lines]))
    task, folder = own_task(tmp_path, file)
    assert task.labels == ("fear", "joy")
    targets = [example.target for example in read_examples(task, folder, "train")]
    assert targets == [(1.0, 1.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("[0 3]", r"line 2: got labels '\[0 3\]', expected names with commas between them, or a"),
        ("[joy]", r"line 2: got labels '\[joy\]', expected names with commas between them"),
    ],
)
def test_what_is_no_list_is_refused(cell: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(f"text\ttags\nx\t{cell}\n" + "y\tjoy\nz\tfear\n" * 9)
    with pytest.raises(InputError, match=message):
        read_examples(*own_task(tmp_path, "train.tsv"), "train")


@pytest.mark.parametrize("cell", ["joy|fear", "joy; fear"])
def test_other_signs_between_labels_are_not_taken_for_a_label(cell: str, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(f"text\ttags\nx\t{cell}\n" + "y\tjoy\nz\tfear\n" * 9)
    with pytest.raises(InputError, match=r"labels such as 'joy.* where commas are expected; decla"):
        own_task(tmp_path, "train.tsv")
    assert len(own_task(tmp_path, "train.tsv", f"labels: [joy, fear, '{cell}']\n")[0].labels) == 3
