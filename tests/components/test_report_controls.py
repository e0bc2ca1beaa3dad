"""A task's controls in the report: tuned as the model is, compared over seeds, or left out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest, OutputFolder
from albert_core.files.atomic import write_json
from albert_core.finetuning.probe_results import (
    EncoderScores,
    FrozenProbe,
    Gain,
    LayerScore,
    describe_probe,
    probe_metrics,
)
from components.report.page import render_page, task_details
from components.report.significance import SeedScores, widen_by_seeds
from components.report.summary import TaskSummary
from components.report.task_summaries import summarise_tasks
from components.report.verdict import judge
from tests.helpers.report_pages import Page, make_run

NUM_DEV = 200
GRID = {"grid_learning_rates": [1e-4, 3e-4], "num_seeds": 3, "seed": 1}


def make_manifest(step: str, config: dict[str, Any], metrics: dict[str, Any]) -> Manifest:
    return Manifest(
        step=step,
        fingerprint="",
        code_version="",
        config=config,
        inputs={"data": "files"},
        files={},
        metrics=metrics,
        seconds=1.0,
    )


def make_outputs(
    folder: Path, initialization: str, num_right: int, settings: dict[str, Any], **tuned: Any
) -> dict[str, OutputFolder]:
    """Write what the report reads of a task's run; of the dev examples the first ones are right."""
    for name in ("model", "evaluation"):
        (folder / name).mkdir(parents=True)
        for log in ("metrics.jsonl", "training_log.jsonl"):
            (folder / name / log).write_text("")
    task = {"name": "topic", "texts": ["text"], "labels": ["no", "yes"], "metrics": ["accuracy"]}
    write_json(folder / "model" / "task.json", task)
    rows = [
        {
            "id": str(number),
            "source": "",
            "texts": ["a"],
            "label": number % 2,
            "prediction": number % 2 if number < num_right else 1 - number % 2,
            "probabilities": [0.5, 0.5],
        }
        for number in range(NUM_DEV)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "evaluation" / "examples_dev.jsonl").write_text(text)
    config = {"task": "topic", "initialization": initialization, "finetuning": settings}
    score = num_right / NUM_DEV
    counts = {"majority_score": 0.5, "num_train": 9000, "num_dev": NUM_DEV}
    evaluated = {"accuracy": score, "score": score, "low": score - 0.06, "high": score + 0.06}
    return {
        "finetune": OutputFolder(
            folder / "model",
            make_manifest("finetune", config, {"accuracy": score, **counts, **tuned}),
        ),
        "evaluate": OutputFolder(
            folder / "evaluation", make_manifest("evaluate", config, evaluated)
        ),
    }


def summarise(*outputs: dict[str, OutputFolder]) -> TaskSummary:
    models, evaluations = (
        [output[step] for output in outputs] for step in ("finetune", "evaluate")
    )
    (task,) = summarise_tasks(models, evaluations, {})
    return task


def test_one_training_of_each_is_compared_by_the_paired_interval_as_it_is(tmp_path):
    model = make_outputs(tmp_path / "a", "pretrained", 160, {})
    random = make_outputs(tmp_path / "b", "random", 130, {})
    one = summarise(model, random).difference_from("random_weights")
    assert (one.gain, one.is_paired, one.num_seeds) == (pytest.approx(0.15), True, 1)
    assert 0.1 < one.low < 0.15 < one.high < 0.2
    assert one.interval == pytest.approx((0.59, 0.71))


def test_of_several_seeds_the_means_are_compared_and_the_spread_widens_the_interval(tmp_path):
    seeds = {"num_seeds": 3, "accuracy_mean": 0.75, "accuracy_std": 0.05, "learning_rate": 1e-4}
    of_random = {**seeds, "accuracy_mean": 0.64, "accuracy_std": 0.01, "learning_rate": 3e-4}
    files = "train: a.csv (CSV); dev: 10 % of the training rows, split off by label with seed 1"
    model = make_outputs(tmp_path / "a", "pretrained", 160, GRID, **seeds, data_files=files)
    random = make_outputs(tmp_path / "b", "random", 130, GRID, **of_random)
    task = summarise(model, random)
    one = task.difference_from("random_weights")
    assert (one.score, one.num_seeds) == (0.64, 3)
    assert (one.gain, one.model_score) == (pytest.approx(0.11), pytest.approx(0.75))
    # The examples alone would show a gain; three seeds that differ so much do not.
    assert one.low < 0 < one.gain < one.high
    assert one.sign == 0
    verdict = judge(make_run(tasks=[task]))
    assert verdict.answer.startswith("It is not shown that pretraining paid")
    assert verdict.tasks["topic"].startswith(
        "75.0, the mean of 3 seeds, is within chance of random weights with the same head (64.0)"
    )
    lines = list(task_details(task))
    assert lines[0].endswith("from random weights mean 64.0, standard deviation 1.0")
    assert lines[1] == "Chosen learning rate: 0.0001; from random weights 0.0003"
    assert lines[-1] == f"Data: {files}"


