"""A dev set that is split off: the same rows every time, of every class, none in training."""

import collections
import dataclasses
import json
import random
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.data_checks import check_task_data
from albert_core.tasks import (
    Example,
    InvalidRows,
    Question,
    Source,
    Task,
    read_examples,
    task_fingerprint,
)
from albert_core.tasks.dev_split import choose_dev_rows

TASK = Task(
    name="own",
    texts=("text",),
    labels=("a", "b", "c"),
    metrics=("accuracy",),
    train=(Source(file="train.jsonl"),),
    dev=(),
)


def rows_of(*counts: int) -> list[Example]:
    """Return rows with as many texts of each class, mixed."""
    rows = [
        Example(id=f"{label} {number}", texts=(f"Text {label} {number}.",), target=float(label))
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    random.Random(1).shuffle(rows)
    return rows


def chosen(task: Task, rows: list) -> set[str]:
    return {row.id for row, is_dev in zip(rows, choose_dev_rows(task, rows), strict=True) if is_dev}


def test_the_fraction_is_drawn_of_every_class() -> None:
    rows = rows_of(700, 200, 100)
    dev = [row for row in rows if row.id in chosen(TASK, rows)]
    assert collections.Counter(row.target for row in dev) == {0: 70, 1: 20, 2: 10}
    half = chosen(dataclasses.replace(TASK, dev_fraction=0.5), rows)
    assert len(half) == 500


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_the_rows() -> None:
    rows = rows_of(60, 40)
    dev = chosen(TASK, rows)
    assert chosen(TASK, rows[::-1]) == dev == chosen(TASK, sorted(rows, key=lambda row: row.id))
    assert chosen(dataclasses.replace(TASK, dev_seed=7), rows) != dev
    recorded = ["0 0", "0 20", "0 21", "0 50", "0 55", "0 7", "1 19", "1 27", "1 28", "1 7"]
    assert sorted(dev) == recorded


def test_equal_texts_are_on_one_side_whatever_their_case_and_label() -> None:
    rows = rows_of(50, 50)
    again = [
        dataclasses.replace(
            row, id=f"{row.id} again", texts=(row.texts[0].upper() + " ",), target=1.0
        )
        for row in rows
    ]
    dev = chosen(TASK, [*rows, *again])
    assert dev
    for row in rows:
        assert (row.id in dev) == (f"{row.id} again" in dev)


def test_a_pair_in_the_other_order_is_the_same_pair() -> None:
    rows = [
        Example(id=f"{number} {order}", texts=(f"a {number}", f"b {number}")[::order], target=0.0)
        for number in range(20)
        for order in (1, -1)
    ]
    dev = {identifier.split()[0] for identifier in chosen(TASK, rows)}
    assert len(chosen(TASK, rows)) == 2 * len(dev) == 4


def test_a_class_is_never_left_without_training_rows() -> None:
    task = dataclasses.replace(TASK, dev_fraction=0.5)
    rows = rows_of(1, 2, 30)
    dev = chosen(task, rows)
    assert not [one for one in dev if one.startswith("0")]
    assert len([one for one in dev if one.startswith("1")]) == 1


def test_scores_labels_choices_and_questions_are_split_by_what_they_are() -> None:
    scores = dataclasses.replace(TASK, kind="regression", labels=(), metrics=("pearson",))
    rows = [Example(id=str(n), texts=(f"t {n}",), target=float(n % 100)) for n in range(200)]
    values = sorted(int(one) % 100 // 10 for one in chosen(scores, rows))
    assert values == [tenth for tenth in range(10) for _ in range(2)]  # of every tenth as many
    several = dataclasses.replace(TASK, kind="multi_label", metrics=("micro_f1",))
    rare = [
        Example(id=str(n), texts=(f"t {n}",), target=tuple(map(float, f"{n:06b}")))
        for n in range(40)
    ]
    assert len(chosen(several, rare)) == 4  # though no two have the same labels
    choices = dataclasses.replace(
        TASK, kind="multiple_choice", texts=("text", "choices"), labels=()
    )
    rows = [
        Example(id=f"{n} {k}", texts=(f"passage {n}", f"x {k}", "y"), target=0.0)
        for n in range(20)
        for k in range(3)
    ]
    assert len(chosen(choices, rows)) == 6
    assert len({one.split()[0] for one in chosen(choices, rows)}) == 2
    questions = [
        Question(id=f"{n} {k}", question=f"q {k}", context=f"context {n}", is_impossible=k == 0)
        for n in range(20)
        for k in range(3)
    ]
    asked = dataclasses.replace(
        choices, kind="question_answering", texts=(), metrics=("f1",), has_unanswerable=True
    )
    assert len({one.split()[0] for one in chosen(asked, questions)}) == 2


def write_rows(folder: Path, *rows: dict) -> None:
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_no_row_is_in_both_sets_and_none_is_lost(tmp_path: Path) -> None:
    write_rows(tmp_path, *({"text": f"Text {n}", "label": "abc"[n % 3]} for n in range(90)))
    train, dev = (read_examples(TASK, tmp_path, split) for split in ("train", "dev"))
    assert (len(train), len(dev)) == (81, 9)
    assert sorted(int(row.id) for row in (*train, *dev)) == list(range(90))
    said: list[str] = []
    check_task_data(TASK, tmp_path, FinetuningConfig(), say=said.append)
    assert said == [
        "own: train: train.jsonl (JSON lines); dev: 10 % of the training rows, split off by label "
        "with seed 12345"
    ]


def test_rows_that_are_left_out_are_left_out_of_both(tmp_path: Path) -> None:
    rows = [{"text": f"Text {n}", "label": "abc"[n % 3]} for n in range(90)]
    write_rows(tmp_path, *rows, {"text": "", "label": "a"}, {"text": "x", "label": "d"})
    with pytest.raises(InputError, match=r"train\.jsonl, line 91: got an empty text"):
        read_examples(TASK, tmp_path, "dev")
    for split, count in (("train", 81), ("dev", 9)):
        invalid = InvalidRows.for_split(TASK, split, leaves_out=True)
        assert len(read_examples(TASK, tmp_path, split, invalid_rows=invalid)) == count
        assert invalid.counts.total() == 2


def test_too_few_rows_are_refused_and_so_is_an_impossible_fraction(tmp_path: Path) -> None:
    write_rows(tmp_path, *({"text": f"Text {n}", "label": "a"} for n in range(4)))
    with pytest.raises(InputError, match=r"got 4 rows, of which dev_fraction 0\.1 splits off none"):
        read_examples(TASK, tmp_path, "train")
    for fraction in (0, 0.6, -1, float("nan")):
        with pytest.raises(InputError, match=r"got dev_fraction .*above 0 and at most"):
            dataclasses.replace(TASK, dev_fraction=fraction)
    with pytest.raises(InputError, match=r"got dev_seed 7 with the dev files dev\.tsv, expec"):
        dataclasses.replace(TASK, dev=(Source(file="dev.tsv"),), dev_seed=7)


def test_fraction_and_seed_belong_to_the_fingerprint(tmp_path: Path) -> None:
    write_rows(tmp_path, {"text": "Text", "label": "a"})
    tasks = [
        TASK,
        dataclasses.replace(TASK, dev_seed=1),
        dataclasses.replace(TASK, dev_fraction=0.2),
    ]
    assert len({task_fingerprint(task, tmp_path) for task in tasks}) == 3
