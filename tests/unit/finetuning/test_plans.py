"""How long a task is trained and where it is evaluated; with `recipe: original` as the original."""

import dataclasses
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.features import Features
from albert_core.finetuning.plan import make_plan
from albert_core.finetuning.task_preprocessor import TaskData
from albert_core.finetuning.trials import trial_name
from albert_core.tasks import TASKS
from albert_core.training.checkpoint import TrainingState
from albert_core.training.minutes import UNSETTLED
from albert_core.training.plan import TrainingPlan
from albert_core.training.session import TrainingSession

# Steps, warm-up steps and steps between checkpoints, by run_glue.sh, the README and the flags.
ORIGINAL = {
    "sst-2": (20935, 1256, 100),
    "mnli": (10000, 1000, 100),
    "cola": (5336, 320, 100),
    "qnli": (33112, 1986, 200),
    "qqp": (14000, 1000, 100),
    "rte": (800, 200, 100),
    "sts-b": (3598, 214, 100),
    "mrpc": (800, 200, 100),
    "wnli": (1000, 0, 1000),
    "race": (12000, 1000, 100),
    "race-middle": (12000, 1000, 100),
    "race-high": (12000, 1000, 100),
}
RECIPE = FinetuningConfig(recipe="original")


def data_of(num_examples: int, num_sequences: int | None = None, sources: Sequence[str] = ("",)):
    """Return a split of examples that are all alike, spread over some files."""
    num_sequences = num_examples if num_sequences is None else num_sequences
    features = Features(
        ids=np.zeros(num_sequences, np.int32),
        begins=np.arange(num_sequences + 1),
        second_starts=np.ones(num_sequences, np.int32),
        whole_lengths=np.ones(num_sequences, np.int32),
        targets={},
    )
    examples = [
        types.SimpleNamespace(source=sources[number % len(sources)])
        for number in range(num_examples)
    ]
    return TaskData(examples=examples, features=features)


def plan_of(name: str, config: FinetuningConfig, train: TaskData, dev: Any = None) -> TrainingPlan:
    return make_plan(config.for_task(TASKS[name]), TASKS[name], train, dev or data_of(2))


def evaluated_steps(plan: TrainingPlan, folder: Path) -> list[int]:
    """Return the steps after which a training evaluates."""
    session = TrainingSession(types.SimpleNamespace(), TrainingState(), plan, folder)
    steps = []
    for step in range(plan.num_train_steps + 1):
        session.state.step = step
        if session.needs_evaluation:
            steps.append(step)
    return steps


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_originals_recipe_takes_its_steps_and_its_evaluations(name: str, tmp_path) -> None:
    steps, warmup, interval = ORIGINAL[name]
    config = RECIPE.for_task(TASKS[name])
    plan = plan_of(name, RECIPE, data_of(100))
    assert (plan.num_train_steps, config.num_warmup_steps) == (steps, warmup)
    expected = sorted({*range(0, steps, interval), steps})
    assert evaluated_steps(plan, tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "num_questions", "steps", "warmup", "evaluations"),
    [
        ("squad1", 87_599, 3649, 364, [0, 3649]),
        ("squad2", 130_319, 5429, 542, [0, 5000, 5429]),
    ],
)
def test_the_steps_of_squad_are_those_of_its_questions(
    name: str, num_questions: int, steps: int, warmup: int, evaluations: list[int], tmp_path
) -> None:
    """Not of its windows, and rounded down, as the warm-up."""
    config = RECIPE.for_task(TASKS[name])
    plan = plan_of(name, RECIPE, data_of(num_questions, num_questions + 1000))
    assert plan.num_train_steps == steps
    assert int(config.warmup_ratio * plan.num_train_steps) == warmup
    assert evaluated_steps(plan, tmp_path) == evaluations


def test_mnli_is_chosen_on_the_matched_set_as_in_the_original() -> None:
    both = data_of(4, sources=("matched", "mismatched"))
    assert plan_of("mnli", RECIPE, data_of(9), both).monitor == "matched_accuracy"
    assert plan_of("mnli", FinetuningConfig(), data_of(9), both).monitor == "accuracy"
    one = data_of(4, sources=("matched",))
    assert plan_of("mnli", RECIPE, data_of(9), one).monitor == "accuracy"
    levels = data_of(4, sources=("middle", "high"))
    assert plan_of("race", RECIPE, data_of(9), levels).monitor == "accuracy"


