"""Run the pipeline on this machine: kfp's own local runner, with its cache.

A step is a process in the environment of the run, or a container of its image.
"""

import contextlib
import dataclasses
import json
import os
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.artifacts.output_folder import refuse_unwritable
from albert_core.artifacts.work_folder import temporary_folder
from albert_core.errors import InputError, StepFailedError
from albert_core.estimation.this_machine import refuse_unconfirmed
from albert_core.exports.formats import refuse_missing_packages
from albert_core.files.atomic import write_atomically
from albert_core.files.partial_files import remove_removed, remove_whole_folder
from albert_core.places.links import update_places
from albert_core.places.outputs import ARTIFACTS_NAME
from albert_core.processes.interruptible_calls import call_in_thread
from albert_core.processes.user_folder import temporary_files_in
from albert_core.progress import new_events, read_events
from components.file_lists import write_long_lists
from components.report.step import PAGE_NAME, SUMMARY_NAME
from components.resolve.dates import NO_DATE
from components.runtime import (
    EVENTS_NAME,
    RUN_FOLDER_VARIABLE,
    RUN_ID_VARIABLE,
    RUN_WORKERS_VARIABLE,
    log_path,
)
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.config import RunConfig, Runner
from pipeline.extras import refuse_missing_packages_of_run
from pipeline.local.containers import container_runner, engine_errors, make_writable
from pipeline.local.damage import record_cache, remove_damaged
from pipeline.local.inputs import LocalInputs
from pipeline.local.interruption import exit_when_interrupted
from pipeline.local.progress_display import show_progress
from pipeline.local.run_folder import has_begun, lock_run_folder
from pipeline.local.step_forks import forked_steps
from pipeline.local.tracked_run import keep_tracked_run, tracking_environment
from pipeline.platform_config import PARALLEL_JOBS, PlatformConfig
from pipeline.preflight import pipeline_arguments

if TYPE_CHECKING:
    from kfp.local import DockerRunner


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """The results of a finished run.

    Attributes:
        folder: The run's folder.
        page: The report, there.
        summary: The report's `components.report.summary.RunSummary`, as plain values.
        steps_run: Names of the steps that ran this time; the others were cached.
    """

    folder: Path
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
    is_confirmed: bool = True,
    work_root: str = "",
) -> RunResult:
    """Run the whole pipeline in a folder; what is there already, and whole, is not done again.

    Checks all inputs, locks the folder, runs the steps and copies the report's page to the top of
    the folder. The stable places of the folder (`albert_core.places`) follow whenever a step has
    finished, however the run ends. Progress is shown on standard output. Ctrl-C ends the steps and
    then the whole process, within seconds and with status 130. Meanwhile environment variables of
    the process name the run for its steps, and `sys.stdout` and `sys.stderr` lead to a log; kfp's
    local settings stay changed.

    Args:
        config: The run.
        folder: The run's folder: artifacts, work in progress, logs, report; made if missing.
        date: Its date, YYYY-MM-DD, for a dated run (`RunConfig.is_dated`); refused for any other.
        reconfigure: Whether the folder may take over changed settings; the steps they touch
            run again.
        runner: What a step is: a `process` in this environment, or a `docker` container.
        is_confirmed: Whether pretraining may take more than a day by the estimate of
            `this_machine`; a run that has begun in the folder (`has_begun`) goes on in any case.
        work_root: Folder of the steps' work in progress, local or in a bucket; `work` in the
            run's folder if empty.

    Raises:
        InputError: Bad input. What can be found before anything runs leaves the folder as it was;
            a new folder is removed again if no step has finished.
        StepFailedError: A step failed; the next run continues there.
        ServiceError: The storage of an input failed before anything ran.
    """
    given_folder, folder = folder, folder.absolute()
    _refuse_before_start(config, folder, runner=runner, work_root=work_root)
    inputs = LocalInputs(date=date, in_containers=runner == "docker")
    arguments = pipeline_arguments(config, inputs, work_root=work_root or folder / "work")
    if not is_confirmed:
        _refuse_long_pretraining(config, folder)
    pipeline = build_pipeline(PlatformConfig(), OptionalSteps.for_run(config))
    run_id = uuid.uuid4().hex
    tracking = tracking_environment(config.tracking, folder, arguments["title"], work_root)
    environment = {
        **tracking,
        RUN_FOLDER_VARIABLE: str(folder),
        RUN_ID_VARIABLE: run_id,
        RUN_WORKERS_VARIABLE: str(min(PARALLEL_JOBS, len(arguments["jobs"]))),
    }
    containers = container_runner(arguments, folder, environment) if runner == "docker" else None
    remove_removed(folder)
    is_new = not folder.exists()
    with (
        lock_run_folder(folder, config, run_id, reconfigure=reconfigure),
        contextlib.ExitStack() as stack,
    ):
        events = folder / EVENTS_NAME
        keep_tracked_run(folder, tracking)
        stack.enter_context(new_events(events, folder / "work" / "earlier-events.jsonl"))
        if containers is None:
            stack.enter_context(temporary_files_in(temporary_folder(folder / "work")))
        arguments = write_long_lists(arguments, folder / "work" / "file-lists")
        remove_damaged(folder)
        update_places(folder)
        try:
            with (
                _environment_variables(environment),
                exit_when_interrupted(),
                show_progress(events, on_finished=lambda: _show_outputs(folder)),
            ):
                report = call_in_thread(
                    lambda: _run_pipeline(pipeline, arguments, folder, containers)
                )
        except RuntimeError as error:
            failure = _get_failure(error, folder)
            is_refused = isinstance(failure, InputError) and not _finished_steps(folder)
            if is_new and is_refused:  # bad input leaves nothing behind
                stack.close()
                remove_whole_folder(folder)
            raise failure from error
        finally:
            record_cache(folder)
        update_places(folder, report=report)
        return _publish_page(given_folder, report, _finished_steps(folder))


