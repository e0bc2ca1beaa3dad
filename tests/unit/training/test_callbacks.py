"""What each callback of a training does at a step and at the end of an interval."""

import dataclasses
import time
import types
from typing import Any

import keras
import numpy as np
import pytest

from albert_core.errors import StepFailedError, StoppedError
from albert_core.model.weights import read_weights, weights_by_name
from albert_core.training.callbacks.checkpointing import Checkpointing
from albert_core.training.callbacks.evaluation import Evaluation
from albert_core.training.callbacks.log import LogWriter
from albert_core.training.callbacks.progress import ProgressReporter
from albert_core.training.callbacks.safeguards import Safeguards
from albert_core.training.callbacks.step_counter import StepCounter
from albert_core.training.checkpoint import restore_latest
from albert_core.training.log import LOG_NAME, read_log
from albert_core.training.minutes import PhaseMinutes, PhaseTiming
from albert_core.training.safeguards import DivergenceError, SafeguardConfig, StuckError
from albert_core.training.signals import SignalError
from albert_core.training.state import TrainingState
from tests.helpers.training_sessions import evaluated, new_model, new_session, run_steps


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return new_model()


def test_the_counter_takes_means_over_the_steps_since_the_last_line(tmp_path):
    session = new_session(tmp_path, log_steps=2)
    counter = StepCounter(session)
    losses = [4.0, 6.0, 1.0, 2.0]
    recent = []
    for count in range(1, 5):
        # Keras hands over the mean since the beginning of the interval.
        counter.on_train_batch_end(0, {"loss": np.mean(losses[:count])})
        recent.append(session.recent_metrics)
    assert (session.state.step, recent[0], recent[2]) == (4, None, None)
    assert recent[1] == pytest.approx({"loss": 5.0})
    assert recent[3] == pytest.approx({"loss": 1.5})


def test_the_counter_reads_no_metrics_at_a_step_without_a_line(tmp_path):
    class Unreadable:
        def __float__(self) -> float:
            raise AssertionError("read, which waits for the device")

    session = new_session(tmp_path, log_steps=2)
    StepCounter(session).on_train_batch_end(0, {"loss": Unreadable()})
    assert session.state.step == 1


def test_an_evaluation_adds_a_row_with_the_phase_of_the_last_step(tmp_path):
    model = types.SimpleNamespace(get_metrics_result=lambda: {"loss": np.float32(2.5)})
    session = new_session(tmp_path, model)
    session.state.step = 20
    Evaluation(session, lambda step: {"accuracy": step / 100}).on_epoch_end(0)
    (row,) = session.state.history
    assert row.pop("seconds") >= 0
    assert row == {"global_step": 20, "phase": 0, "train_loss": 2.5, "accuracy": 0.2}


def test_safeguards_raise_before_the_lowest_loss_is_lost(tmp_path):
    session = new_session(tmp_path)
    guard = Safeguards(session, SafeguardConfig(spike_ratio=2.0), lambda *_: None)
    for loss in (3.0, 4.0):
        session.recent_metrics = {"loss": loss}
        guard.on_train_batch_end(0)
    session.recent_metrics = {"loss": 7.0}
    with pytest.raises(DivergenceError, match="jumped to 7"):
        guard.on_train_batch_end(0)
    assert session.state.lowest_loss == 3.0


def test_safeguards_begin_anew_with_a_phase(tmp_path):
    session = new_session(tmp_path)
    guard = Safeguards(session, SafeguardConfig(), lambda *_: None)
    session.state.history = [evaluated(10, 0.5)]
    for step, lowest in ((10, 3.0), (20, None)):
        session.state.step, session.state.lowest_loss = step, 3.0
        guard.on_epoch_end(0)
        assert session.state.lowest_loss == lowest


def test_a_roll_back_restores_the_checkpoint_with_a_lower_rate(tmp_path, model):
    session = new_session(tmp_path, model)
    session.state.step = 4
    session.save()
    session.state.step, session.state.num_roll_backs = 7, 1
    session.state.compute = {"precision": "float32", "jit_compile": True}  # not in the checkpoint
    reports: list[Any] = []
    config = SafeguardConfig(action="roll_back", roll_back_factor=0.5)
    Safeguards(session, config, lambda *report: reports.append(report)).roll_back(
        DivergenceError("the loss is nan at step 7")
    )
    assert (session.state.step, session.state.num_roll_backs) == (4, 2)
    assert float(model.optimizer.rate_factor) == 0.25
    saved = restore_latest(tmp_path, model)
    assert (saved.num_roll_backs, saved.compute) == (2, session.state.compute)
    assert saved.compute == {"precision": "float32", "jit_compile": True}
    assert reports == [
        (4, 30, "the loss is nan at step 7: back to step 4 with 0.25 times the rate")
    ]


