"""Rows of a task that cannot be used, and a dev set that is split off."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from albert_core.errors import InputError
from albert_core.tasks import Source
from components.evaluate.step import evaluate
from tests.helpers.tiny_tasks import (
    NUM_TRAIN,
    TINY_TASKS,
    WHOLE,
    rows_of,
    squad_file,
)

pytestmark = pytest.mark.slow


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"label": "sky"}, "unknown label"),
        ({"text": "  "}, "empty text"),
        ({"text": None}, "missing key"),
    ],
)
def test_unusable_rows_are_refused_or_counted(change, cause, tune, tasks, tmp_path):
    rows = rows_of(tasks, "topic")
    rows[4] = {key: v for key, v in {**rows[4], **change}.items() if v is not None}
    data = write_rows(tmp_path / "data", rows)
    (data / "dev.jsonl").write_text((tasks / "topic/dev.jsonl").read_text())
    with pytest.raises(InputError, match=r"train\.jsonl, line 5: got .*bad_rows"):
        tune("topic", data=data, num_train_steps=2)
    figures = tune("topic", data=data, num_train_steps=2, bad_rows="leave_out").metrics
    assert figures[f"num_left_out ({cause})"] == 1
    assert figures["num_train"] == NUM_TRAIN - 1


def test_a_dev_set_that_is_split_off_is_scored_again_and_named(tune, tasks, tmp_path):
    data = write_rows(tmp_path / "data", rows_of(tasks, "topic"))
    (data / "dev.jsonl").unlink()
    task = dataclasses.replace(TINY_TASKS["topic"], dev=(), test=(), dev_fraction=0.25)
    figures = tune("topic", task=task, data=data, num_train_steps=2).metrics
    assert figures["num_train"] + figures["num_dev"] == NUM_TRAIN
    assert figures["num_dev"] == pytest.approx(NUM_TRAIN / 4, rel=0.1)  # equal texts together
    assert figures["data_files"] == (
        "train: train.jsonl (JSON lines); dev: 25 % of the training rows, split off by label with "
        "seed 12345"
    )
    scores = evaluate(model=tmp_path / "topic", data=data, output=tmp_path / "scores").metrics
    assert scores["accuracy"] == figures["accuracy"]


def test_ids_must_differ(tune, tasks, tmp_path):
    task = dataclasses.replace(TINY_TASKS["topic"], train=(Source(file="train.jsonl", id="id"),))
    rows = rows_of(tasks, "topic")
    rows[4]["id"] = rows[3]["id"]
    data = write_rows(tmp_path / "data", rows)
    (data / "dev.jsonl").write_text((tasks / "topic/dev.jsonl").read_text())
    with pytest.raises(InputError, match=r"line 5: got id '103' again"):
        tune("topic", task=task, data=data, num_train_steps=2)


def test_answers_outside_their_context_are_refused_or_counted(tune, tasks, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    content = json.loads((tasks / "whale/train.json").read_text())
    paragraphs = content["data"][0]["paragraphs"]
    paragraphs[7]["qas"][0]["answers"][0]["answer_start"] += 1
    for split in ("train", "dev"):
        (data / f"{split}.json").write_text(json.dumps(squad_file(paragraphs)))
    with pytest.raises(InputError, match=r"question q7: got answer 'WHALE' at character"):
        tune("whale", data=data, sequence_length=WHOLE)
    settings = {"num_train_steps": 2, "sequence_length": WHOLE, "bad_rows": "leave_out"}
    figures = tune("whale", data=data, **settings).metrics
    assert figures["num_left_out (answer not in context)"] == 1
