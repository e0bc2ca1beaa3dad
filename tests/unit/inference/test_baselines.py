"""Baselines of a dev set are scored by the same metrics as the model."""

import json
import types

import numpy as np
import pytest

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.features import Features
from albert_core.finetuning.task_preprocessor import TaskData
from albert_core.inference.baselines import score_baselines
from albert_core.tasks import Source, Task, read_examples

TASK = Task(
    name="colour",
    train=(Source(file="train.jsonl"),),
    dev=(Source(file="dev.jsonl"),),
    texts=("text",),
    labels=("red", "blue"),
    metrics=("accuracy", "f1"),
)


@pytest.fixture
def data(tmp_path):
    rows = [
        {"text": f"a {label} thing {n % 5}", "label": label}
        for n in range(12)
        for label in ("red", "blue", "blue")
    ]
    for split, chosen in (("train", rows), ("dev", rows[:8])):
        text = "".join(json.dumps(row) + "\n" for row in chosen)
        (tmp_path / f"{split}.jsonl").write_text(text)
    return tmp_path


def test_words_and_the_most_frequent_label_are_scored(data):
    examples = read_examples(TASK, data, "dev")
    targets = {"target": np.array([example.target for example in examples])}
    dev = TaskData(examples=examples, features=Features.from_sequences([[1]] * 8, [1] * 8, targets))
    preprocessor = types.SimpleNamespace(task=TASK, config=FinetuningConfig())
    words, majority = score_baselines(preprocessor, data, dev)
    assert (words.name, words.score, words.num_train) == ("without_model", 1.0, 36)
    assert words.predictions == targets["target"].tolist()
    assert majority.name == "majority"
    assert set(majority.predictions) == {1}
    assert majority.score == pytest.approx(5 / 8)
    assert majority.low <= majority.score <= majority.high
    assert json.dumps(majority.description())