def test_steps_that_a_roll_back_undoes_are_not_part_of_the_measured_speed(tmp_path, model):
    """Of 20 seconds, three are spent on steps that are undone; ten a second are 170 in the rest."""
    session = new_session(tmp_path, model)
    timing = PhaseTiming(begin_s=0.0, first_step=8, first_s=0.8, start_warmup_step=3, num_steps=200)
    session.state.step, session.state.timings = 20, [dataclasses.asdict(timing)]
    session._begin_s = time.monotonic() - 2.0
    session.save()
    session.state.step, session._begin_s = 50, session._begin_s - 3.0
    guard = Safeguards(session, SafeguardConfig(action="roll_back"), lambda *_: None)
    guard.roll_back(DivergenceError("the loss is nan at step 50"))
    (rolled_back,) = session.state.timings
    minutes = PhaseMinutes(end_s=20.0, peak=0.1, num_warmup_steps=5, is_revisable=True)
    seconds = session.seconds + 3.0
    revised = PhaseTiming(**rolled_back).after(50, seconds, minutes, num_unchecked=1)
    assert revised.revised_at_step == 50
    assert revised.num_steps == pytest.approx(170, abs=15)  # going back takes time, too


def test_a_training_that_roll_backs_did_not_help_says_how_many_there_were(tmp_path, model):
    session = new_session(tmp_path, model)
    session.state.num_roll_backs = 2
    guard = Safeguards(
        session, SafeguardConfig(action="roll_back", max_roll_backs=2), lambda *_: None
    )
    with pytest.raises(StepFailedError, match=r"\(2 roll-backs did not help\)"):
        guard.roll_back(DivergenceError("the loss is nan"))


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (SafeguardConfig(action="stop"), DivergenceError("the loss is nan")),
        (SafeguardConfig(action="roll_back"), StuckError("sentence order is guessed")),
        (SafeguardConfig(action="roll_back", max_roll_backs=0), DivergenceError("a spike")),
    ],
)
def test_where_a_roll_back_is_not_wanted_or_cannot_help_training_fails(
    tmp_path, model, config, error
):
    session = new_session(tmp_path, model)
    session.save()
    with pytest.raises(StepFailedError, match=rf"{error}; training stopped, .* \(step 0\)"):
        Safeguards(session, config, lambda *_: None).roll_back(error)


@pytest.mark.parametrize("action", ["stop", "roll_back"])
def test_a_training_that_diverges_without_a_checkpoint_fails(tmp_path, model, action):
    config = SafeguardConfig(action=action)
    guard = Safeguards(new_session(tmp_path, model), config, lambda *_: None)
    with pytest.raises(StepFailedError, match="training stopped, there is no checkpoint yet"):
        guard.roll_back(DivergenceError("the loss is nan"))


def test_the_log_has_a_row_where_there_are_recent_metrics(tmp_path, model):
    session = new_session(tmp_path, model, log_steps=3)
    writer = LogWriter(session, lambda first, last, seconds: {"steps": last - first})
    writer.on_train_begin()
    run_steps(session, writer, to=7)
    rows = read_log(tmp_path)
    assert [(row["global_step"], row["loss"], row["steps"]) for row in rows] == [
        (3, 5.0, 3),
        (6, 5.0, 3),
    ]
    assert rows[0].keys() >= {"learning_rate", "seconds", "steps_per_second"}


def test_an_evaluation_without_training_leaves_an_empty_log(tmp_path):
    LogWriter(new_session(tmp_path), lambda *_: {})
    assert (tmp_path / LOG_NAME).read_text() == ""


def test_after_a_roll_back_the_log_drops_the_rows_of_repeated_steps(tmp_path, model):
    session = new_session(tmp_path, model, log_steps=1)
    writer = LogWriter(session, lambda *_: {})
    writer.on_train_begin()
    run_steps(session, writer, to=5)
    session.state = TrainingState(step=2, num_roll_backs=1)
    writer.on_train_begin()
    assert [row["global_step"] for row in read_log(tmp_path)] == [1, 2]


def test_checkpoints_are_written_when_due_and_not_twice_at_an_evaluation(tmp_path, model):
    session = new_session(tmp_path, model, checkpoint_steps=5, keep_checkpoints=9)
    run_steps(session, Checkpointing(session, lambda: None), to=15)
    steps = [int(path.name.removeprefix("checkpoint-")) for path in tmp_path.glob("checkpoint-*")]
    assert sorted(steps) == [5, 15]


