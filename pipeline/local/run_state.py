"""Describe what is in a run's folder: how its last run ended, its steps, scores and models."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.files.locks import LOCK_NAME, is_locked
from albert_core.places.models import list_remote_models, run_models
from albert_core.places.outputs import (
    REPORT_PLACE,
    RUN_CONFIG_NAME,
    RunOutputs,
    StepOutput,
    find_outputs,
)
from albert_core.places.scores import SCORES_NAME, TaskScore, task_scores
from albert_core.places.stored import find_stored_outputs
from albert_core.progress import read_events
from albert_core.settings import parse_settings
from albert_core.settings.json_values import JsonObject, parse_json
from albert_core.settings.yaml_text import load_yaml
from albert_core.storage import exists, is_remote, join, read_bytes
from components.finetune.job import task_step_name
from components.records.job import records_step_names
from components.run_summary.step import SUMMARY_NAME
from components.runtime import EVENTS_NAME, log_path

RunState = Literal["at work", "finished", "failed", "interrupted"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRow:
    """A step of a run.

    Attributes:
        name: `vocab`, `finetune cola`, ...
        state: `done`, `failed`, `at work` or `not finished`.
        seconds: How long it took; None unless it is done.
        metrics: Its metrics, as in its manifest; empty unless it is done.
    """

    name: str
    state: str
    seconds: float | None = None
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunDescription:
    """A run's folder.

    Attributes:
        folder: The folder, local, gs:// or s3://.
        title: Title of the run.
        state: How the last run in the folder ended, or that it is at work.
        message: Why the run failed, and where its log is; empty unless it failed.
        steps: The steps, in order: first the ones that are done, then the others.
        scores: Scores of its tasks.
        models: Folders of the run's models, by their places in the run's folder.
    """

    folder: str
    title: str
    state: RunState
    message: str
    steps: Sequence[StepRow]
    scores: Sequence[TaskScore]
    models: Mapping[str, str]


def is_stored_run(address: str) -> bool:
    """Return whether an address is a folder in a bucket with the scores that a run leaves there.

    Nothing else of it is looked at; false for local folders, and for runs that have written no
    scores yet.

    Raises:
        InputError: The bucket cannot be read, or the address is in no known storage.
        ServiceError: The storage failed.
    """
    return is_remote(address) and exists(join(address, SCORES_NAME))


def describe_stored_run(address: str) -> RunDescription:
    """Describe the results of a run in a bucket, from scores, manifests, summary and settings.

    Reads only small files. Steps whose outputs the platform took from its cache are missing, as
    nothing of them is in the bucket. A run counts as finished unless its summary says that it
    failed, even if it is still going on.

    Raises:
        InputError: A file of the run cannot be read, or its scores or its summary are not a JSON
            object.
        ServiceError: The storage failed.
    """
    root = address.rstrip("/")
    outputs = find_stored_outputs(root)
    has_summary = exists(join(root, SUMMARY_NAME))
    summary = _read_stored_object(root, SUMMARY_NAME).values if has_summary else {}
    rows = _read_stored_object(root, SCORES_NAME).objects("tasks")
    return RunDescription(
        folder=root,
        title=summary.get("title") or _read_stored_title(join(root, RUN_CONFIG_NAME)),
        state="finished" if summary.get("is_success", True) else "failed",
        message=summary.get("error", ""),
        steps=list(_done_steps(outputs, except_for=())),
        scores=[parse_settings(TaskScore, row.values, source=row.place) for row in rows],
        models=list_remote_models(root),
    )


def _read_stored_title(path: str) -> str:
    """Return the title in the configuration of a run in a bucket; empty where there is none.

    A run on this machine leaves it there, one on a platform leaves the title in its summary.

    Raises:
        InputError: The bucket cannot be read.
        ServiceError: The storage failed.
    """
    return _title_in(read_bytes(path), path) if exists(path) else ""


def _read_stored_object(root: str, name: str) -> JsonObject:
    """Return the JSON object in a file of a run in a bucket, with the file's address as `place`.

    Args:
        root: Address of the run's folder.
        name: Name of the file in it.

    Raises:
        InputError: The file cannot be read, or does not hold a JSON object.
        ServiceError: The storage failed.
    """
    path = join(root, name)
    expected = "what the run wrote there; run it again with the same output"
    return JsonObject.of(parse_json(read_bytes(path), path, expected=expected), path)


def describe_run(folder: Path) -> RunDescription:
    """Describe the folder of a run of any version from its events and manifests.

    The run is at work if its lock is held, failed if the last event of a step is a failure,
    interrupted if a step has begun and not ended, and otherwise finished.

    Args:
        folder: A run's folder on this machine, with its configuration (`is_run_folder`).

    Raises:
        InputError: A file of the run cannot be read.
    """
    last = _last_events(folder)
    failures = [event for event in last.values() if event["event"] == "failed"]
    unfinished = [step for step, event in last.items() if event["event"] != "finished"]
    if _is_locked(folder):
        state: RunState = "at work"
    elif failures:
        state = "failed"
    else:
        state = "interrupted" if unfinished else "finished"
    report = folder / REPORT_PLACE
    is_whole = state == "finished" and report.is_dir()
    outputs = find_outputs(folder, report=report if is_whole else None)
    return RunDescription(
        folder=str(folder),
        title=_title_in((folder / RUN_CONFIG_NAME).read_bytes(), str(folder / RUN_CONFIG_NAME)),
        state=state,
        message=_failure_message(folder, failures[0]) if failures else "",
        steps=[
            *_done_steps(outputs, except_for=unfinished),
            *(StepRow(name=step, state=_step_state(last[step], state)) for step in unfinished),
        ],
        scores=task_scores(outputs),
        models={place: str(model) for place, model in run_models(folder).items()},
    )


def _title_in(config: bytes, source: str) -> str:
    """Return the title in the configuration of a run; empty if that is not YAML or has none."""
    with contextlib.suppress(InputError):
        values = load_yaml(config, source=source)
        return str(values.get("title", "")) if isinstance(values, Mapping) else ""
    return ""


def _last_events(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the last event of each step of the last run, in the order in which they began.

    By the step's name; empty where the run has written no events.
    """
    path = folder / EVENTS_NAME
    return {event["step"]: event for event in read_events(path)} if path.is_file() else {}


