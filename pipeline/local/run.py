"""Run the pipeline on this machine: kfp's own local runner, with its cache.

A step is a process in the environment of the run, or a container of its image.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from albert_core.errors import InputError, StepFailedError
from albert_core.exports.formats import refuse_missing_packages
from albert_core.files import write_atomically
from albert_core.progress import read_events
from components.report.step import PAGE_NAME, SUMMARY_NAME
from components.resolve.dates import NO_DATE
from components.runtime import (
    EVENTS_NAME,
    LOCK_NAME,
    RUN_FOLDER_VARIABLE,
    RUN_ID_VARIABLE,
    RUN_WORKERS_VARIABLE,
    log_path,
)
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.config import RunConfig, Runner, differences, to_values
from pipeline.local.containers import container_runner, engine_failures, hand_over
from pipeline.local.inputs import LocalInputs
from pipeline.local.interruption import call_in_thread, leaving_at_once
from pipeline.local.progress_display import show_progress
from pipeline.platform_config import PARALLEL_JOBS, PlatformConfig
from pipeline.preflight import pipeline_arguments

CONFIG_NAME = "config.yaml"
if TYPE_CHECKING:
    from kfp.local import DockerRunner

# Settings that may change between runs of one folder: they add or leave out tasks.
_FREE_SETTINGS = ("tasks", "random_weights_baseline")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a finished run left.

    Attributes:
        page: The report.
        summary: The report's `components.report.summary.RunSummary`, as plain values.
        steps_run: Names of the steps that ran this time; the others were cached.
    """

    page: Path
    summary: dict[str, Any]
    steps_run: frozenset[str]


def run_locally(
    config: RunConfig,
    folder: Path,
    *,
    date: str = NO_DATE,
    reconfigure: bool = False,
    runner: Runner = "process",
) -> RunResult:
    """Run the whole pipeline in a folder; what is there already is not done again.

    Args:
        config: The run.
        folder: The run's folder: artifacts, work in progress, logs, report.
        date: Its date, if anything depends on that.
        reconfigure: Whether the folder may take over changed settings; the steps they touch
            run again.
        runner: What a step is: a `process` in this environment, or a `docker` container.

    Raises:
        InputError: Bad input. What can be found before anything runs leaves the folder as it was.
        StepFailedError: A step failed; the next run continues there.
    """
    folder = folder.absolute()
    if runner == "process":
        refuse_missing_packages(config.export.formats)
    arguments = pipeline_arguments(config, LocalInputs(date=date), work_root=folder / "work")
    pipeline = build_pipeline(PlatformConfig(), OptionalSteps.for_run(config))
    run_id = uuid.uuid4().hex
    environment = {
        RUN_FOLDER_VARIABLE: str(folder),
        RUN_ID_VARIABLE: run_id,
        RUN_WORKERS_VARIABLE: str(min(PARALLEL_JOBS, len(arguments["jobs"]))),
    }
    containers = container_runner(arguments, folder, environment) if runner == "docker" else None
    is_new = not folder.exists()
    with _claimed(folder, config, run_id, reconfigure=reconfigure):
        events = folder / EVENTS_NAME
        write_atomically(events, b"")
        try:
            with _environment(environment), leaving_at_once(), show_progress(events):
                report = call_in_thread(
                    lambda: _run_pipeline(pipeline, arguments, folder, containers)
                )
            if not (report / PAGE_NAME).is_file():  # kfp takes a container that vanished for done
                raise RuntimeError("no report")
        except RuntimeError as error:
            raise _explained(error, folder, is_new=is_new) from error
        return _result(folder, report)


@contextlib.contextmanager
def _claimed(folder: Path, config: RunConfig, run_id: str, *, reconfigure: bool) -> Iterator[None]:
    """Hold the run's folder alone, refusing one of another configuration."""
    _refuse_other_run(folder, config, reconfigure=reconfigure)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"output {folder}: another run is at work there") from None
        lock.truncate(0)
        lock.write(run_id)
        lock.flush()
        text = yaml.safe_dump(to_values(config), sort_keys=False, allow_unicode=True)
        write_atomically(folder / CONFIG_NAME, text.encode())
        yield


def _refuse_other_run(folder: Path, config: RunConfig, *, reconfigure: bool) -> None:
    saved = folder / CONFIG_NAME
    if not saved.is_file():
        if folder.exists() and (not folder.is_dir() or _holds_more_than_a_lock(folder)):
            raise InputError(
                f"output {folder}: exists and is not a run's folder; choose a new or empty one"
            )
        return
    theirs = yaml.safe_load(saved.read_text(encoding="utf-8"))
    changed = [
        name for name in differences(to_values(config), theirs) if name not in _FREE_SETTINGS
    ]
    if changed and not reconfigure:
        raise InputError(
            f"output {folder}: belongs to another configuration, different in "
            f"{', '.join(changed)}; choose another --output, or pass --reconfigure to run again "
            "there what the change touches"
        )


def _holds_more_than_a_lock(folder: Path) -> bool:
    """Whether a folder without a configuration is more than a run killed as it began."""
    return any(entry.name != LOCK_NAME for entry in folder.iterdir())


def _run_pipeline(
    pipeline: Any,
    arguments: Mapping[str, Any],
    folder: Path,
    containers: "DockerRunner | None",
) -> Path:
    """Run kfp with its own chatter in a log file; return the report's folder."""
    (folder / "logs").mkdir(exist_ok=True)
    if containers:
        hand_over(folder)
    with (
        (folder / "logs" / "kfp.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        engine_failures() if containers else contextlib.nullcontext(),
    ):
        warnings.simplefilter("ignore")
        from kfp import local

        local.init(
            runner=containers or local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder / "artifacts"),
            workspace_root=str(folder / "work" / "kfp"),  # kfp removes it after the run
            enable_caching=True,
            cache_root=str(folder / "cache"),
        )
        return Path(pipeline(**arguments).output.path)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def _explained(error: RuntimeError, folder: Path, *, is_new: bool) -> Exception:
    """Return the failure as the user should see it, from what the failing step left."""
    events = read_events(folder / EVENTS_NAME)
    failures = [event for event in events if event["event"] == "failed"]
    if not failures:
        lost = {e["step"] for e in events if e["event"] == "started"}
        lost -= {e["step"] for e in events if e["event"] == "finished"}
        logs = ", ".join(str(log_path(folder, step)) for step in sorted(lost))
        return StepFailedError(
            f"{', '.join(sorted(lost)) or 'the pipeline'} ended without a word ({error}); "
            f"see {logs or folder / 'logs' / 'kfp.log'}; run again to continue there"
        )
    failure = failures[0]
    if failure["is_bad_input"]:
        if is_new and not any(event["event"] == "finished" for event in events):
            shutil.rmtree(folder)
        return InputError(failure["message"])
    return StepFailedError(
        f"{failure['step']} failed: {failure['message']}; log: "
        f"{log_path(folder, failure['step'])}; run again to continue there"
    )


def _result(folder: Path, report: Path) -> RunResult:
    """Put the page where it stays from run to run, and read what it says."""
    page = folder / PAGE_NAME
    write_atomically(page, (report / PAGE_NAME).read_bytes())
    events = read_events(folder / EVENTS_NAME)
    return RunResult(
        page=page,
        summary=json.loads((report / SUMMARY_NAME).read_text(encoding="utf-8")),
        steps_run=frozenset(event["step"] for event in events if event["event"] == "finished"),
    )
