"""Tell what became of each step of a run on a platform, and where its log is."""

import dataclasses
import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from albert_core.errors import InputError
from albert_core.places.copies import publish_places
from albert_core.places.outputs import read_outputs
from albert_core.storage import is_remote, join, write_bytes
from components.finetune.job import TaskJob
from components.step_attempts import StepAttempt, read_attempts
from components.steps import STEPS

SUMMARY_NAME = "summary.json"
_OWN_STEP = "summary"
_VERTEX_RUN = re.compile(r"projects/([^/]+)/locations/([^/]+)/pipelineJobs/([^/]+)$")

StepState = Literal["finished", "failed", "killed", "cached", "not run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What became of a step.

    Attributes:
        name: `vocab`, `records`, `pretrain`, `finetune cola`, ...
        state: State of the last attempt. `killed` began and recorded no end, as when memory ran
            out or its node was lost; `cached` was taken from an earlier run.
        num_tries: Number of attempts that began; 0 if the step did not run in this run.
        seconds: Duration of the last attempt; 0 if that was killed.
        message: Why the last attempt failed.
        output: Address of its output; empty where it did not run in this run.
        log: Command that shows the log of the last attempt, where the platform is known.
    """

    name: str
    state: StepState
    num_tries: int = 0
    seconds: float = 0.0
    message: str = ""
    output: str = ""
    log: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What became of a run.

    Attributes:
        title: Title of the run.
        run: The platform's name of the run.
        is_success: Whether all steps succeeded.
        error: The platform's message on a failure; empty if it has none.
        page: Address of the platform's page of the run; empty where it is not known.
        steps: What became of each step, in order.
        unreadable: A line about each record of an attempt that is damaged. What became of its step
            may differ from what is told here.
    """

    title: str
    run: str
    is_success: bool
    error: str
    page: str
    steps: Sequence[StepOutcome]
    unreadable: Sequence[str] = ()


def planned_steps(
    records_steps: Sequence[str], jobs: Sequence[TaskJob], optional_steps: Collection[str]
) -> list[str]:
    """Return the names of a run's steps, without the summary, in the order of `STEPS`.

    Consecutive steps that are repeated for each task come task by task: `finetune a`, `evaluate a`,
    `finetune b`, ...

    Args:
        records_steps: Names of the steps that make records, one for each sequence length.
        jobs: The tasks, each of which is fine-tuned and evaluated.
        optional_steps: Names of the optional steps that the run has. If the step `checkpoint` is
            among them, the run starts from a checkpoint, and the steps that need text are left out.
    """
    steps = [
        step
        for step in STEPS.values()
        if step.name != _OWN_STEP
        and (not step.is_optional or step.name in optional_steps)
        and not (step.needs_text and "checkpoint" in optional_steps)
    ]
    names: list[str] = []
    for parameter, group in itertools.groupby(steps, key=lambda step: step.repeats_for):
        group_names = [step.name for step in group]
        if parameter == "records":
            names += records_steps
        elif parameter == "jobs":
            names += [job.step_name(name) for job in jobs for name in group_names]
        else:
            names += group_names
    return names


def write_run_summary(
    *,
    title: str,
    run: str,
    runs: Sequence[str],
    is_success: bool,
    error: str,
    planned: Sequence[str],
    work_root: str,
    output: str,
) -> str:
    """Write summary.json to `output`, and return the same as Markdown.

    An earlier summary.json is replaced. In the cloud, the results of the run are copied after that
    to their places beside it (such as `models/TASK`), with scores.json, so that the folder is used
    as that of a local run; outputs that the platform took from its cache are not known here and are
    left out. If an output cannot be read or a place cannot be written, the returned text says so,
    and no error is raised; nor is one for a damaged record, which is named there, too.

    Args:
        title: Title of the run.
        run: The platform's name of the run.
        runs: Names that the platform may have given to the folder of the run's outputs; the first
            one under which steps recorded anything is used.
        is_success: Whether all steps succeeded.
        error: The platform's message on a failure.
        planned: Names of the steps in order. Others that recorded an attempt come after them.
        work_root: Folder of work in progress, where steps recorded what became of them.
        output: Folder to write to, local, gs:// or s3://.

    Raises:
        InputError: `output` cannot be written, or `work_root` must not be read.
        ServiceError: The storage failed; if that was in copying, summary.json is written.
    """
    attempts: dict[str, list[StepAttempt]] = {name: [] for name in planned}
    unreadable: list[str] = []
    for attempt in read_attempts(work_root, runs, unreadable=unreadable):
        attempts.setdefault(attempt.step, []).append(attempt)
    summary = RunOutcome(
        title=title,
        run=run,
        is_success=is_success,
        error=error,
        page=_vertex_page(run),
        steps=[_step_outcome(name, items, is_success) for name, items in attempts.items()],
        unreadable=unreadable,
    )
    text = json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False) + "\n"
    write_bytes(join(output, SUMMARY_NAME), text.encode())
    finished = [step.output for step in summary.steps if step.state == "finished"]
    return _to_markdown(summary) + _publish_results(finished, output)


