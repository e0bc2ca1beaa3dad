"""TensorBoard: a folder of event files for each step, with its parameters as hyperparameters."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from albert_core.tracking.run import Row, Status, TrackedRun


class StepRun:
    """A folder of event files for a step: `EXPERIMENT/RUN/STEP` below the address.

    For a single step it is `EXPERIMENT/STEP-KEY`. A step that goes on adds a file to its folder.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        step = run.step.replace(" ", "-")
        parts = [run.group_label, step] if run.group else [f"{step}-{run.key}"]
        names = [part.replace("/", "-") for part in (run.experiment, *parts)]
        self._folder = Path(run.address, *names)
        self._writer: EventFileWriter | None = None

    def open(self) -> None:
        """Make the folder and a file in it; write parameters and addresses.

        Parameters that are infinite or NaN are left out. Each call begins another file.
        """
        self._writer = EventFileWriter(str(self._folder))
        # NaN is no hyperparameter that its page can show.
        hparams = {
            name: value
            for name, value in {**self._run.parameters, **self._run.places}.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
        self._add(hparams_pb(hparams, trial_id=self._run.key), step=0, time_s=time.time())

    def log(self, rows: Sequence[Row]) -> None:
        """Write rows as scalars, each at its own step and time; `open` must have been called."""
        for row in rows:
            values = [
                Summary.Value(tag=name, simple_value=value) for name, value in row.values.items()
            ]
            self._add(Summary(value=values), step=row.step, time_s=row.time_s)

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Write scores as scalars named `scores/NAME`."""
        values = {f"scores/{name}": value for name, value in scores.items()}
        self.log([Row(step=0, time_s=time.time(), values=values)])

    def close(self, status: Status) -> None:
        """Close the file, which holds no status."""
        assert self._writer
        self._writer.close()

    def _add(self, summary: Summary, *, step: int, time_s: float) -> None:
        """Write a summary, and flush it, so that it can be seen at once."""
        assert self._writer
        self._writer.add_event(Event(summary=summary, step=step, wall_time=time_s))
        self._writer.flush()
