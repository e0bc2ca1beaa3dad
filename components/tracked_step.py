"""A step that is tracked, and that several processes may do together, one of which leads."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.artifacts.step import (
    StepBody,
    run_step,
    run_step_as_follower,
    work_fingerprint,
)
from albert_core.progress import ReportProgress, quiet
from albert_core.tracking.config import NO_TRACKING, TrackingConfig
from albert_core.tracking.step import StepTracker, tracked_step
from albert_core.training.devices import is_led_by_another


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackedStep:
    """What a training or evaluation step is given, makes, and is tracked as.

    Attributes:
        name: Name of the step.
        title: Its name for the tracker, such as `finetune cola`.
        settings: Its settings, resolved; JSON values only.
        inputs: Content hash of each input, by name.
        places: Addresses of what it reads, by name, for the tracker; several by a sequence.
        output: Folder that receives the results, local, gs:// or s3://.
        work_root: Folder of the work folders; beside `output` when not given.
        tracking: Where it is tracked; as this process's environment says when off.
        progress: Called with messages about what goes wrong with the tracking.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    places: Mapping[str, Any]
    output: str | Path
    work_root: str | Path | None = None
    tracking: TrackingConfig = NO_TRACKING
    progress: ReportProgress = quiet

    @property
    def work(self) -> str:
        """The fingerprint of the work: equal for the same step, settings and inputs."""
        return work_fingerprint(self.name, self.settings, self.inputs)

    def tracked(self, folder: Path) -> contextlib.AbstractContextManager[StepTracker]:
        """Return the context in which the step is tracked; as `tracked_step`.

        Of several processes that do the step together, the leader tracks it.

        Args:
            folder: Folder of the work in progress, which exists.
        """
        return tracked_step(
            self.tracking,
            step=self.title,
            settings=self.settings,
            places=self.places,
            output=self.output,
            folder=folder,
            work=self.work,
            progress=self.progress,
            is_chief=not is_led_by_another(),
        )

    def run(self, body: StepBody) -> Manifest:
        """Run the body, and publish its results once and whole; return the manifest.

        As `run_step`, or `run_step_as_follower` in a process that another one leads, as its
        environment says.

        Args:
            body: Function of (results, progress), as there.

        Raises:
            InputError: `output` holds something else, is being written, or cannot be written; or
                the body refuses its input.
            StepFailedError: Another process has taken over this work, or a process that is led
                waited in vain for its leader.
            ServiceError: The storage failed.
        """
        run = run_step_as_follower if is_led_by_another() else run_step
        return run(
            self.name,
            config=self.settings,
            inputs=self.inputs,
            output=self.output,
            work_root=self.work_root,
            body=body,
        )
