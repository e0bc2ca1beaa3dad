"""The learning rates of the schedules at given steps, and which settings each of them has."""

import keras
import pytest

from albert_core.errors import InputError
from albert_core.optimizers.adamw import AdamW
from albert_core.optimizers.phases import PhasedSchedule, SettledSchedule
from albert_core.optimizers.schedules import SCHEDULES, PolynomialDecay, WarmupStableDecay
from albert_core.pretraining.compilation import schedule_of_phases
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import PhaseConfig
from albert_core.training.minutes import UNSETTLED

pytestmark = pytest.mark.backends


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def config(**settings):
    defaults = {
        "learning_rate": 1.0,
        "num_train_steps": 100,
        "num_warmup_steps": 10,
        "evaluation_interval_steps": 10,
    }
    return PretrainingConfig(**{**defaults, **settings})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # As in the table of components/pretrain/README.md.
        ({"schedule": "polynomial"}, [0, 0.5, 0.9, 0.6, 0.2, 0.1, 0.01]),
        ({"schedule": "warmup_stable_decay"}, [0, 0.5, 1, 1, 1, 0.5, 0.05]),
        (
            {"schedule": "warmup_stable_decay", "decay_ratio": 0.5},
            [0, 0.5, 1, 1, 0.4, 0.2, 0.02],
        ),
        (
            {"schedule": "warmup_stable_decay", "start_warmup_step": 5},
            [0, 0, 0.5, 1, 1, 0.5, 0.05],
        ),
    ],
)
def test_rates_at_steps(settings, expected):
    config_ = config(**settings)
    (phase,) = config_.resolved_phases(24)
    actual = rates(config_.get_schedule(phase), [0, 5, 10, 40, 80, 90, 99])
    assert actual == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_ends_at_0_and_stays_there(name):
    schedule = SCHEDULES[name](peak=0.1, num_train_steps=50, num_warmup_steps=5)
    assert rates(schedule, [50, 60]) == [0.0, 0.0]


def test_each_phase_warms_up_and_decays():
    phases = (
        PhaseConfig(sequence_length=24),
        PhaseConfig(sequence_length=48, num_train_steps=50, learning_rate=0.5),
    )
    settings = config(schedule="warmup_stable_decay", phases=phases)
    schedule = PhasedSchedule(
        [settings.get_schedule(phase) for phase in settings.resolved_phases(24)],
        num_steps=[100, 50],
    )
    assert rates(schedule, [90, 99, 100, 105, 140, 145]) == pytest.approx(
        [0.5, 0.05, 0.0, 0.25, 0.5, 0.25], abs=1e-6
    )


def test_one_schedule_may_span_all_phases():
    """As for a ramp of the batch: the rates of one phase, but for its own peak."""
    phases = (
        PhaseConfig(sequence_length=24, num_train_steps=30),
        PhaseConfig(sequence_length=24, num_train_steps=70, learning_rate=2.0),
    )
    settings = {"schedule": "warmup_stable_decay", "num_warmup_steps": 10}
    spanning = config(phases=phases, schedule_spans="run", **settings)
    schedule = schedule_of_phases(spanning, spanning.resolved_phases(24))
    single = config(**settings)
    (phase,) = single.resolved_phases(24)
    steps = [0, 5, 10, 29, 30, 80, 90, 99, 100]
    expected = [
        rate * (2 if step >= 30 else 1)
        for rate, step in zip(rates(single.get_schedule(phase), steps), steps, strict=True)
    ]
    assert rates(schedule, steps) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_numbers_that_are_settled_later_give_the_same_rates(name):
    numbers = {"peak": 0.5, "num_train_steps": 50, "num_warmup_steps": 5, "start_warmup_step": 3}
    kind = SCHEDULES[name]
    optimizer = AdamW(SettledSchedule(kind(peak=1.0, num_train_steps=1)))
    optimizer.build([keras.Variable([0.0])])
    optimizer.schedule.settle(begin=100, **numbers)
    steps = [0, 3, 4, 7, 8, 30, 49, 50]
    actual = rates(optimizer.schedule, [100 + step for step in steps])
    assert actual == pytest.approx(rates(kind(**numbers), steps), rel=1e-6)
    optimizer.iterations.assign(108)
    assert float(optimizer.learning_rate) == pytest.approx(actual[4])
    again = SettledSchedule.from_config(optimizer.schedule.get_config())
    assert again.schedule == optimizer.schedule.schedule


def test_before_its_numbers_are_settled_a_schedule_warms_up_and_stays():
    optimizer = AdamW(SettledSchedule(WarmupStableDecay(peak=1.0, num_train_steps=1)))
    optimizer.build([keras.Variable([0.0])])
    numbers = {"peak": 0.5, "num_train_steps": UNSETTLED, "num_warmup_steps": 5}
    optimizer.schedule.settle(begin=0, start_warmup_step=UNSETTLED, **numbers)
    assert rates(optimizer.schedule, [0, 9]) == [0.0, 0.0]
    optimizer.schedule.settle(begin=0, start_warmup_step=10, **numbers)
    assert rates(optimizer.schedule, [10, 12, 15, 10**6]) == pytest.approx([0.0, 0.2, 0.5, 0.5])


def test_a_schedule_survives_serialisation():
    schedule = PhasedSchedule(
        [WarmupStableDecay(peak=0.1, num_train_steps=50, decay_ratio=0.3)],
        num_steps=[50],
        spans_run=True,
    )
    again = PhasedSchedule.from_config(schedule.get_config())
    assert (again.schedules, again.spans_run) == (schedule.schedules, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay_ratio": 0.0}, "decay_ratio: got 0.0, expected above 0"),
        ({"decay_ratio": 1.5}, "decay_ratio: got 1.5, expected above 0"),
        ({"decay_ratio": 0.95}, "decay_ratio: got 0.95, expected 0.9 at most, as the warm-up ends"),
        ({"poly_power": 2.0}, "poly_power: got 2.0, which the schedule warmup_stable_decay"),
        ({"schedule": "polynomial", "decay_ratio": 0.5}, "decay_ratio: got 0.5, which the"),
    ],
)
def test_settings_out_of_range_or_of_another_schedule_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        config(**{"schedule": "warmup_stable_decay", **settings})


def test_an_exponent_of_zero_keeps_the_peak_to_the_last_step():
    schedule = PolynomialDecay(peak=0.5, num_train_steps=10, num_warmup_steps=2, poly_power=0.0)
    schedule.check()
    assert [float(schedule(step)) for step in (0, 1, 2, 5, 9, 10)] == [0.0, 0.25, *[0.5] * 4]
