"""Steps, minutes and patience end a training, and minutes settle its schedule."""

import dataclasses
import time
import types
from typing import Any

import pytest

from albert_core.training.callbacks.budget import Budget, lost_patience
from albert_core.training.callbacks.time_budget import TimeBudget
from albert_core.training.minutes import UNSETTLED, PhaseMinutes
from albert_core.training.plan import TrainingPlan
from albert_core.training.session import TrainingSession
from tests.helpers.training_sessions import evaluated, new_session


def model_with_schedule() -> Any:
    """Return what a training by minutes needs of a model: a schedule that can be settled."""
    schedule = types.SimpleNamespace(settle=lambda **_: None)
    return types.SimpleNamespace(
        optimizer=types.SimpleNamespace(schedule=schedule), jax_state_sync=lambda: None
    )


@pytest.mark.parametrize(
    ("settings", "step", "stopped_by"),
    [
        ({}, 4, None),
        ({"stop_after_steps": 5}, 4, None),
        ({"stop_after_steps": 5}, 5, "stop_after_steps"),
        ({"stop_after_minutes": 0.0}, 1, "stop_after_minutes"),
        ({"stop_after_steps": 10}, 10, None),  # after the evaluation, which is due there anyway
    ],
)
def test_a_spent_budget_stops_training_within_an_interval(tmp_path, settings, step, stopped_by):
    session = new_session(tmp_path, **settings)
    session.state.step = step
    Budget(session).on_train_batch_end(0)
    assert session.state.stopped_by == stopped_by
    assert session.model.stop_training == (stopped_by is not None)


def test_an_interval_that_was_settled_meanwhile_ends_where_keras_does_not_know_of_it(tmp_path):
    session = new_session(
        tmp_path, phase_steps=(UNSETTLED,), num_evaluations=3, are_last_intervals_short=True
    )
    session.plan.settle(0, UNSETTLED)
    budget, stops = Budget(session), []
    budget.on_train_begin()
    for step in range(1, 8):
        if step == 2:
            session.plan.settle(0, 7)
        session.state.step, session.model.stop_training = step, False
        budget.on_train_batch_end(0)
        if session.model.stop_training:
            stops.append(step)
    assert stops == [3, 6, 7]


def test_an_interval_ends_with_its_phase(tmp_path):
    session = new_session(tmp_path, phase_steps=(14, 10), are_last_intervals_short=True)
    counts, stops = [], []
    for step in range(1, 25):
        session.state.step, session.model.stop_training = step, False
        Budget(session).on_train_batch_end(0)
        counts.append(session.plan.steps_of_interval(step))
        if session.model.stop_training:
            stops.append(step)
    assert counts == [*range(1, 11), *range(1, 5), *range(1, 11)]
    assert stops == [14, 24]
    assert session.interval_step == 0


@pytest.mark.parametrize(
    ("spans_run", "expected"),
    [
        (
            False,
            [
                # Of each phase three steps measure the speed, and five warm up.
                (0, 1, (0, 0.1, UNSETTLED, 1, UNSETTLED)),
                (0, 3, (0, 0.1, 3, 5, UNSETTLED)),
                (0, 15, (0, 0.1, 3, 5, 30)),
                (1, 31, (30, 0.2, UNSETTLED, 1, UNSETTLED)),
                (1, 33, (30, 0.2, 3, 5, UNSETTLED)),
                (1, 45, (30, 0.2, 3, 5, 30)),
            ],
        ),
        (
            True,
            [
                (0, 1, (0, 0.1, UNSETTLED, 1, UNSETTLED)),
                (0, 3, (0, 0.1, 3, 5, UNSETTLED)),
                # The decay of all steps lies in the last phase.
                (1, 31, (0, 0.2, 3, 5, UNSETTLED)),
                (1, 48, (0, 0.2, 3, 5, 60)),
            ],
        ),
    ],
)
def test_minutes_settle_schedule_and_plan_phase_by_phase(tmp_path, spans_run, expected):
    """At ten steps a second, 30 steps for each of two phases of three seconds."""
    stable_ratios = (1.0, 0.8) if spans_run else (0.5, 0.5)
    minutes = tuple(
        PhaseMinutes(end_s=3.0 * n, peak=0.1 * n, num_warmup_steps=5, stable_ratio=ratio)
        for n, ratio in enumerate(stable_ratios, start=1)
    )
    settled, model = [], model_with_schedule()
    model.optimizer.schedule.settle = lambda **numbers: settled.append(numbers)
    session = new_session(
        tmp_path,
        model,
        phase_steps=(UNSETTLED, UNSETTLED),
        minutes=minutes,
        spans_run=spans_run,
        log_steps=1,
    )
    saved_at: list[int] = []
    session.save = lambda: saved_at.append(session.state.step)  # type: ignore[method-assign]
    budget, seen = TimeBudget(session), []
    while not session.is_finished:
        phase = session.plan.phase_of(session.state.step)
        if len(session.state.timings) <= phase:
            budget.on_train_begin()
        session.state.step += 1
        session._begin_s = time.monotonic() - 0.1 * session.state.step
        session.recent_metrics = {"loss": 5.0}
        budget.on_train_batch_end(0, {"loss": 5.0})
        if not seen or settled[-1] != seen[-1][2]:
            seen.append((phase, session.state.step, settled[-1]))
        # A process that takes up here knows the same.
        again = TrainingPlan(**{**dataclasses.asdict(session.plan), "minutes": minutes})
        again.phase_steps = (UNSETTLED, UNSETTLED)
        TimeBudget(TrainingSession(model, session.state, again, tmp_path))
        assert again.phase_steps == session.plan.phase_steps
    assert session.plan.phase_steps == (30, 30)
    assert [(phase, step, tuple(numbers.values())) for phase, step, numbers in seen] == expected
    assert len(saved_at) == 2
    assert session.num_expected_steps == 60


