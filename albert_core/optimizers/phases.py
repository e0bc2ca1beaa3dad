"""The learning rate of a training of several phases, in the form in which Keras calls it."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from albert_core.optimizers.schedules import SCHEDULES, Schedule

_SETTLED = ("peak", "start_warmup_step", "num_warmup_steps", "num_train_steps")


@keras.saving.register_keras_serializable(package="albert")
class PhasedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of several phases: one schedule after the other.

    Args:
        schedules: The schedules, at least one.
        num_steps: Number of steps of each schedule; the last schedule goes on after its own steps.
        spans_run: Whether each schedule counts the steps of the whole training rather than those
            since its own beginning.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        *,
        num_steps: Sequence[int],
        spans_run: bool = False,
    ) -> None:
        """Keep the schedules and their numbers, unchecked."""
        super().__init__()
        self.schedules = list(schedules)
        self.num_steps = list(num_steps)
        self.spans_run = spans_run

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step that follows `step` steps of the whole training.

        It comes from the schedule of that step's phase.
        """
        begins = [0, *itertools.accumulate(self.num_steps[:-1])]
        rate = None
        for begin, schedule in zip(begins, self.schedules, strict=True):
            phase_rate = schedule(step - begin if begin and not self.spans_run else step)
            # The step is a tensor inside the compiled training step: no `if` can choose by it.
            rate = phase_rate if rate is None else ops.where(step >= begin, phase_rate, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments in serialised form."""
        return {
            "schedules": [_to_config(schedule) for schedule in self.schedules],
            "num_steps": self.num_steps,
            "spans_run": self.spans_run,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PhasedSchedule":
        """Build a schedule from what `get_config` returned."""
        schedules = [_from_config(settings) for settings in config["schedules"]]
        return cls(schedules, num_steps=config["num_steps"], spans_run=config["spans_run"])


@keras.saving.register_keras_serializable(package="albert")
class SettledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The schedule of one phase whose numbers are settled while it is trained, by `settle`.

    The numbers are in a variable of the optimizer, so that the training step need not be compiled
    again.

    Args:
        schedule: Gives the kind of schedule and its settings; its peak and numbers of steps are not
            used.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self._numbers: Any = None

    def build(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Make the schedule's variable in an optimizer, with zeros."""
        self._numbers = optimizer.add_variable(
            shape=(len(_SETTLED) + 1,), initializer="zeros", name="schedule_numbers"
        )

    def settle(self, *, begin: int, **numbers: float) -> None:
        """Set the numbers, from the next step on; `build` must have been called.

        Args:
            begin: Step of the whole training at which the phase begins.
            **numbers: All four of `peak`, `start_warmup_step`, `num_warmup_steps` (1 at least) and
                `num_train_steps` of the schedule; steps count from `begin`.
        """
        self._numbers.assign([begin, *(numbers[name] for name in _SETTLED)])

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step that follows `step` steps of the whole training.

        `settle` must have been called.
        """
        begin, *numbers = ops.unstack(ops.convert_to_tensor(self._numbers))
        schedule = dataclasses.replace(self.schedule, **dict(zip(_SETTLED, numbers, strict=True)))
        return schedule(ops.cast(step, "float32") - begin)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's argument `schedule` in serialised form."""
        return {"schedule": _to_config(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SettledSchedule":
        """Build a schedule from what `get_config` returned; its numbers are not in it."""
        return cls(_from_config(config["schedule"]))


def _to_config(schedule: Schedule) -> dict[str, Any]:
    """Return the `name` of a schedule in `SCHEDULES`, and its arguments by theirs."""
    names = {schedule: name for name, schedule in SCHEDULES.items()}
    return {"name": names[type(schedule)], **dataclasses.asdict(schedule)}


def _from_config(settings: Mapping[str, Any]) -> Schedule:
    """Return the schedule whose name and arguments `_to_config` returned."""
    arguments = {name: value for name, value in settings.items() if name != "name"}
    return SCHEDULES[settings["name"]](**arguments)