def test_a_tasks_settings_win_over_the_recipe(tmp_path) -> None:
    config = FinetuningConfig(recipe="original", per_task={"rte": {"num_evaluations": 4}})
    assert evaluated_steps(plan_of("rte", config, data_of(9)), tmp_path) == [200, 400, 600, 800]


def test_moments_are_corrected_but_for_the_originals_recipe() -> None:
    assert FinetuningConfig().for_task(TASKS["rte"]).bias_correction
    assert not RECIPE.for_task(TASKS["rte"]).bias_correction
    exception = FinetuningConfig(recipe="original", per_task={"rte": {"bias_correction": True}})
    assert exception.for_task(TASKS["rte"]).bias_correction


def test_a_task_without_a_recipe_of_the_original_keeps_the_settings() -> None:
    assert not TASKS["tnews"].recipe.settings()
    general = FinetuningConfig(pooling="pooler").for_task(TASKS["tnews"])
    original = FinetuningConfig(pooling="pooler", recipe="original").for_task(TASKS["tnews"])
    assert dataclasses.replace(original, recipe="general") == general


def test_steps_of_the_general_recipe_are_rounded_up_to_even_intervals(tmp_path) -> None:
    config = FinetuningConfig(num_train_steps=10, num_evaluations=3)
    assert evaluated_steps(plan_of("rte", config, data_of(9)), tmp_path) == [4, 8, 12]
    assert plan_of("rte", FinetuningConfig(), data_of(650)).num_train_steps == 60


def test_short_trainings_have_more_rows_in_their_log_unless_intervals_or_minutes_are_set() -> None:
    for steps, log_steps in ((6000, 50), (4999, 49), (300, 3), (40, 1)):
        config = FinetuningConfig(num_train_steps=steps, num_evaluations=1)
        assert plan_of("rte", config, data_of(9)).log_steps == log_steps
    by_interval = FinetuningConfig(num_train_steps=40, evaluation_interval_steps=10)
    assert plan_of("rte", by_interval, data_of(9)).log_steps == 50
    assert plan_of("rte", FinetuningConfig(train_minutes=1.0), data_of(9)).log_steps == 10


def test_impossible_intervals_between_evaluations_are_refused() -> None:
    with pytest.raises(InputError, match=r"finetuning\.evaluation_interval_steps: got 0, expected"):
        FinetuningConfig(evaluation_interval_steps=0)


def test_settings_of_a_task_have_none_of_tasks_within_them() -> None:
    with pytest.raises(InputError, match=r"per_task\.rte: got per_task within it"):
        FinetuningConfig(per_task={"rte": {"per_task": {"rte": {"num_epochs": 1}}}})


def test_rates_that_look_alike_have_trials_of_their_own() -> None:
    """Trials with one name would share a folder, and the second be read from the first's."""
    rates = (1e-5, 1.0000001e-5, 3e-5, 0.002)
    names = [trial_name(one) for one in FinetuningConfig(grid_learning_rates=rates).trials()]
    assert len(set(names)) == len(rates)
    assert names[0] == "rate-1e-05-batch-32-seed-12345"
    assert names[1] == "rate-1.0000001e-05-batch-32-seed-12345"


def test_minutes_are_known_by_the_plan_and_evaluations_once_the_steps_are(tmp_path) -> None:
    """A third of a step for as many sequences: 96 of the dev set are 1 step of 32, three times."""
    config = FinetuningConfig(train_minutes=2.0, num_epochs=1.0, num_evaluations=3)
    plan = plan_of("rte", config, data_of(1000), data_of(96))
    (minutes,) = plan.minutes
    assert (minutes.end_s, minutes.warmup_ratio) == (120.0, 0.1)
    assert minutes.num_steps_of_evaluations == pytest.approx(3.0)
    assert plan.num_train_steps == UNSETTLED
    plan.settle(0, 20)
    assert evaluated_steps(plan, tmp_path) == [7, 14, 20]


def test_minutes_win_over_the_steps_of_the_recipe_whose_evaluations_stay() -> None:
    config = dataclasses.replace(RECIPE, train_minutes=2.0)
    plan = plan_of("rte", config, data_of(1000))
    assert (plan.num_train_steps, plan.interval_steps) == (UNSETTLED, 100)
    assert plan.minutes[0].warmup_ratio == 200 / 800
    assert plan.minutes[0].num_steps_of_evaluations == 0