def _publish_results(outputs: Sequence[str], folder: str) -> str:
    """Copy a run's results to their places beside the summary; return a line about it.

    Does nothing and returns an empty text where the summary is not in gs:// or s3://: elsewhere the
    outputs of other steps cannot be read from here. An InputError is not raised; the line gives its
    message.

    Args:
        outputs: Addresses of the outputs of steps that finished.
        folder: Folder of the summary.

    Raises:
        ServiceError: The storage failed.
    """
    if not is_remote(folder):
        return ""
    try:
        places = publish_places(read_outputs(outputs), folder)
    except InputError as error:
        return f"\nThe results are not copied to {folder}: {error}\n"
    return f"\nResults in `{folder}`: {', '.join(places) or 'none yet'}\n"


def _step_outcome(name: str, attempts: Sequence[StepAttempt], is_success: bool) -> StepOutcome:
    """Return what became of a step, from its attempts in the order they began.

    The last attempt counts; if its end was not recorded, the step was killed. A step without
    attempts did not run; if the run succeeded (`is_success`), its output was taken from the
    platform's cache.
    """
    if not attempts:
        return StepOutcome(name=name, state="cached" if is_success else "not run")
    last = attempts[-1]
    return StepOutcome(
        name=name,
        state="killed" if last.state == "started" else last.state,
        num_tries=len(attempts),
        seconds=last.seconds,
        message=last.message,
        output=last.output,
        log=last.log,
    )


def _vertex_page(run: str) -> str:
    """Return the address of a run's page on Vertex AI; empty for a run of another platform.

    Args:
        run: The platform's name, on Vertex AI `projects/P/locations/L/pipelineJobs/NAME`.
    """
    match = _VERTEX_RUN.match(run)
    if not match:
        return ""
    project, location, name = match.groups()
    page = f"https://console.cloud.google.com/vertex-ai/pipelines/locations/{location}/runs/{name}"
    return f"{page}?project={project}"


def _to_markdown(summary: RunOutcome) -> str:
    """Return title, outcome and error of a run, a table of its steps, and what failed.

    There is a paragraph for each step that failed or was killed, and for each damaged record. Text
    is not escaped.
    """
    ending = "succeeded" if summary.is_success else "failed"
    lines = [f"# {summary.title}: {ending}", "", f"Run: {summary.page or summary.run}", ""]
    if summary.error:
        lines += [f"Error: {' '.join(summary.error.split())}", ""]
    lines += ["| step | state | tries | seconds | output |", "|---|---|---|---|---|"]
    lines += [
        f"| {step.name} | {step.state} | {step.num_tries} | {step.seconds:.1f} | {step.output} |"
        for step in summary.steps
    ]
    lines += _failure_lines(summary.steps)
    for record in summary.unreadable:
        lines += ["", f"A step may have ended otherwise than it says here: {record}"]
    return "\n".join(lines) + "\n"


def _failure_lines(steps: Sequence[StepOutcome]) -> Iterator[str]:
    """Yield two lines of Markdown, the first empty, for each step that failed or was killed."""
    for step in steps:
        if step.state in ("failed", "killed"):
            reason = step.message or "ended without a word: out of memory, or its node was lost"
            log = f" Log: `{step.log}`" if step.log else ""
            yield from ("", f"**{step.name}** {step.state}: {reason}.{log}")
