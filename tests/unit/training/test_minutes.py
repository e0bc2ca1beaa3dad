"""Steps that minutes give a phase: settled before the rates depend on them, and about in time."""

import dataclasses

import pytest

from albert_core.errors import InputError
from albert_core.training.minutes import PhaseMinutes, PhaseTiming

LOG_STEPS = 50
MINUTE = PhaseMinutes(end_s=60.0, peak=0.1, warmup_ratio=0.1, stable_ratio=0.7)


def settle(phase: PhaseMinutes, step_s: list[float]) -> tuple[PhaseTiming, int, float]:
    """Train a phase whose steps take some seconds, the last of them again and again.

    Returns:
        The timing, the step at which the steps became final, and the seconds at its end.
    """
    timing, step, seconds, settled_at = PhaseTiming(begin_s=0.0), 0, 30.0, 0  # 30 s to compile
    while timing.num_steps is None or step < timing.num_steps:
        step, seconds = step + 1, seconds + step_s[min(step, len(step_s) - 1)]
        is_checked = timing.start_warmup_step is None or step % LOG_STEPS == 0
        if not timing.is_final and is_checked:
            timing = timing.after(step, seconds, phase, num_unchecked=LOG_STEPS)
            settled_at = step
    return timing, settled_at, seconds


@pytest.mark.parametrize("stable_ratio", [0.0, 0.7])
def test_the_schedule_ends_with_the_minutes(stable_ratio):
    phase = dataclasses.replace(MINUTE, end_s=630.0, stable_ratio=stable_ratio)
    timing, settled_at, seconds = settle(phase, [0.1])
    assert timing.num_steps == pytest.approx(6000, rel=0.001)
    assert seconds == pytest.approx(630.0, rel=0.001)
    # 0.5 % of the minutes measure the speed.
    assert timing.start_warmup_step == pytest.approx(32, abs=1)
    assert timing.num_warmup_steps == pytest.approx(600, abs=1)
    # As late as the rates allow, looking every 50 steps.
    last_free = max(timing.warmup_end, stable_ratio * timing.num_steps)
    assert last_free - LOG_STEPS <= settled_at <= last_free


def test_training_that_slows_down_still_decays_in_time():
    """By half in the stable part: the speed counts until the decay must begin."""
    phase = dataclasses.replace(MINUTE, end_s=630.0)
    timing, settled_at, seconds = settle(phase, 2000 * [0.1] + [0.2])
    assert settled_at <= 0.7 * timing.num_steps
    assert seconds == pytest.approx(630.0, rel=0.15)


@pytest.mark.parametrize("step_s", [100 * [0.3] + [0.1], 350 * [0.1] + [0.3]])
def test_steps_settled_at_another_speed_are_revised_after_a_quarter(step_s):
    """Else the first training would end after a third of its time, the second after three times."""
    phase = dataclasses.replace(MINUTE, end_s=1030.0, stable_ratio=0.0, warmup_ratio=0.02)
    fixed, settled_at, _ = settle(phase, step_s)
    assert settled_at < 0.05 * fixed.num_steps
    timing, final_at, seconds = settle(dataclasses.replace(phase, is_revisable=True), step_s)
    num_revised = min(0.25 * fixed.num_steps, 0.25 * timing.num_steps)
    assert final_at == pytest.approx(num_revised, rel=0.2)
    described = timing.describe(timing.num_steps)
    assert described["revised_at_step"] == final_at
    assert described["num_train_steps_before"] == fixed.num_steps
    assert "revised_at_step" not in fixed.describe(fixed.num_steps)
    assert timing.start_warmup_step == fixed.start_warmup_step
    assert seconds == pytest.approx(1030.0, rel=0.15)


@pytest.mark.parametrize("stable_ratio", [0.1, 0.2])
def test_a_decay_that_began_before_the_revision_still_ends_with_the_minutes(stable_ratio):
    phase = dataclasses.replace(
        MINUTE, end_s=1030.0, stable_ratio=stable_ratio, warmup_ratio=0.02, is_revisable=True
    )
    timing, revised_at, seconds = settle(phase, [0.1])
    assert timing.revised_at_step == revised_at > stable_ratio * timing.num_steps
    assert seconds == pytest.approx(1030.0, rel=0.01)


def test_the_decay_is_whole_even_if_there_is_no_time_left_for_it():
    timing, settled_at, _ = settle(dataclasses.replace(MINUTE, end_s=90.0), 390 * [0.1] + [9.0])
    assert 0.7 * timing.num_steps == pytest.approx(settled_at, abs=1)


def test_a_warm_up_of_steps_is_kept():
    phase = PhaseMinutes(end_s=630.0, peak=0.1, num_warmup_steps=200)
    timing, _, _ = settle(phase, [0.1])
    assert timing.num_warmup_steps == 200
    assert timing.warmup_end <= 250


def test_a_warm_up_longer_than_the_minutes_is_refused_at_its_beginning():
    phase = PhaseMinutes(end_s=60.0, peak=0.1, num_warmup_steps=3125)
    expected = r"about 3\d\d steps .* first of them after 30 seconds, expected 3,1\d\d or more"
    with pytest.raises(InputError, match=expected):
        settle(phase, [0.1])


@pytest.mark.parametrize(
    ("stable_ratio", "earliest", "latest"), [(1.0, 1550, 1600), (0.6, 750, 800)]
)
def test_where_the_schedule_goes_on_a_phase_is_settled_before_its_end_or_the_decay(
    stable_ratio, earliest, latest
):
    """Of 400 steps before and 1,600 in its time, at 0.6 the decay begins at step 1,200 of all."""
    phase = PhaseMinutes(end_s=200.0, peak=0.1, stable_ratio=stable_ratio)
    timing = PhaseTiming(begin_s=40.0, start_warmup_step=0, num_warmup_steps=0)
    step = 0
    while timing.num_steps is None:
        step += LOG_STEPS
        seconds = 40.0 + 0.1 * step
        timing = timing.after(step, seconds, phase, num_unchecked=LOG_STEPS, num_before=400)
    assert timing.num_steps == pytest.approx(1600, abs=1)
    assert earliest <= step <= latest
