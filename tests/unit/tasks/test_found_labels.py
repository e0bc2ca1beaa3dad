"""Tasks that declare no labels have those of their data, and say where these are from."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    InvalidRows,
    Task,
    find_task,
    named_task,
    read_examples,
    read_sentences,
    task_fingerprint,
)
from albert_core.tasks.description import describe_files
from tests.unit.tasks.test_table_formats import ROWS, write_csv, write_jsonl, write_parquet

DECLARATION = "name: weather\ntexts: [text, text_b]\nmetrics: [macro_f1]\n"
CLASSES = {"label": {"names": ["wet", "fine"], "_type": "ClassLabel"}}
CARD = """---
license: mit
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': wet
          '1': fine
---
# Weather
"""
NUMBERED = [(*row[:3], int(row[3] == "fine")) for row in ROWS]


def declare(folder: Path, text: str = DECLARATION) -> None:
    (folder / "task.yaml").write_text(text)


def found_in(folder: Path) -> Task:
    return find_task(str(folder / "task.yaml"), folder)[0]


def test_labels_are_those_of_the_rows_in_order(tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(tmp_path / "train.csv", [*ROWS, ("10", "a", "b", "")])
    task = found_in(tmp_path)
    assert (task.labels, task.labels_from) == (("fine", "wet"), "the training rows")
    assert describe_files(task, tmp_path).startswith(
        "labels: fine, wet (from the training rows); train: train.csv (CSV); dev: 10 %"
    )
    with pytest.raises(InputError, match=r"train\.csv, line 5: got label '', expected one of fi"):
        read_examples(task, tmp_path, "train")
    write_csv(
        tmp_path / "train.csv",
        [(*row[:3], label) for row, label in zip(ROWS, (10, 9, 2), strict=True)],
    )
    assert found_in(tmp_path).labels == ("2", "9", "10")


@pytest.mark.parametrize("labels", ["labels: [0, 1]\n", "labels: ['0', '1']\n", ""])
def test_whole_numbers_that_pandas_wrote_as_floats_are_the_numbers(
    labels: str, tmp_path: Path
) -> None:
    declare(tmp_path, DECLARATION + labels + "skipped_labels: [-1]\n")
    texts = [row[:3] for row in ROWS]
    # A label is missing in the training rows alone, so the dev rows have whole numbers.
    train = ("1.0", "0.0", "", "-1.0")
    rows = [(*texts[n % 3], label) for n, label in enumerate(train)]
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "dev.csv", [(*texts[0], "1"), (*texts[1], "0")])
    task = found_in(tmp_path)
    assert task.labels == ("0", "1")
    invalid = InvalidRows("leave_out")
    found = read_examples(task, tmp_path, "train", invalid_rows=invalid)
    assert [one.target for one in found] == [1.0, 0.0]
    assert invalid.counts == {"unknown label": 1}
    assert [one.target for one in read_examples(task, tmp_path, "dev")] == [1.0, 0.0]


def test_a_folder_may_have_brackets_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "data[1]"
    folder.mkdir()
    declare(folder)
    for shard in range(2):
        write_parquet(folder / f"train-0000{shard}-of-00002.parquet", ROWS[shard:])
        write_parquet(folder / f"test-0000{shard}-of-00002.parquet")
    task = found_in(folder)
    assert task.labels == ("fine", "wet")
    assert task.test[0].is_labelled


def test_class_numbers_have_the_names_of_the_parquet_file_or_of_the_card(tmp_path: Path) -> None:
    declare(tmp_path)
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", NUMBERED, features=CLASSES)
    task = found_in(tmp_path)
    assert (task.labels, task.class_names) == (("wet", "fine"), ())
    assert task.labels_from == "data/train-*-of-00001.parquet"
    (tmp_path / "data/train-00000-of-00001.parquet").unlink()
    (tmp_path / "README.md").write_text(CARD)
    targets = [float(row[3]) for row in NUMBERED]
    writers = {"a.csv": write_csv, "a.jsonl": write_jsonl, "a.parquet": write_parquet}
    for name, write in writers.items():
        declare(tmp_path, f"{DECLARATION}train: {name}\ndev: {name}\n")
        write(tmp_path / name, NUMBERED)
        task = found_in(tmp_path)
        assert (task.labels, task.labels_from) == (("wet", "fine"), "README.md")
        assert [one.target for one in read_examples(task, tmp_path, "train")] == targets
    # Labels that are declared stay, and the numbers stand for them.
    declare(tmp_path, f"{DECLARATION}labels: [fine, wet]\ntrain: a.csv\ndev: a.csv\n")
    task = found_in(tmp_path)
    assert (task.labels, task.labels_from) == (("fine", "wet"), "")
    assert [one.target for one in read_examples(task, tmp_path, "dev")] == [1 - t for t in targets]


def test_names_of_the_card_are_as_they_are_written(tmp_path: Path) -> None:
    declare(tmp_path)
    (tmp_path / "README.md").write_text(CARD.replace("wet", "no").replace("fine", "yes"))
    write_csv(tmp_path / "train.csv", NUMBERED)
    assert found_in(tmp_path).labels == ("no", "yes")


def test_numbers_that_are_names_of_other_classes_stand_for_themselves(tmp_path: Path) -> None:
    declare(tmp_path, f"{DECLARATION}train: a.csv\ndev: a.csv\n")
    (tmp_path / "README.md").write_text(CARD.replace("wet", "1").replace("fine", "2"))
    write_csv(tmp_path / "a.csv", NUMBERED)
    task = found_in(tmp_path)
    assert (task.labels, task.class_names) == (("0", "1"), ())
    targets = [float(row[3]) for row in NUMBERED]
    assert [one.target for one in read_examples(task, tmp_path, "train")] == targets
    declared = f"{DECLARATION}labels: [1, 2]\nclass_names: [1, 2]\ntrain: a.csv\ndev: a.csv\n"
    declare(tmp_path, declared)
    with pytest.raises(InputError, match=r"a\.csv, line 2: got label '0', expected one of 1, 2"):
        read_examples(found_in(tmp_path), tmp_path, "train")


def test_class_names_of_the_declaration_hold_where_the_card_has_none(tmp_path: Path) -> None:
    declared = f"{DECLARATION}labels: [fine, wet]\nclass_names: [fine, wet]\n"
    declare(tmp_path, f"{declared}train: a.csv\ndev: a.csv\n")
    write_csv(tmp_path / "a.csv", NUMBERED)
    task = found_in(tmp_path)
    assert task.class_names == ("fine", "wet")
    targets = [float(row[3]) for row in NUMBERED]
    assert [one.target for one in read_examples(task, tmp_path, "train")] == targets
    (tmp_path / "README.md").write_text(CARD)
    assert found_in(tmp_path).class_names == ("wet", "fine")


@pytest.mark.parametrize(
    ("labels", "is_another", "rows"),
    [
        ("labels: [wet, fine]\n", False, ROWS),
        ("labels: [0, 1]\n", False, NUMBERED),
        ("labels: [bad, good]\n", False, ROWS),
        ("labels: [fine, wet]\n", True, ROWS),
    ],
)
def test_a_card_is_part_of_the_fingerprint_only_where_it_changes_labels(
    labels: str, is_another: bool, rows: Sequence[Sequence[object]], tmp_path: Path
) -> None:
    declare(tmp_path, f"{DECLARATION}{labels}train: a.csv\ndev: a.csv\n")
    write_csv(tmp_path / "a.csv", rows)
    before = found_in(tmp_path)
    (tmp_path / "README.md").write_text(CARD)
    after = found_in(tmp_path)
    assert after.class_names == ("wet", "fine")
    is_changed = task_fingerprint(after, tmp_path) != task_fingerprint(before, tmp_path)
    assert is_changed == is_another


def test_what_labels_are_from_is_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv")
    fingerprints = set()
    for labels in ("", "labels: [fine, wet]\n"):
        declare(tmp_path, DECLARATION + labels)
        fingerprints.add(task_fingerprint(found_in(tmp_path), tmp_path))
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    "card",
    [
        "# Weather\n",
        "---\n: [\n---\n",
        "---\ndataset_info: {features: 3}\n---\n",
        CARD.replace("name: label", "name: other"),
        CARD.replace("class_label", "value"),
    ],
)
def test_a_readme_of_another_kind_names_no_classes(card: str, tmp_path: Path) -> None:
    declare(tmp_path)
    (tmp_path / "README.md").write_text(card)
    write_csv(tmp_path / "train.csv", NUMBERED)
    assert found_in(tmp_path).labels == ("0", "1")


def test_tags_are_those_of_the_sentences_or_of_the_card(tmp_path: Path) -> None:
    declare(tmp_path, "name: ner\nkind: token_classification\nmetrics: [f1]\n")
    (tmp_path / "train.conll").write_text("Ann B-PER\nLee I-PER\nsaw O\n\nRome B-LOC\n")
    task = found_in(tmp_path)
    assert task.labels == ("B-LOC", "B-PER", "I-PER", "O")
    assert read_sentences(dataclasses.replace(task, dev=task.train), tmp_path, "train")
    (tmp_path / "train.conll").unlink()
    declare(
        tmp_path,
        "name: ner\nkind: token_classification\ntexts: [tokens]\nlabel: ner_tags\n"
        "metrics: [f1]\ntrain: train.jsonl\ndev: train.jsonl\n",
    )
    (tmp_path / "train.jsonl").write_text(json.dumps({"tokens": ["a", "b"], "ner_tags": [1, 0]}))
    with pytest.raises(InputError, match=r"got tag '0' with metrics f1"):
        found_in(tmp_path)
    (tmp_path / "README.md").write_text(
        "---\ndataset_info:\n- features:\n  - name: ner_tags\n    sequence:\n      class_label:\n"
        "        names: {'0': O, '1': B-PER}\n---\n"
    )
    task = found_in(tmp_path)
    assert task.labels == ("O", "B-PER")
    assert read_sentences(task, tmp_path, "train")[0].tags == (1, 0)


def test_labels_that_apply_together_are_found_one_by_one(tmp_path: Path) -> None:
    declare(tmp_path, "name: w\nkind: multi_label\ntexts: [text]\nmetrics: [micro_f1]\n")
    write_jsonl(tmp_path / "train.jsonl", [(*row[:3], ["b", row[3]]) for row in ROWS])
    assert found_in(tmp_path).labels == ("b", "fine", "wet")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0.5", "1.0", "2.5"], r"there are scores such as 0\.5 in its rows; .* kind: regression"),
        (
            ["wet", "fine", "nan"],
            r"labels such as 'nan' in its rows, .*skipped_labels leaves these",
        ),
        (["", "", ""], r"there are none in the column 'label' of its rows; declare them, as in"),
        (["wet", "wet", "wet"], "got labels wet, expected 2 or more different ones"),
    ],
)
def test_what_are_no_labels_is_refused(labels: list[str], message: str, tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(
        tmp_path / "train.csv", [(*row[:3], one) for row, one in zip(ROWS, labels, strict=True)]
    )
    with pytest.raises(InputError, match=f"task weather: .*{message}"):
        found_in(tmp_path)
    write_csv(tmp_path / "train.csv", [(str(n), "a", "b", f"x{n}") for n in range(1001)])
    with pytest.raises(InputError, match="there are over 1,000 different labels in its rows"):
        found_in(tmp_path)


def test_why_no_row_has_a_label_is_told(tmp_path: Path) -> None:
    declare(tmp_path)
    (tmp_path / "train.json").write_text('{"text": {"0": "a"}, "text_b": {"0": "b"}, "label": {}}')
    message = (
        r"in the column 'label' of its rows \(the first that .* line 1: got an object as 'text'"
    )
    with pytest.raises(InputError, match=message):
        found_in(tmp_path)


def test_rows_that_cannot_be_used_are_told_where_a_label_is_missing(tmp_path: Path) -> None:
    declare(tmp_path)
    (tmp_path / "train.csv").write_text("text,text_b,label\na, b,c,wet\na,b,fine\n")
    message = r"none but fine in .*train\.csv, line 2: got 4 columns, expected 3 as in the header"
    with pytest.raises(InputError, match=message):
        found_in(tmp_path)
    declare(tmp_path, "name: w\nkind: token_classification\nmetrics: [f1]\ntrain: a.conll\n")
    (tmp_path / "a.conll").write_text("a B-X\nb O\n\u00a0\nc O\n")
    with pytest.raises(InputError, match=r"a\.conll, line 3: got 1 columns .*, expected 2 as in"):
        found_in(tmp_path)


def test_numbers_of_rows_without_a_label_are_told_to_be_skipped(tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "dev.csv", [*ROWS, ("9", "c", "d", "-1")])
    with pytest.raises(InputError, match=r"dev\.csv, line 5: .*declare skipped_labels: \['-1'\]"):
        read_examples(found_in(tmp_path), tmp_path, "dev")
    declare(tmp_path, f"{DECLARATION}skipped_labels: ['-1']\n")
    assert len(read_examples(found_in(tmp_path), tmp_path, "dev")) == len(ROWS)


def test_white_space_around_a_label_makes_no_other_label(tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(tmp_path / "train.csv", [("1", "a", "b", " wet"), *ROWS, ("9", "c", "d", "wet ")])
    assert found_in(tmp_path).labels == ("fine", "wet")
    declare(tmp_path, f"{DECLARATION}labels: [fine, wet]\ndev: train.csv\n")
    examples = read_examples(found_in(tmp_path), tmp_path, "dev")
    assert (examples[0].target, examples[-1].target) == (1.0, 1.0)


def test_white_space_around_a_name_in_the_header_makes_no_other_name(tmp_path: Path) -> None:
    declare(tmp_path)
    rows = "".join(f"a{n}, b, {('wet', 'fine')[n % 2]}\n" for n in range(40))
    (tmp_path / "train.csv").write_text(f"text, text_b, label\n{rows}")
    (tmp_path / "test.csv").write_text("text, text_b, label\na, b, wet\n")
    task = found_in(tmp_path)
    assert (task.labels, task.test[0].is_labelled) == (("fine", "wet"), True)
    assert [example.target for example in read_examples(task, tmp_path, "test")] == [1.0]


def test_signs_for_no_label_in_a_test_file_are_told_to_be_declared(tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "test.csv", [("9", "c", "d", "?")])
    with pytest.raises(
        InputError, match=r"got label '\?', .*; if the test rows .* is_labelled: fa"
    ):
        read_examples(found_in(tmp_path), tmp_path, "test")


def test_labels_that_differ_in_case_alone_must_be_declared(tmp_path: Path) -> None:
    declare(tmp_path)
    write_csv(tmp_path / "train.csv", [*ROWS, ("9", "c", "d", "Wet")])
    message = r"'wet' and 'Wet' in its rows, which differ in case alone; declare them, as in"
    with pytest.raises(InputError, match=message):
        found_in(tmp_path)
    declare(tmp_path, f"{DECLARATION}labels: [Wet, fine, wet]\n")
    assert found_in(tmp_path).labels == ("Wet", "fine", "wet")


def test_a_declaration_alone_needs_labels(tmp_path: Path) -> None:
    declare(tmp_path)
    with pytest.raises(InputError, match="task weather: got no labels, and no training files"):
        named_task(str(tmp_path / "task.yaml"))
    with pytest.raises(InputError, match="task w: got no labels"):
        read_examples(Task(name="w", texts=(0,), metrics=("accuracy",)), tmp_path, "train")
