"""A fine-tuning that ends early: killed and continued, in the precision it began with."""

import json
from typing import Any

import keras
import numpy as np
import pytest

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.errors import InputError, StepFailedError
from albert_core.finetuning import models, trials
from albert_core.training.compute import ComputeSettings
from tests.helpers.finetuning_cases import InterruptedHereError
from tests.helpers.tiny_tasks import NUM_TRAIN, weights_of

pytestmark = pytest.mark.slow


def test_a_killed_fine_tuning_ends_like_one_that_was_not(tune, ends_alike):
    settings = {"num_seeds": 2, "num_train_steps": 6, "num_evaluations": 3}
    settings["num_probe_examples"] = NUM_TRAIN
    tune("topic", output="undisturbed", **settings)

    seen = []

    def is_due(done: int, text: str) -> bool:
        seen.append(done)
        return seen.count(4) == 2  # in the second seed's training

    assert ends_alike(is_due, **settings)


def test_a_fine_tuning_with_a_short_last_interval_ends_the_same_when_it_was_killed(
    tune, ends_alike, tmp_path
):
    settings = {"num_train_steps": 8, "evaluation_interval_steps": 3}
    tune("topic", output="undisturbed", **settings)
    rows = (tmp_path / "undisturbed/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["global_step"] for row in rows] == [0, 3, 6, 8]

    assert ends_alike(lambda done, text: done == 6, **settings)


def test_a_fine_tuning_goes_on_in_the_precision_it_began_with(tune, tmp_path, monkeypatch):
    settings = {"num_train_steps": 4, "num_evaluations": 2}
    machine = "albert_core.training.compute_choice.possible_settings"

    def on(precision: str) -> None:
        possible = (ComputeSettings(precision=precision, jit_compile=JITS_VARYING_LENGTHS),)
        monkeypatch.setattr(machine, lambda *_, **__: possible)

    def interrupt(done: int, total: int, text: str) -> None:
        if done > 2:  # where the first checkpoint is
            raise InterruptedHereError

    on("bfloat16")
    assert (
        tune("topic", output="undisturbed", **settings).metrics["training_precision"] == "bfloat16"
    )
    with pytest.raises(InterruptedHereError):
        tune("topic", output="disturbed", progress=interrupt, **settings)
    on("float32")  # as if the folder had been moved to another machine
    continued = tune("topic", output="disturbed", **settings)
    assert continued.metrics["training_precision"] == "bfloat16"
    assert continued.metrics["training_jit_compile"] == JITS_VARYING_LENGTHS
    undisturbed, disturbed = (weights_of(tmp_path / n) for n in ("undisturbed", "disturbed"))
    assert all(np.array_equal(undisturbed[key], disturbed[key]) for key in undisturbed)


def test_an_error_leaves_the_process_in_full_precision(tune):
    def fail(done: int, total: int, text: str) -> None:
        if keras.config.dtype_policy().name == "mixed_bfloat16":
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        tune("topic", progress=fail, precision="bfloat16")
    assert keras.config.dtype_policy().name == "float32"


def test_every_trial_computes_in_the_precision_of_the_settings(tune, monkeypatch):
    made = []

    def new_task_model(*arguments: Any) -> keras.Model:
        made.append(models.new_task_model(*arguments))
        return made[-1]

    monkeypatch.setattr(trials, "new_task_model", new_task_model)
    tune("topic", precision="bfloat16", num_train_steps=2, num_seeds=2)
    assert [model.bert.compute_dtype for model in made] == ["bfloat16", "bfloat16"]


def test_training_ends_when_it_gets_no_better(tune, tmp_path):
    figures = tune(
        "topic", learning_rate=1e-9, num_train_steps=20, num_evaluations=10, patience=2
    ).metrics
    rows = (tmp_path / "topic/metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3
    assert figures["global_step"] == 2


def test_a_diverging_training_says_so(tune):
    with pytest.raises((StepFailedError, InputError), match="loss"):
        tune("sea", learning_rate=1e30, num_train_steps=20)
