"""A fine-tuning that lasts minutes: its steps, evaluations and end, and what wins over what."""

import json

import pytest

from albert_core.errors import InputError
from albert_core.finetuning import plan
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import TASKS
from albert_core.training.session import TrainingSession
from tests.helpers.tiny_tasks import NUM_DEV

pytestmark = pytest.mark.slow

MINUTES = {"train_minutes": 2 / 60, "num_train_steps": 5, "warmup_ratio": 0.25, "seed": 3}


@pytest.mark.parametrize(
    ("settings", "evaluated"),
    [
        # By the clock below 20 steps fit, less the two evaluations: each takes as long as a third
        # of the steps that the dev set would fill.
        ({"num_evaluations": 2}, [9, 18]),
        ({"evaluation_interval_steps": 8}, [0, 8, 16, 20]),
    ],
)
def test_a_fine_tuning_by_minutes_ends_with_them_and_the_same_when_it_was_killed(
    tune, ends_alike, tmp_path, monkeypatch, settings, evaluated
):
    clock = property(lambda session: 0.1 * session.state.step)
    monkeypatch.setattr(TrainingSession, "seconds", clock)
    monkeypatch.setattr(plan, "_LOG_STEPS_BY_MINUTES", 1)
    monkeypatch.setattr(plan, "_FORWARD_PART", 16 / NUM_DEV)  # an evaluation is one step long
    settings = {**MINUTES, **settings}
    figures = tune("topic", output="undisturbed", **settings).metrics
    rows, log = (
        [json.loads(row) for row in (tmp_path / "undisturbed" / name).read_text().splitlines()]
        for name in ("metrics.jsonl", "training_log.jsonl")
    )
    assert [row["global_step"] for row in rows] == evaluated
    assert figures["num_train_steps"] == evaluated[-1]
    assert figures["start_warmup_step"] == 3  # the first is compiled, two more measure the speed
    assert figures["num_warmup_steps"] == evaluated[-1] // 4
    rates = [row["learning_rate"] for row in log]
    assert rates[:4] == pytest.approx([0, 0, 0, 0.003 / figures["num_warmup_steps"]])
    assert rates[-1] == 0

    assert ends_alike(lambda done, text: done == evaluated[-2] and "accuracy" in text, **settings)


def test_too_few_minutes_for_the_warmup_are_refused_with_a_remedy(tune, monkeypatch):
    clock = property(lambda session: 0.1 * session.state.step)
    monkeypatch.setattr(TrainingSession, "seconds", clock)
    with pytest.raises(InputError, match=r"finetuning.train_minutes: got time for about .* steps"):
        tune("topic", train_minutes=0.5 / 60, num_warmup_steps=40)


def test_minutes_win_over_the_recipes_steps_and_a_tasks_own_steps_over_the_minutes():
    task = TASKS["rte"]
    timed = FinetuningConfig(recipe="original", train_minutes=5).for_task(task)
    assert timed.train_minutes == 5
    assert timed.num_train_steps is None
    assert timed.num_warmup_steps is None  # a fraction, as there may be fewer steps
    assert timed.warmup_ratio == pytest.approx(
        task.recipe.num_warmup_steps / task.recipe.num_train_steps
    )
    own = {"rte": {"num_epochs": 2.0}}
    assert FinetuningConfig(train_minutes=5, per_task=own).for_task(task).train_minutes is None
    with pytest.raises(InputError, match=r"finetuning.train_minutes: got 0, expected"):
        FinetuningConfig(train_minutes=0)