def test_a_signal_saves_the_step_and_ends_the_process_with_a_remedy(tmp_path, model):
    session = new_session(tmp_path, model)
    checkpointing = Checkpointing(session, lambda: "SIGTERM")
    with pytest.raises(StepFailedError, match=r"stopped by SIGTERM after 1 steps; they are saved"):
        run_steps(session, checkpointing, to=1)
    assert restore_latest(tmp_path, model).step == 1
    assert session.saved_step == 1


def test_an_evaluation_that_a_signal_ends_saves_the_step_before_it(tmp_path, model):
    def evaluate(step: int) -> dict[str, float]:
        raise SignalError

    session = new_session(tmp_path, model)
    run_steps(session, to=10)
    assert (session.state.step, session.saved_step) == (10, 0)
    with pytest.raises(StoppedError, match="stopped by SIGINT after 10 steps; they are saved"):
        Evaluation(session, evaluate, lambda: "SIGINT").on_epoch_end(0)
    restored = restore_latest(tmp_path, model)
    assert (restored.step, restored.history, session.saved_step) == (10, [], 10)
    session.state = restored
    assert session.needs_evaluation


def test_a_signal_in_the_last_batch_of_an_evaluation_keeps_the_evaluation(tmp_path, model):
    session = new_session(tmp_path, model)
    session.state.step = 10
    session.state.history = [evaluated(10, 0.5)]
    with pytest.raises(StoppedError, match="after 10 steps"):
        Checkpointing(session, lambda: "SIGTERM").on_epoch_end(0)
    assert restore_latest(tmp_path, model).history == [evaluated(10, 0.5)]


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path, model):
    session = new_session(tmp_path, model)
    checkpointing = Checkpointing(session, lambda: None)
    written = []
    for row in (evaluated(10, 0.5), evaluated(20, 0.4), evaluated(30, 0.3, phase=1)):
        session.state.step = int(row["global_step"])
        session.state.history.append(row)
        checkpointing.on_epoch_end(0)
        written.append(session.state.best["global_step"])
    assert written == [10, 10, 30]
    assert {path.name for path in tmp_path.glob("best*")} == {
        "best-000000010.safetensors",  # of the checkpoint before, which is kept, too
        "best-000000030.safetensors",
    }


def test_the_best_weights_are_averages_where_training_keeps_them(tmp_path):
    session = new_session(tmp_path, new_model(ema_decay=0.9))
    averages = session.model.optimizer.averages_by_name()
    for number, average in enumerate(averages.values()):
        average.assign(np.full(average.shape, number, "float32"))
    session.state.history.append(evaluated(0, 0.5))
    Checkpointing(session, lambda: None).on_epoch_end(0)
    best = read_weights(tmp_path / session.state.best["file"])
    assert best.keys() == weights_by_name(session.model).keys()
    for name, average in averages.items():
        np.testing.assert_array_equal(best[name], np.asarray(average))


def test_a_continued_interval_keeps_its_metrics(tmp_path):
    metric = keras.Variable(3.0)
    model = types.SimpleNamespace(metrics_variables=[metric])
    session = new_session(tmp_path, model)
    session.state.step = 14
    checkpointing = Checkpointing(session, lambda: None)
    checkpointing.on_train_begin()
    values = []
    for epoch in (0, 1):
        metric.assign(0.0)  # as Keras does at the beginning of an epoch
        checkpointing.on_epoch_begin(epoch)
        values.append(float(metric))
    assert values == [3.0, 0.0]


def test_progress_is_reported_by_the_clock_and_at_evaluations(tmp_path, monkeypatch):
    session = new_session(tmp_path)
    reports: list[Any] = []
    report = ProgressReporter(session, lambda *values: reports.append(values))
    run_steps(session, report, to=3)
    assert not reports
    monkeypatch.setattr(report, "_last_report_s", float("-inf"))
    run_steps(session, report, to=4)
    session.state.history = [evaluated(4, 0.25)]
    report.on_epoch_end(0)
    assert reports == [(4, 30, "loss 5.000"), (4, 30, "accuracy 0.250")]


def test_the_time_left_is_told_once_steps_tell_it_and_without_the_start_up(tmp_path, monkeypatch):
    session = new_session(tmp_path)
    reports: list[Any] = []
    report = ProgressReporter(session, lambda *values: reports.append(values))
    clock = iter([300.0, *range(310, 500, 10)])  # the first step compiles for five minutes
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(report, "_last_report_s", 0.0)
    run_steps(session, report, to=12)
    texts = {step: text for step, _, text in reports}
    assert list(texts) == list(range(1, 13))
    told = {step: text for step, text in texts.items() if "left" in text}
    # Of 30 steps of ten seconds; from the seventh on over a minute is known.
    assert told[7] == "loss 5.000, 4 min left"
    assert told[12] == "loss 5.000, 3 min left"
    assert min(told) == 7
