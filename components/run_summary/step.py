"""Say what became of each step of a run on a cluster, and where its log is."""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Literal

from albert_core.storage import join, write_bytes
from components.finetune.job import TaskJob
from components.outcomes import Outcome, read_outcomes

SUMMARY_NAME = "summary.json"
_VERTEX_RUN = re.compile(r"projects/([^/]+)/locations/([^/]+)/pipelineJobs/([^/]+)$")

StepState = Literal["finished", "failed", "killed", "cached", "not run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What became of a step.

    Attributes:
        name: `vocab`, `records`, `pretrain`, `finetune cola`, ...
        state: `killed` began and ended without a word, as for want of memory or on a lost node;
            `cached` was taken from an earlier run.
        num_tries: How often it began.
        seconds: How long the last try took.
        message: Why it failed.
        output: Address of what it made.
        log: Command that shows the log of the last try, where the platform is known.
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
        title: Its name.
        run: What the platform calls it.
        is_success: Whether all went well.
        error: What the platform says of a failure.
        page: The platform's page of the run, where it is known.
        steps: What became of each step, in order.
    """

    title: str
    run: str
    is_success: bool
    error: str
    page: str
    steps: Sequence[StepOutcome]


def planned_steps(records: Sequence[str], jobs: Sequence[TaskJob]) -> list[str]:
    """Return the names of a run's steps in order."""
    tasks = [job.step_name(step) for job in jobs for step in ("finetune", "evaluate")]
    return ["vocab", *records, "pretrain", *tasks, "report"]


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

    Args:
        title: Name of the run.
        run: What the platform calls it.
        runs: What the platform may call the folder of its outputs; the first that there is.
        is_success: Whether all went well.
        error: What the platform says of a failure.
        planned: Names of the steps in order.
        work_root: Folder of work in progress, where steps recorded what became of them.
        output: Folder to write to, local or gs://.
    """
    tries: dict[str, list[Outcome]] = {name: [] for name in planned}
    for outcome in read_outcomes(work_root, runs):
        tries.setdefault(outcome.step, []).append(outcome)
    summary = RunOutcome(
        title=title,
        run=run,
        is_success=is_success,
        error=error,
        page=_page_of(run),
        steps=[_step_outcome(name, own, is_success) for name, own in tries.items()],
    )
    text = json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False) + "\n"
    write_bytes(join(output, SUMMARY_NAME), text.encode())
    return _to_markdown(summary)


def _step_outcome(name: str, tries: Sequence[Outcome], is_success: bool) -> StepOutcome:
    if not tries:
        return StepOutcome(name=name, state="cached" if is_success else "not run")
    last = tries[-1]
    return StepOutcome(
        name=name,
        state="killed" if last.state == "started" else last.state,
        num_tries=len(tries),
        seconds=last.seconds,
        message=last.message,
        output=last.output,
        log=last.log,
    )


def _page_of(run: str) -> str:
    found = _VERTEX_RUN.match(run)
    if not found:
        return ""
    project, location, name = found.groups()
    place = f"https://console.cloud.google.com/vertex-ai/pipelines/locations/{location}/runs/{name}"
    return f"{place}?project={project}"


def _to_markdown(summary: RunOutcome) -> str:
    ending = "succeeded" if summary.is_success else "failed"
    lines = [f"# {summary.title}: {ending}", "", f"Run: {summary.page or summary.run}", ""]
    if summary.error:
        lines += [f"Error: {' '.join(summary.error.split())}", ""]
    lines += ["| step | state | tries | seconds | output |", "|---|---|---|---|---|"]
    lines += [
        f"| {step.name} | {step.state} | {step.num_tries} | {step.seconds:.1f} | {step.output} |"
        for step in summary.steps
    ]
    for step in summary.steps:
        if step.state in ("failed", "killed"):
            why = step.message or "ended without a word: out of memory, or its node was lost"
            log = f" Log: `{step.log}`" if step.log else ""
            lines += ["", f"**{step.name}** {step.state}: {why}.{log}"]
    return "\n".join(lines) + "\n"
