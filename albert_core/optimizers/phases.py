"""The learning rate of a training as Keras calls it: one schedule after the other."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from albert_core.optimizers.schedules import SCHEDULES, Schedule


@keras.saving.register_keras_serializable(package="albert")
class PhasedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """One schedule after the other, each counting its steps from its own beginning.

    Args:
        schedules: The schedules, at least one.
        num_steps: How many steps each of them lasts, as many numbers as schedules; the last one
            goes on after its own.
    """

    def __init__(self, schedules: Sequence[Schedule], *, num_steps: Sequence[int]) -> None:
        super().__init__()
        self.schedules = list(schedules)
        self.num_steps = list(num_steps)

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step that follows `step` steps of the whole training.

        It comes from the schedule of that step's phase, whose steps count from the phase's
        beginning.
        """
        rate = self.schedules[0](step)
        # Not strict: the sums of steps go on to the end of the last phase, where none begins.
        for begin, schedule in zip(
            itertools.accumulate(self.num_steps), self.schedules[1:], strict=False
        ):
            # The step is a tensor inside the compiled training step: no `if` can choose by it.
            rate = ops.where(step >= begin, schedule(step - begin), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        names = {schedule: name for name, schedule in SCHEDULES.items()}
        return {
            "schedules": [
                {"name": names[type(schedule)], **dataclasses.asdict(schedule)}
                for schedule in self.schedules
            ],
            "num_steps": self.num_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PhasedSchedule":
        """Build a schedule from what `get_config` returned."""
        schedules = []
        for settings in config["schedules"]:
            arguments = {name: value for name, value in settings.items() if name != "name"}
            schedules.append(SCHEDULES[settings["name"]](**arguments))
        return cls(schedules, num_steps=config["num_steps"])
