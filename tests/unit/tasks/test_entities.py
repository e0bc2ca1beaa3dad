"""Entities are those that seqeval finds, and their scores are seqeval's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.tasks import Task
from albert_core.tasks.entities import (
    Entity,
    count_entities,
    entity_types,
    find_entities,
    is_entity_tag,
)
from albert_core.tasks.token_metrics import TagScores

GOLDEN = Path(__file__).parents[2] / "parity/goldens/heads/seqeval.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["cases"]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_random_tags_are_scored_as_by_seqeval(number: int) -> None:
    case = CASES[number]
    true, predicted = ([line.split() for line in case[name]] for name in ("true", "predicted"))
    labels = tuple(dict.fromkeys(["O", "B-PER", *(t for s in true + predicted for t in s)]))
    names = ("f1", "precision", "recall", "macro_f1", "accuracy")
    task = Task(name="t", kind="token_classification", labels=labels, metrics=names)
    numbers = ([[labels.index(tag) for tag in tags] for tags in one] for one in (true, predicted))
    scores = TagScores(task, *numbers)
    found = scores.metrics(np.arange(len(true)))
    assert found == pytest.approx({name: case[name] for name in names}, abs=1e-12)
    rows = {row["label"]: row for row in scores.describe()["classes"]}
    for kind, values in case["types"].items():
        ours = [rows[kind][name] for name in ("precision", "recall", "f1", "num_examples")]
        assert ours == pytest.approx(values, abs=1e-12)


def test_scores_of_some_sentences_are_theirs_alone() -> None:
    task = Task(
        name="t",
        kind="token_classification",
        labels=("O", "B-A", "I-A"),
        metrics=("f1", "accuracy"),
    )
    scores = TagScores(task, [[1, 2], [0, 1], [0, 0]], [[1, 2], [1, 0], [0, 1]])
    assert scores.metrics(np.array([0])) == {"f1": 1.0, "accuracy": 1.0}
    assert scores.metrics(np.array([1, 1])) == {"f1": 0.0, "accuracy": 0.0}
    assert scores.metrics(np.array([0, 1])) == {"f1": 0.5, "accuracy": 0.5}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-PER I-PER O I-LOC", [("PER", 1, 2), ("LOC", 4, 4)]),
        ("I-PER I-PER B-PER", [("PER", 0, 1), ("PER", 2, 2)]),  # IOB1
        ("S-PER B-X-Y I-X-Y E-X-Y", [("PER", 0, 0), ("X-Y", 1, 3)]),
        ("B-PER I-LOC E-LOC I-LOC", [("PER", 0, 0), ("LOC", 1, 2), ("LOC", 3, 3)]),
        ("B I E O", [("_", 0, 2)]),
        ("O O", []),
        ("", []),
    ],
)
def test_entities_end_where_the_next_tag_cannot_go_on(tags: str, expected: list) -> None:
    assert list(find_entities(tags.split())) == [Entity(*one) for one in expected]


def test_types_are_those_of_the_tags() -> None:
    assert entity_types(("O", "B-b", "I-b", "S-a-c", "E")) == ("_", "a-c", "b")
    tags = [["B-b"]]
    counts = count_entities(tags, tags, ("a", "b")).over(np.array([0]))
    assert counts.right.tolist() == [0, 1]
    assert [is_entity_tag(tag) for tag in ("O", "E-x", "B")] == [True] * 3
    assert [is_entity_tag(tag) for tag in ("NN", "L-PER", "PER", "O-PER", "BX")] == [False] * 5
