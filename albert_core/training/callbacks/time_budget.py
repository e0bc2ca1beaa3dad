"""Settles how many steps the phases of a training have that lasts some minutes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from albert_core.backends import broadcast_from_first_process
from albert_core.training.minutes import UNSETTLED, PhaseTiming
from albert_core.training.session import TrainingSession

_CHECK_RATIO = 10  # while the speed is measured, the steps so far over those to the next check


class TimeBudget(keras.callbacks.Callback):
    """Measures the speed and settles warm-up and steps of each phase, in state, plan and schedule.

    Runs behind the log, whose row of a step must be written before the step is saved, and before
    whatever ends training. The optimizer's schedule must be a `SettledSchedule`.
    """

    def __init__(self, session: TrainingSession) -> None:
        """Take up what the session's state has settled already."""
        super().__init__()
        self.session = session
        self._next_check = 0  # step of the phase, while the speed is measured
        # When this process goes on with a training, until it has made its first step.
        self._resumed_s = (
            broadcast_from_first_process(session.seconds) if session.state.step else None
        )
        self._settle_plan()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the timing of a new phase; set plan and schedule by the state.

        The state may be another than before: a roll-back replaces it. Where one schedule spans the
        run, phases after the first have no warm-up.
        """
        session = self.session
        index = session.plan.phase_of(session.state.step)
        if len(session.state.timings) == index:
            timing = PhaseTiming(begin_s=broadcast_from_first_process(session.seconds))
            if index and session.plan.spans_run:
                # The schedule goes on: there is neither a warm-up nor a measurement before it.
                timing = dataclasses.replace(timing, start_warmup_step=0, num_warmup_steps=0)
            session.state.timings.append(dataclasses.asdict(timing))
        self._next_check = 0
        self._settle_plan()
        self._settle_schedule(index)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Settle warm-up or steps of the phase if that can be done now, and save it at once.

        Until the warm-up begins it looks at each of the first 20 steps, then each time that the
        steps of the phase are a tenth more; after that, at steps with a row in the log.

        Raises:
            InputError: There is too little time for the warm-up and the decay.
            StepFailedError: The checkpoint cannot be written.
        """
        session, plan = self.session, self.session.plan
        index = session.last_phase
        timing = PhaseTiming(**session.state.timings[index])
        is_measuring = timing.start_warmup_step is None
        step = session.state.step - plan.phase_begin(index)
        if self._resumed_s is not None and not timing.is_final:
            timing = self._without_compiling(timing, logs)
            session.state.timings[index] = dataclasses.asdict(timing)
        self._resumed_s = None
        # Waiting for each step would keep the host from working ahead, and measure that.
        is_due = step >= self._next_check if is_measuring else session.recent_metrics is not None
        if timing.is_final or not is_due or step == timing.first_step:
            return
        _wait_for_device(logs)
        self._next_check = step + max(1, step // _CHECK_RATIO)
        # All processes must settle the same, and their clocks differ.
        seconds = broadcast_from_first_process(session.seconds)
        before = timing
        timing = timing.after(
            step,
            seconds,
            plan.minutes[index],
            num_unchecked=plan.log_steps,
            num_before=plan.phase_begin(index) if plan.spans_run else 0,
        )
        session.state.timings[index] = dataclasses.asdict(timing)
        begins_warmup = is_measuring and timing.start_warmup_step is not None
        settles_steps = timing.num_steps is not None and timing != before
        if begins_warmup or settles_steps:
            self._settle_plan()
            # Before the schedule is set: JAX's `fit` keeps the values of variables to itself until
            # they are written back here, over whatever was assigned before.
            session.sync_variables()
            self._settle_schedule(index)
        if settles_steps:
            # At once: a process killed before the next checkpoint would settle another number.
            session.save()

    def _without_compiling(
        self, timing: PhaseTiming, logs: Mapping[str, Any] | None
    ) -> PhaseTiming:
        """Return the timing with the first step of this process left out of the measured speed.

        A process that goes on with a training compiles in it.

        Args:
            timing: The timing of the phase, which is not changed before its first measured step.
            logs: Metrics of the step.
        """
        if timing.first_step is None or self._resumed_s is None:
            return timing
        _wait_for_device(logs)
        lost_s = broadcast_from_first_process(self.session.seconds) - self._resumed_s
        return dataclasses.replace(
            timing, first_step=timing.first_step + 1, first_s=timing.first_s + lost_s
        )

    def _settle_plan(self) -> None:
        """Give the plan the settled steps of each phase, `UNSETTLED` where they are not settled."""
        timings = self.session.state.timings
        for index in range(len(self.session.plan.minutes)):
            num_steps = timings[index]["num_steps"] if index < len(timings) else None
            self.session.plan.settle(index, num_steps or UNSETTLED)

    def _settle_schedule(self, index: int) -> None:
        """Set the numbers of the optimizer's schedule to those of a phase.

        Where one schedule spans the run, it begins at step 0 with the warm-up of the first phase,
        and has the steps of all phases once those of the last are settled. What is not settled is
        `UNSETTLED`.
        """
        plan, timings = self.session.plan, self.session.state.timings
        begin, num_steps = plan.phase_begin(index), timings[index]["num_steps"]
        timing = PhaseTiming(**timings[0 if plan.spans_run else index])
        if plan.spans_run:
            begin, is_last = 0, index == len(plan.minutes) - 1
            num_steps = plan.num_train_steps if is_last and num_steps else None
        self.session.model.optimizer.schedule.settle(
            begin=begin,
            peak=plan.minutes[index].peak,
            start_warmup_step=(
                UNSETTLED if timing.start_warmup_step is None else timing.start_warmup_step
            ),
            num_warmup_steps=timing.num_warmup_steps,
            num_train_steps=num_steps or UNSETTLED,
        )


def _wait_for_device(logs: Mapping[str, Any] | None) -> None:
    """Read one of the metrics of a step, if there are any, which waits for the step to end."""
    if logs:
        float(next(iter(logs.values())))