def _is_locked(folder: Path) -> bool:
    """Return whether a run is at work in a folder.

    It then holds the folder's lock. Returns False if there is no file of a lock, and on file
    systems without locks.
    """
    return is_locked(folder / LOCK_NAME) is True


def _failure_message(folder: Path, event: Mapping[str, Any]) -> str:
    return f"{event['step']}: {event['message']}; log: {log_path(folder, event['step'])}"


def _step_state(event: Mapping[str, Any], state: RunState) -> str:
    """Return the state of a step whose last event, `event`, is not `finished`.

    It is `failed` if that event is a failure; otherwise `at work` if the run is, as `state` says,
    or else `not finished`.
    """
    if event["event"] == "failed":
        return "failed"
    return "at work" if state == "at work" else "not finished"


def _done_steps(outputs: RunOutputs, *, except_for: Sequence[str]) -> Iterator[StepRow]:
    """Yield a row for each output that exists.

    Args:
        outputs: The outputs of a run.
        except_for: Names of steps to leave out, as they were begun again and have not ended.
    """
    for name, output in _named_outputs(outputs):
        if output and name not in except_for:
            manifest = output.manifest
            yield StepRow(
                name=name, state="done", seconds=manifest.seconds, metrics=manifest.metrics
            )


def _named_outputs(outputs: RunOutputs) -> Iterator[tuple[str, StepOutput | None]]:
    """Yield the outputs of a run with the names of their steps, in the order of the steps.

    None stands for a missing vocabulary, export or report; other missing outputs are left out.
    """
    yield "vocab", outputs.vocab
    yield from zip(records_step_names(list(outputs.records)), outputs.records.values(), strict=True)
    if outputs.pretrained:
        yield outputs.pretrained.manifest.step, outputs.pretrained
    for step, of_models, of_baselines in (
        ("finetune", outputs.models, outputs.random_models),
        ("evaluate", outputs.evaluations, outputs.random_evaluations),
    ):
        for initialization, by_task in (("pretrained", of_models), ("random", of_baselines)):
            for task, output in by_task.items():
                yield task_step_name(step, task, initialization), output
    yield "export", outputs.export
    yield "report", outputs.report