@pytest.mark.parametrize(
    ("settings", "unequal"),
    [
        ({**GRID, "seed": 7}, []),
        ({**GRID, "num_epochs": 9}, ["num_epochs"]),
        ({"num_seeds": 3, "seed": 1}, ["grid_learning_rates"]),
    ],
)
def test_random_weights_that_were_tuned_otherwise_are_no_control(tmp_path, settings, unequal):
    model = make_outputs(tmp_path / "a", "pretrained", 160, {**GRID, "num_seeds": 3})
    random = make_outputs(tmp_path / "b", "random", 130, settings)
    task = summarise(model, random)
    assert task.random_weights_unequal_settings == unequal
    assert (task.random_weights_score is None) == bool(unequal)
    reasons = " ".join(judge(make_run(tasks=[task])).reasons)
    assert (f"with other settings ({', '.join(unequal)})" in reasons) == bool(unequal)


@pytest.mark.parametrize(
    ("of_model", "of_control", "said"),
    [
        (("bfloat16", False), ("bfloat16", False), ""),
        (("bfloat16", False), ("float32", True), "bfloat16 without XLA|float32 with XLA"),
        (("float32", True), ("float32", False), "float32 with XLA|float32 without XLA"),
        (("bfloat16", False), ("float32",), "bfloat16|float32"),  # of an earlier version
        (("bfloat16", False), (), ""),
    ],
)
def test_a_control_that_computed_otherwise_is_shown_and_that_is_said(
    tmp_path, of_model, of_control, said
):
    names = ("training_precision", "training_jit_compile")
    model = make_outputs(
        tmp_path / "a", "pretrained", 160, {}, **dict(zip(names, of_model, strict=False))
    )
    random = make_outputs(
        tmp_path / "b", "random", 130, {}, **dict(zip(names, of_control, strict=False))
    )
    task = summarise(model, random)
    assert task.random_weights_score == 0.65
    reasons = " ".join(judge(make_run(tasks=[task])).reasons)
    if said:
        first, second = said.split("|")
        expected = f"topic was fine-tuned in {first}, from random weights in {second}: some"
        assert expected in task.random_weights_other_compute
        assert expected in reasons
    else:
        assert task.random_weights_other_compute == ""
        assert "was fine-tuned in" not in reasons


def test_the_frozen_probe_is_shown_for_every_layer_and_summed_up(tmp_path):
    def scores(*values: float) -> EncoderScores:
        layers = [
            LayerScore(
                layer=number + 1,
                score=value,
                low=value - 0.02,
                high=value + 0.02,
                held_out_score=value,
                penalty=0.1,
            )
            for number, value in enumerate(values)
        ]
        return EncoderScores(
            layers=layers, best_layer=1, best_score=values[0], last_layer_score=values[-1]
        )

    probe = FrozenProbe(
        task="topic",
        metric="accuracy",
        num_train=12000,
        num_dev=NUM_DEV,
        sequence_length=64,
        seed=1,
        seconds=3.5,
        pretrained=scores(0.673, 0.639),
        random_weights=scores(0.628, 0.611),
        best_layer_gain=Gain(gain=0.045, low=0.01, high=0.08),
        last_layer_gain=Gain(gain=0.028, low=-0.01, high=0.06),
    )
    outputs = make_outputs(tmp_path / "a", "pretrained", 160, {})
    write_json(tmp_path / "a/model/frozen_probe.json", dataclasses.asdict(probe))
    task = summarise(outputs)
    run = make_run(tasks=[task])
    reasons = judge(run).reasons
    assert (
        "Frozen, read by a ridge regression: +4.5 points over random weights; better in 1 of 1 "
        "task, worse in 0, within chance in 0." in reasons
    )
    texts = " ".join(" ".join(Page(render_page(run)).texts).split())
    assert "trained on 12,000 examples" in texts
    assert "of random weights 1 (62.8): a gain of +4.5 (+1.0 to +8.0)" in texts
    assert "2 (last) 63.9 61.9 to 65.9 61.1 59.1 to 63.1" in texts
    assert describe_probe(probe) == (
        "frozen probe, accuracy: layer 1 67.3, last layer 63.9; random weights: layer 1 62.8, last "
        "layer 61.1 (3.5 s)"
    )
    assert probe_metrics(probe) == {
        "probe_score": 0.673,
        "probe_last_layer_score": 0.639,
        "probe_random_weights_score": 0.628,
    }


def test_intervals_over_seeds_are_students():
    seeds = [SeedScores(mean=0.7, std=0.03, num=3), SeedScores(mean=0.6, std=0.03, num=3)]
    # t(0.975, 4 degrees of freedom) = 2.776; standard error 0.03 * sqrt(2 / 3).
    half = 2.776445 * 0.03 * (2 / 3) ** 0.5
    low, high = widen_by_seeds((0.2, 0.2), around=0.2, centre=0.1, seeds=seeds)
    assert (low, high) == (pytest.approx(0.1 - half), pytest.approx(0.1 + half))
    single = [SeedScores(mean=0.7)]
    assert widen_by_seeds((0.21, 0.3), around=0.2, centre=0.2, seeds=single) == (0.21, 0.3)
