"""Submit the pipeline to a platform: check everything first, start it once, watch it."""

import dataclasses
import datetime
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.storage import is_remote, local_folder
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.estimation import CostLimit, check_cost
from pipeline.package import Package, read_package
from pipeline.preflight import pipeline_arguments
from pipeline.submission_checks import check_images, check_inputs_are_remote
from pipeline.targets.target import RemoteRun, RunState, Submission, Target

_LONGEST_PAUSE_S = 60.0


def prepare(
    config: RunConfig,
    target: Target,
    *,
    package: str,
    date: str,
    caching: bool,
    limit: CostLimit,
    image_calls: CallConfig | None,
) -> Submission:
    """Check a run as far as that goes from here, and return what to submit.

    Args:
        config: The run.
        target: Where to.
        package: File of the compiled pipeline.
        date: Date of a dated run, or what a schedule passes for it.
        caching: Whether steps that ran before may be taken from the platform's cache.
        limit: The most it may cost.
        image_calls: How patient to be with the registry; None to leave the images unchecked.

    Raises:
        InputError: Something is missing, wrong, too large or too expensive.
        ServiceError: A registry did not answer.
    """
    check_inputs_are_remote(config)
    compiled = _compiled(package)
    parameters = _parameters(config, target.work_root, date)
    compiled.check_parameters(parameters, max_bytes=target.max_parameter_bytes)
    if image_calls is not None:
        check_images(compiled, image_calls)
    check_cost(config, limit)
    return Submission(
        title=config.title,
        package=compiled if caching else compiled.without_caching(),
        parameters=parameters,
    )


def _compiled(package: str) -> Package:
    if not package:
        raise InputError("--package: got nothing, expected the file that `albert compile` wrote")
    return read_package(package)


def _parameters(config: RunConfig, work_root: str, date: str) -> dict[str, Any]:
    """Return the pipeline's parameters; the tasks' data is read here, and named where it lies."""
    if not is_remote(config.data_dir):
        return pipeline_arguments(config, work_root=work_root, date=date, resolves=True)
    here = str(local_folder(config.data_dir))
    local = dataclasses.replace(config, data_dir=here)
    arguments = pipeline_arguments(local, work_root=work_root, date=date, resolves=True)
    address = config.data_dir.rstrip("/")
    for job in arguments["jobs"]:
        job["data"] = job["data"].replace(here, address, 1)
    return arguments


def new_run_id(title: str) -> str:
    """Return a name for a run: its title, and the time."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    now = datetime.datetime.now(datetime.UTC)
    return f"{slug if slug[:1].isalpha() else f'albert-{slug}'}-{now:%Y%m%d-%H%M%S}"


def submit(target: Target, submission: Submission, run_id: str) -> RemoteRun:
    """Start a run, or find the one that this command started before.

    Raises:
        InputError: The name is taken by a run of something else.
        ServiceError: The platform refused, or kept failing.
    """
    request = target.run_request(submission, run_id)
    run = target.service.create_once(
        f"submit {run_id}",
        find=lambda timeout_s: target.find_run(run_id, timeout_s),
        create=lambda timeout_s: target.start_run(request, run_id, timeout_s),
    )
    if run.fingerprint != request.fingerprint:
        raise InputError(
            f"--run_id: {run_id} is a run of other settings already ({run.url}); choose another"
        )
    return run


def watch(target: Target, run: RemoteRun, run_id: str, show: Callable[[str], None]) -> None:
    """Show the states of a run's tasks until it ends. Ctrl-C ends the watching, not the run.

    Args:
        target: Where it runs.
        run: The run.
        run_id: Its name.
        show: Told each change as a line.

    Raises:
        StepFailedError: The run failed, or is not watched to its end.
    """
    shown: dict[str, str] = {}
    try:
        for state in _states(target, run):
            changes = {
                name: value
                for name, value in {**state.tasks, "the run": state.state}.items()
                if shown.get(name) != value
            }
            shown |= changes
            for name, value in changes.items():
                show(f"{datetime.datetime.now():%H:%M:%S}  {name}: {value}")
    except (KeyboardInterrupt, ServiceError) as error:
        reason = "stopped watching" if isinstance(error, KeyboardInterrupt) else str(error)
        raise StepFailedError(
            f"{reason}; the run goes on: {run.url}; watch it again by the same command with "
            f"--run_id {run_id}"
        ) from error
    if not state.has_succeeded:
        reasons = "; ".join(f"{name}: {text}" for name, text in state.errors.items())
        raise StepFailedError(
            f"{run_id} ended as {state.state}{': ' if reasons else ''}{' '.join(reasons.split())}; "
            f"logs: {run.url}; submit again to continue there"
        )


def _states(target: Target, run: RemoteRun) -> Iterator[RunState]:
    """Yield the states of a run, ever more slowly while nothing changes."""
    first = pause_s = target.service.config.first_pause_s
    before = None
    while True:
        state = target.service.call(
            f"watch {run.name}", lambda timeout_s: target.run_state(run, timeout_s)
        )
        yield state
        if state.has_ended:
            return
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if state == before else first
        before = state
        time.sleep(pause_s)