def _refuse_before_start(
    config: RunConfig, folder: Path, *, runner: Runner, work_root: str
) -> None:
    """Refuse a run that cannot be done in its folder or with what is installed; write nothing.

    Raises:
        InputError: The folder cannot be written, tracking does not work from there, a package is
            missing, or models are to be registered in Vertex AI.
    """
    refuse_unwritable(folder, is_replaced=False)
    if runner == "docker":
        config.tracking.check_containers(folder)
    else:
        config.tracking.check_here(output=work_root or str(folder))
        refuse_missing_packages_of_run(has_text=not config.checkpoint.path)
        refuse_missing_packages(config.export.formats)
    if config.vertex_models.project:
        raise InputError(
            f"vertex_models.project: got {config.vertex_models.project}, expected none for a run "
            "on this machine: Vertex AI takes models from gs://; remove it, or submit the run"
        )


def _refuse_long_pretraining(config: RunConfig, folder: Path) -> None:
    """Refuse a run that has not begun in its folder and would pretrain for more than a day.

    Raises:
        InputError: It would, by the estimate of `this_machine`.
    """
    if config.checkpoint.path or has_begun(folder, config):
        return
    refuse_unconfirmed(
        config.pretraining,
        config.model.with_vocabulary(config.vocab.size),
        config.records.sequence_length,
    )


def _run_pipeline(
    pipeline: Any,
    arguments: Mapping[str, Any],
    folder: Path,
    containers: "DockerRunner | None",
) -> Path:
    """Run the pipeline by kfp's local runner and return the report's folder.

    Steps that are in kfp's cache, `cache` in the run's folder, are not run; artifacts go to
    `artifacts` there. While it runs, `sys.stdout` and `sys.stderr` write to logs/kfp.log in that
    folder, for all threads; what is written to the file descriptors 1 and 2 themselves still
    reaches the terminal. Python's warnings are not shown. kfp's local settings stay as they are set
    here.

    Args:
        pipeline: A kfp pipeline whose output is the report.
        arguments: Its arguments.
        folder: The run's folder; must exist. `logs` is made in it; with `containers` also the
            other folders that steps write to, and all is given to the containers' user
            (`make_writable`).
        containers: Runs each step in a container; None to run it as a process.

    Raises:
        RuntimeError: A step or the Docker engine failed, or there is no report.
    """
    (folder / "logs").mkdir(exist_ok=True)
    if containers:
        make_writable(folder)
    with (
        (folder / "logs" / "kfp.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        warnings.catch_warnings(),
        engine_errors() if containers else contextlib.nullcontext(),
    ):
        warnings.simplefilter("ignore")
        from kfp import local

        local.init(
            runner=containers or local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder / ARTIFACTS_NAME),
            workspace_root=str(folder / "work" / "kfp"),  # kfp removes it after the run
            enable_caching=True,
            cache_root=str(folder / "cache"),
        )
        with contextlib.nullcontext() if containers else forked_steps(pipeline, log):
            report = Path(pipeline(**arguments).output.path)
    if not (report / PAGE_NAME).is_file():  # kfp takes a container that vanished for done
        raise RuntimeError("no report")
    return report


@contextlib.contextmanager
def _environment_variables(variables: dict[str, str]) -> Iterator[None]:
    """Set variables that the steps inherit; afterwards restore their earlier values."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _show_outputs(folder: Path) -> None:
    """Link the places of a run at work to the outputs that its steps have made so far.

    Whatever stands in the way is told when the run ends.
    """
    with contextlib.suppress(InputError, OSError):
        update_places(folder)


def _get_failure(error: RuntimeError, folder: Path) -> InputError | StepFailedError:
    """Return kfp's error as the user should see it, from the events in the run's folder.

    The first failed step counts: an InputError if it failed by bad input, else a StepFailedError
    with its message and log. If no step reported a failure, the message names the steps that
    started and did not finish, with their logs.
    """
    events = read_events(folder / EVENTS_NAME)
    for event in events:
        if event["event"] != "failed":
            continue
        if event["is_bad_input"]:
            return InputError(event["message"])
        log = log_path(folder, event["step"])
        return StepFailedError(
            f"{event['step']} failed: {event['message']}; log: {log}; run again to continue there"
        )
    # A step that was killed, for memory perhaps, tells nothing: it is one that never finished.
    started = {event["step"] for event in events if event["event"] == "started"}
    lost = sorted(started - _finished_steps(folder))
    logs = ", ".join(str(log_path(folder, step)) for step in lost)
    return StepFailedError(
        f"{', '.join(lost) or 'the pipeline'} ended without a word ({error}); see "
        f"{logs or folder / 'logs' / 'kfp.log'}; run again to continue there"
    )


def _finished_steps(folder: Path) -> frozenset[str]:
    """Return the names of the steps that this run did; neither cached ones nor failed ones."""
    events = read_events(folder / EVENTS_NAME)
    return frozenset(event["step"] for event in events if event["event"] == "finished")


def _publish_page(folder: Path, report: Path, steps_run: frozenset[str]) -> RunResult:
    """Copy the report's page to the run's folder, where each run replaces it; return the result.

    Args:
        folder: The run's folder.
        report: Folder of the report, with page and summary.
        steps_run: Names of the steps that ran this time.
    """
    page = folder / PAGE_NAME
    write_atomically(page, (report / PAGE_NAME).read_bytes())
    return RunResult(
        folder=folder,
        page=page,
        summary=json.loads((report / SUMMARY_NAME).read_text(encoding="utf-8")),
        steps_run=steps_run,
    )
