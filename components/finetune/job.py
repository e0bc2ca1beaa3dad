"""One item of the pipeline's fan-out over tasks."""

import dataclasses

from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.tasks import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskJob:
    """A task to fine-tune and evaluate, with everything its components need to know.

    Attributes:
        task: The task.
        data: Folder of its files.
        data_fingerprint: Hash of those files: changed data is a new job.
        initialization: What weights it starts from.
        finetuning: The settings for this task.
    """

    task: Task
    data: str
    data_fingerprint: str
    initialization: Initialization
    finetuning: FinetuningConfig

    def step_name(self, step: str) -> str:
        """Return the name of one of the job's steps as people read it."""
        return task_step_name(step, self.task.name, self.initialization)


def task_step_name(step: str, task: str, initialization: str) -> str:
    """Return the name of a task's step; the baseline from random weights is marked."""
    return f"{step} {task}" + (" random" if initialization == "random" else "")
