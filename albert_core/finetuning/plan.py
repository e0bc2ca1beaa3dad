"""How long a fine-tuning lasts, when it is evaluated, and its learning rates."""

import math

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.num_steps import (
    has_original_recipe,
    num_evaluations,
    num_train_steps,
)
from albert_core.finetuning.task_preprocessor import TaskData
from albert_core.optimizers.phases import PhasedSchedule, SettledSchedule
from albert_core.optimizers.schedules import PolynomialDecay
from albert_core.tasks import Task
from albert_core.training.minutes import UNSETTLED, PhaseMinutes, PhaseTiming
from albert_core.training.plan import TrainingPlan
from albert_core.training.state import TrainingState

_LOG_STEPS = 50
_LOG_ROWS = 100  # a curve of fewer points hides how it came down
_LOG_STEPS_BY_MINUTES = 10  # at the rows the steps are settled: often, as a warm-up may be short
# Of a training step, the part that a prediction for as many sequences takes: forward without
# backward.
_FORWARD_PART = 1 / 3


def make_plan(config: FinetuningConfig, task: Task, train: TaskData, dev: TaskData) -> TrainingPlan:
    """Return the plan of one training.

    With `evaluation_interval_steps` it is evaluated before the first step, whenever that many are
    done, and after the last. Without, its steps are rounded up to whole intervals between
    `num_evaluations`, which are at most as many as steps. The log has a row every 50 steps; in a
    short training without that setting there are rows more often, about 100 in all. A training by
    minutes has a row every 10 steps, and steps are not rounded.

    Args:
        config: The settings of one training.
        task: The task.
        train: The training set.
        dev: The development set.
    """
    if config.train_minutes is not None:
        return _plan_by_minutes(config, task, train, dev)
    steps = num_train_steps(
        config, task, num_examples=len(train.examples), num_sequences=len(train.features)
    )
    monitor = _monitored_metric(config, task, dev)
    limits = config.plan_limits
    if config.evaluation_interval_steps:
        return TrainingPlan(
            phase_steps=(steps,),
            interval_steps=config.evaluation_interval_steps,
            are_last_intervals_short=True,
            evaluates_first=True,
            monitor=monitor,
            patience=config.patience,
            **limits,
        )
    evaluations = num_evaluations(config, steps)
    # Up, not down: the training ends with an evaluation, so that its last weights can be the best.
    interval = math.ceil(steps / evaluations)
    return TrainingPlan(
        phase_steps=(interval * evaluations,),
        interval_steps=interval,
        monitor=monitor,
        log_steps=max(1, min(_LOG_STEPS, steps // _LOG_ROWS)),
        patience=config.patience,
        **limits,
    )


def _plan_by_minutes(
    config: FinetuningConfig, task: Task, train: TaskData, dev: TaskData
) -> TrainingPlan:
    """Return the plan of a training that lasts minutes; arguments are those of `make_plan`.

    With `num_evaluations` the time of the evaluations is taken to be that of predictions for as
    many sequences, and is kept free. With `evaluation_interval_steps` the measured speed contains
    the evaluations up to then.
    """
    assert config.train_minutes is not None
    interval = config.evaluation_interval_steps
    batch_size = min(config.batch_size, len(train.features))
    steps_of_evaluation = _FORWARD_PART * len(dev.features) / batch_size
    minutes = PhaseMinutes(
        end_s=60 * config.train_minutes,
        peak=config.learning_rate,
        num_warmup_steps=config.num_warmup_steps or 0,
        warmup_ratio=config.warmup_ratio if config.num_warmup_steps is None else None,
        num_steps_of_evaluations=0.0 if interval else config.num_evaluations * steps_of_evaluation,
        section="finetuning",
    )
    plan = TrainingPlan(
        phase_steps=(UNSETTLED,),
        interval_steps=interval or UNSETTLED,
        are_last_intervals_short=True,
        minutes=(minutes,),
        num_evaluations=None if interval else config.num_evaluations,
        evaluates_first=bool(interval),
        monitor=_monitored_metric(config, task, dev),
        log_steps=_LOG_STEPS_BY_MINUTES,
        patience=config.patience,
        **config.plan_limits,
    )
    plan.settle(0, UNSETTLED)
    return plan


def make_schedule(config: FinetuningConfig, plan: TrainingPlan) -> PhasedSchedule | SettledSchedule:
    """Return the rates of one training: warm-up and linear decay to 0.

    Raises:
        InputError: A number of the schedule is out of its range.
    """
    by_minutes = bool(plan.minutes)
    schedule = PolynomialDecay(
        peak=config.learning_rate,
        num_train_steps=plan.num_train_steps,
        num_warmup_steps=0 if by_minutes else _num_warmup_steps(config, plan),
    )
    schedule.check()
    if by_minutes:
        return SettledSchedule(schedule)
    return PhasedSchedule([schedule], num_steps=[plan.num_train_steps])


def describe_settled(state: TrainingState) -> dict[str, int]:
    """Return steps and warm-up of a training by minutes; empty for other trainings.

    The names are those of `PhaseTiming.describe`; where the steps were never settled, they are
    those that were made.
    """
    if not state.timings:
        return {}
    timing = PhaseTiming(**state.timings[0])
    return timing.describe(timing.num_steps or state.step)


def _monitored_metric(config: FinetuningConfig, task: Task, dev: TaskData) -> str:
    """Return the name of the metric that chooses the best weights: the task's first.

    With the original's recipe, a task whose score is the mean of several files (MNLI) counts only
    the first file.
    """
    first_file = task.sources("dev")[0].name
    is_mean = task.averages_sources and len(set(dev.sources)) > 1
    if is_mean and has_original_recipe(config, task):
        return f"{first_file}_{task.metrics[0]}"
    return task.metrics[0]


def _num_warmup_steps(config: FinetuningConfig, plan: TrainingPlan) -> int:
    """Return the number of steps that warm up: `num_warmup_steps`, else by `warmup_ratio`.

    `num_warmup_steps` is limited to one step less than all steps of the plan; `warmup_ratio` times
    all steps is rounded down.
    """
    if config.num_warmup_steps is not None:
        return min(config.num_warmup_steps, plan.num_train_steps - 1)
    return int(config.warmup_ratio * plan.num_train_steps)
