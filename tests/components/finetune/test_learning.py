"""Every kind of task is learned and scored again, on a small model from no pretraining."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.artifacts.manifest import read_manifest
from albert_core.finetuning.probe_results import read_probe
from components.evaluate.step import evaluate, read_baselines
from components.finetune.step import finetune
from tests.helpers.tiny_tasks import (
    NUM_DEV,
    NUM_TRAIN,
    SHORT,
    TINY_TASKS,
    rows_of,
    tiny_finetuning,
)

pytestmark = pytest.mark.slow
# What brings each kind far above a baseline without a model, whatever the seed.
ENOUGH: dict[str, dict[str, Any]] = {
    "topic": {"num_train_steps": 120, "learning_rate": 0.003, "sequence_length": SHORT},
    "sea": {"num_train_steps": 360, "learning_rate": 0.002, "sequence_length": SHORT},
    "held": {"num_train_steps": 720, "learning_rate": 0.008},
    "whale": {"num_train_steps": 240, "learning_rate": 0.003},
    "no-whale": {"num_train_steps": 240, "learning_rate": 0.003},
    "roles": {"num_train_steps": 120, "learning_rate": 0.003},
}


@pytest.fixture(scope="module")
def learned(tasks, model, tmp_path_factory) -> Callable[[str], Path]:
    """Fine-tune on a task by name with what is enough for it; each is done once."""
    folder = tmp_path_factory.mktemp("learned")

    def get(name: str) -> Path:
        if not (folder / name).is_dir():
            finetune(
                config=tiny_finetuning(**ENOUGH[name]),
                task=TINY_TASKS[name],
                data=tasks / name,
                pretrained=model,
                initialization="pretrained",
                output=folder / name,
            )
        return folder / name

    return get


@pytest.mark.parametrize("name", TINY_TASKS)
def test_every_kind_of_task_is_learned_and_scored_again(name, learned, tasks, tmp_path):
    figures = read_manifest(learned(name), step="finetune").metrics
    metric = TINY_TASKS[name].metrics[0]
    assert (figures["num_train"], figures["num_dev"]) == (NUM_TRAIN, NUM_DEV)
    assert figures[metric] > figures["majority_score"] + 0.3
    assert_probed(learned(name), figures)

    evaluated = evaluate(model=learned(name), data=tasks / name, output=tmp_path / "scores")
    scores = evaluated.metrics
    assert next(iter(scores)) == metric
    for own in TINY_TASKS[name].metrics:
        assert scores[own] == pytest.approx(figures[own], abs=2e-4)
    assert scores["low"] <= scores[metric] <= scores["high"]

    rows = [
        json.loads(line)
        for line in (tmp_path / "scores/examples_dev.jsonl").read_text().splitlines()
    ]
    assert len(rows) == NUM_DEV
    baselines = read_baselines(tmp_path / "scores")
    if TINY_TASKS[name].kind == "question_answering":
        assert not baselines
        assert np.mean([row["score"] for row in rows]) == pytest.approx(scores[metric], abs=1e-4)
        return
    assert scores["without_model_score"] == round(baselines["without_model"]["score"], 4)
    assert baselines["majority"]["score"] == pytest.approx(figures["majority_score"], abs=1e-4)
    assert {"label", "prediction", "without_model", "majority", "texts"} <= rows[0].keys()
    if metric == "accuracy":
        right = np.mean([row["label"] == row["prediction"] for row in rows])
        assert right == pytest.approx(scores[metric], abs=1e-4)


def assert_probed(folder: Path, figures: dict[str, Any]) -> None:
    """Check that the model was probed before fine-tuning; for questions and tags it is not."""
    probe = read_probe(folder)
    if "whale" in folder.name or folder.name == "roles":
        assert not probe
        assert "probe_score" not in figures
        return
    assert (probe["num_train"], probe["num_dev"]) == (NUM_TRAIN, NUM_DEV)
    assert len(probe["pretrained"]["layers"]) == len(probe["random_weights"]["layers"]) == 1
    assert figures["probe_score"] == round(probe["pretrained"]["best_score"], 4)
    assert figures["probe_random_weights_score"] > 0


def test_predictions_and_what_glue_takes(learned, tasks, tmp_path):
    evaluate(model=learned("topic"), data=tasks / "topic", output=tmp_path / "scores")
    header, *rows = (tmp_path / "scores/predictions_dev.tsv").read_text().splitlines()
    assert header.split("\t") == ["id", "prediction", "sea", "farm", "town"]
    labels = [row["label"] for row in rows_of(tasks, "topic", "dev")]
    cells = [row.split("\t") for row in rows]
    assert [own[0] for own in cells] == [str(number) for number in range(NUM_DEV)]
    right = np.mean([own[1] == label for own, label in zip(cells, labels, strict=True)])
    metrics = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert right == pytest.approx(metrics["accuracy"])
    assert sum(map(float, cells[0][2:])) == pytest.approx(1, abs=1e-4)
    submitted = (tmp_path / "scores/submission/Topic.tsv").read_text().splitlines()
    assert submitted[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in submitted[1:]] == [str(n) for n in range(100, 107)]


def test_answers_are_written_as_the_original_writes_them(learned, tasks, tmp_path):
    scores = evaluate(model=learned("no-whale"), data=tasks / "no-whale", output=tmp_path / "s")
    read = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "s").glob("*.json")}
    predictions, n_best = read["predictions_dev"], read["nbest_predictions_dev"]
    assert predictions.keys() == n_best.keys() == read["null_odds_dev"].keys()
    for key, answer in predictions.items():
        assert answer in ("", n_best[key][0]["text"])
    assert {"answerable_f1", "none_f1", "null_threshold"} <= scores.metrics.keys()
    curve = (tmp_path / "s/threshold_curve_dev.tsv").read_text().splitlines()
    assert curve[0].split("\t") == ["threshold", "f1", "exact"]
    best = max(float(line.split("\t")[1]) for line in curve[1:])
    assert best == pytest.approx(scores.metrics["f1"], abs=0.03)


def test_bfloat16_learns_as_well(tune, learned):
    full = read_manifest(learned("topic"), step="finetune").metrics["accuracy"]
    half = tune("topic", precision="bfloat16", **ENOUGH["topic"]).metrics["accuracy"]
    assert min(full, half) > 0.5
    assert full == pytest.approx(half, abs=0.1)
