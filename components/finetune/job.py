"""A task of the pipeline: the parameters of its fine-tuning and its evaluation."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.settings import parse_settings
from albert_core.settings.checks import check_one_place
from albert_core.tasks import TASKS, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskJob:
    """A task to fine-tune and evaluate: an item of the pipeline's loop over tasks.

    Attributes:
        task: The task.
        data: Folder of its files, local, gs:// or s3://.
        data_fingerprint: Hash of those files, so that changed data is a miss in kfp's cache.
        initialization: What weights it starts from.
        finetuning: The settings for this task.
    """

    task: Task
    data: str
    data_fingerprint: str
    initialization: Initialization
    finetuning: FinetuningConfig

    def step_name(self, step: str) -> str:
        """Return the display name of one of the job's steps, such as `evaluate cola random`."""
        return task_step_name(step, self.task.name, self.initialization)

    def evaluation_devices(self) -> dict[str, Any]:
        """Return the arguments of `evaluate` that tell its devices; without any it takes all.

        The evaluation is another step, perhaps with other devices and another backend than the
        fine-tuning. Only a model that is cut over groups of devices needs such groups again.
        """
        config = self.finetuning
        if config.strategy != "model_parallel":
            return {}
        return {"strategy": config.strategy, "model_parallel_size": config.model_parallel_size}

    def to_values(self) -> dict[str, Any]:
        """Return the job as plain values for a pipeline's parameters, which `parse_job` reads.

        Known tasks are given by name and default settings are left out, since Kubeflow limits the
        parameters of a run to 10,000 bytes; whether they keep to it is not checked here.
        """
        is_known = TASKS.get(self.task.name) == self.task
        return {
            "task": self.task.name if is_known else _changed(self.task),
            "data": self.data,
            "data_fingerprint": self.data_fingerprint,
            "initialization": self.initialization,
            "finetuning": _changed(self.finetuning),
        }


def parse_job(values: Mapping[str, Any]) -> TaskJob:
    """Return the job from the values of `TaskJob.to_values`.

    Settings that are left out are the defaults of this version.

    Raises:
        InputError: A setting or a task is unknown to this version, or a value is impossible.
    """
    task = values.get("task")
    if not isinstance(task, str):
        return parse_settings(TaskJob, values, source="task")
    if task not in TASKS:
        raise InputError(f"task {task!r}: unknown to this version; compile the pipeline with it")
    named = dataclasses.asdict(TASKS[task])
    return parse_settings(TaskJob, {**values, "task": named}, source=f"task {task}")


def task_step_name(step: str, task: str, initialization: str) -> str:
    """Return `{step} {task}`, with ` random` after it for the baseline from random weights."""
    return f"{step} {task}" + (" random" if initialization == "random" else "")


def refuse_repeated_tasks(
    step: str, configs: Sequence[Mapping[str, Any]], folders: Sequence[str | Path]
) -> None:
    """Refuse several outputs of one task whose weights all began pretrained, or all random.

    They count as the same model, of which only one would be used; which pretrained weights they
    began with, and other settings, are not compared.

    Args:
        step: What reads them, for the message.
        configs: Settings in the manifests of fine-tunings, or of evaluations.
        folders: Where these are, in the same order.

    Raises:
        InputError: There are such outputs; two are named.
    """
    names = [task_step_name("task", config["task"], config["initialization"]) for config in configs]
    check_one_place(
        step,
        zip(names, folders, strict=True),
        shared="of",
        expected="expected one for each task",
    )


def _changed(settings: Any) -> Any:
    """Return settings as plain values, without the fields that are the default.

    Args:
        settings: A dataclass, which becomes a dict; mappings, sequences (which become lists) and
            plain values, in which dataclasses are looked for.
    """
    if isinstance(settings, list | tuple):
        return [_changed(item) for item in settings]
    if isinstance(settings, Mapping):
        return {key: _changed(value) for key, value in settings.items()}
    if not dataclasses.is_dataclass(settings):
        return settings
    return {
        field.name: _changed(value)
        for field in dataclasses.fields(settings)
        if (value := getattr(settings, field.name)) != _default(field)
    }


def _default(field: dataclasses.Field) -> Any:
    """Return the default of a field; a marker of dataclasses, equal to no value, if it has none."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()
