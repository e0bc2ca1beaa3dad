"""Fine-tuning and evaluation of a task as a command, for machines outside of the pipeline.

`albert finetune` takes a task by its name and settings for all tasks; a run has resolved both
already. This command takes what the run resolved, so that the work is that of the pipeline's own
steps, to the fingerprint: `python -m components.task_command finetune JSON`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from albert_core.artifacts.manifest import Manifest
from albert_core.processes.library_logs import quiet_libraries
from albert_core.processes.stops import answered_stops
from albert_core.processes.unused_imports import skip_unused_imports
from albert_core.progress import ReportProgress, to_stderr
from albert_core.settings import parse_settings
from components.finetune.job import parse_job
from components.tpu_job import TpuJob, run_on_tpus

TaskStep = Literal["finetune", "evaluate"]
"""Name of a step that runs for each task."""


def task_command(
    step: TaskStep, *, job: Mapping[str, Any], model: str, output: str, work_root: str
) -> list[str]:
    """Return the command line that runs a step for a task, for an image with `albert`.

    Args:
        step: The step.
        job: Values of `components.finetune.job.TaskJob.to_values`.
        model: The model to start from, or to evaluate.
        output: Folder to make.
        work_root: Folder of work in progress.
    """
    settings = {"job": job, "model": model, "output": output, "work_root": work_root}
    return ["python", "-m", "components.task_command", step, json.dumps(settings)]


def run_task_on_tpus(
    step: TaskStep,
    *,
    job: Mapping[str, Any],
    model: str,
    output: str,
    work_root: str,
    project: str,
    location: str,
    tpu_job: Mapping[str, Any],
    progress: ReportProgress,
) -> Manifest:
    """Run a step for a task by a custom job of Vertex AI; return the manifest of its output.

    A repeated call waits for the unfinished job of the same settings. SIGTERM and Ctrl-C cancel the
    job, if this is called in the main thread.

    Args:
        step: The step.
        job: Values of `components.finetune.job.TaskJob.to_values`.
        model: The model to start from, or to evaluate, at gs://.
        output: Folder to make, at gs://.
        work_root: Folder of work in progress, at gs://.
        project: Google Cloud project.
        location: Region that has the TPUs.
        tpu_job: Values of a `TpuJob`.
        progress: Called with the custom job's states.

    Raises:
        StepFailedError: The job failed, was cancelled, or left no manifest at `output`; a
            StoppedError, if a signal to this process cancelled it.
        ServiceError: Vertex AI refused a call, or kept failing; or the storage failed.
        InputError: There are no credentials, a value of `tpu_job` is impossible, or the manifest
            cannot be read.
    """
    return run_on_tpus(
        command=task_command(step, job=job, model=model, output=output, work_root=work_root),
        output=output,
        work_root=work_root,
        project=project,
        location=location,
        job=parse_settings(TpuJob, tpu_job, source="tpu_job"),
        progress=progress,
    )


def run_task(
    step: TaskStep, *, job: Mapping[str, Any], model: str, output: str, work_root: str
) -> Manifest:
    """Run a step for a task, as its component does; return the manifest of its output.

    Progress goes to standard error.

    Args:
        step: The step.
        job: Values of `components.finetune.job.TaskJob.to_values`.
        model: The model to start from, or to evaluate.
        output: Folder to make.
        work_root: Folder of work in progress.

    Raises:
        InputError: A value of `job` is impossible, or an input of the step missing or unusable.
        StepFailedError: A training was interrupted or diverged, or another process has taken over
            this work.
        ServiceError: The storage failed.
    """
    settings = parse_job(job)
    places: dict[str, Any] = {
        "data": settings.data,
        "output": output,
        "work_root": work_root,
        "progress": to_stderr(settings.step_name(step), every_s=30.0),
    }
    if step == "evaluate":
        from components.evaluate.step import evaluate

        return evaluate(model=model, **settings.evaluation_devices(), **places)
    from components.finetune.step import finetune

    return finetune(
        task=settings.task,
        pretrained=model,
        initialization=settings.initialization,
        config=settings.finetuning,
        **places,
    )


def main(arguments: Sequence[str]) -> None:
    """Run the step that the first argument names with the settings of the second, as JSON.

    The settings are the other arguments of `run_task`. SIGTERM and Ctrl-C end the process, with
    status 143 or 130.

    Args:
        arguments: The two arguments of the command line, without the program's name.
    """
    skip_unused_imports()
    quiet_libraries()
    with answered_stops(ends_process=True):
        step, settings = arguments
        run_task(step, **json.loads(settings))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