def test_revised_steps_end_the_phase_and_are_saved_at_once(tmp_path):
    """Ten steps a second until they are settled, five after it: 100 steps would take 20 seconds."""
    minutes = PhaseMinutes(end_s=10.0, peak=0.1, num_warmup_steps=5, is_revisable=True)
    session = new_session(
        tmp_path,
        model_with_schedule(),
        phase_steps=(UNSETTLED,),
        are_last_intervals_short=True,
        minutes=(minutes,),
        log_steps=1,
    )
    saved: list[tuple[int, int]] = []
    session.save = lambda: saved.append(  # type: ignore[method-assign]
        (session.state.step, session.plan.num_train_steps)
    )
    budget, seconds = TimeBudget(session), 0.0
    budget.on_train_begin()
    while not session.is_finished:
        session.state.step += 1
        seconds += 0.2 if saved else 0.1
        session._begin_s = time.monotonic() - seconds
        session.recent_metrics = {"loss": 5.0}
        budget.on_train_batch_end(0, {"loss": 5.0})
    (first_at, first), (final_at, final) = saved
    assert first_at == 8  # the warm-up begins after 3 steps
    assert first == pytest.approx(100, abs=2)
    assert final_at == pytest.approx(16, abs=2)  # after a quarter of the time
    assert final == session.state.step == pytest.approx(54, abs=1)
    assert seconds == pytest.approx(10.0, abs=0.3)


def test_compiling_after_an_interruption_is_not_part_of_the_measured_speed(tmp_path):
    """Of 20 seconds, three are spent on compiling again; ten steps a second are 170 in the rest."""
    minutes = PhaseMinutes(end_s=20.0, peak=0.1, num_warmup_steps=5, is_revisable=True)
    settings = {"phase_steps": (UNSETTLED,), "are_last_intervals_short": True, "log_steps": 1}
    session = new_session(tmp_path, model_with_schedule(), minutes=(minutes,), **settings)
    session.save = lambda: None  # type: ignore[method-assign]
    budget, seconds = TimeBudget(session), 0.0
    budget.on_train_begin()
    while not session.is_finished:
        if session.state.step == 20:
            budget, seconds = TimeBudget(session), seconds + 3.0
            budget.on_train_begin()
        session.state.step, seconds = session.state.step + 1, seconds + 0.1
        session._begin_s = time.monotonic() - seconds
        session.recent_metrics = {"loss": 5.0}
        budget.on_train_batch_end(0, {"loss": 5.0})
    assert session.state.timings[0]["revised_at_step"] == pytest.approx(21, abs=2)
    assert seconds == pytest.approx(20.0, abs=0.5)


@pytest.mark.parametrize(
    ("settings", "stopped_by"),
    [
        ({"patience": 2, "stop_after_steps": 30}, "patience"),
        ({"patience": 3, "stop_after_steps": 30}, "stop_after_steps"),
        ({"patience": 3}, None),
    ],
)
def test_at_the_end_of_an_interval_patience_counts_too(tmp_path, settings, stopped_by):
    session = new_session(tmp_path, phase_steps=(40,), **settings)
    session.state.step = 30
    session.state.history = [evaluated(10, 0.5), evaluated(20, 0.4), evaluated(30, 0.5)]
    Budget(session).on_epoch_end(0)
    assert session.state.stopped_by == stopped_by


def test_patience_looks_at_the_last_phase(tmp_path):
    plan = new_session(tmp_path, patience=2).plan
    history = [evaluated(10, 0.9), evaluated(20, 0.8), evaluated(30, 0.5, phase=1)]
    assert not lost_patience(history, plan)
