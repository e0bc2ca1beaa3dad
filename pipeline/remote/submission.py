"""Submit the pipeline to a platform: check everything first, start it once, watch it."""

import dataclasses
import datetime
import re
import time
from collections.abc import Callable, Iterator

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.progress import to_stderr
from components.resolve.dates import parse_date, today, with_date
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.estimation import CostLimit, check_cost
from pipeline.remote.image_registry import check_image
from pipeline.remote.package import Package, parse_package, read_package
from pipeline.remote.plan import refuse_other_forms
from pipeline.remote.platforms.platform import Platform, RemoteRun, RunState, Submission

_LONGEST_PAUSE_S = 60.0
_LONGEST_SLUG = 40  # characters of a title in the name of a run


def prepare(
    config: RunConfig,
    platform: Platform,
    *,
    resources: str,
    caching: bool,
    limit: CostLimit,
    image_calls: CallConfig | None,
) -> Submission:
    """Compile a run for a platform, check it as far as that goes, and return what to submit.

    Images are looked for in their registry, and the cost is estimated last, if it has a limit.
    Progress goes to standard error; nothing is submitted.

    Args:
        config: The run.
        platform: The platform.
        resources: YAML file with what steps get, where it is not the default; empty for none.
        caching: Whether the platform may skip steps it has seen with these inputs.
        limit: The most that pretraining may cost.
        image_calls: Time-outs and retries of calls to the registry; None to leave the images
            unchecked.

    Raises:
        InputError: Something is missing, wrong, too large or too expensive.
        ServiceError: A registry or a storage failed. That a bucket with inputs is not reached is an
            error with `caching` only.
    """
    from pipeline.remote.compilation import compile_pipeline

    step_resources = platform.read_resources(resources)
    compiled = compile_pipeline(
        config,
        resources=step_resources,
        work_root=platform.work_root,
        caching=caching,
        progress=to_stderr("compile"),
    )
    submission = _make_submission(parse_package(compiled.text, source="the compiled pipeline"))
    _check_images(submission.package, image_calls)
    check_cost(config, step_resources.pretrain.tpu, limit)
    return submission


def prepare_package(path: str, platform: Platform, *, image_calls: CallConfig | None) -> Submission:
    """Check a pipeline that was compiled before, and return what to submit.

    Its inputs and cost are not checked.

    Args:
        path: Its file.
        platform: The platform.
        image_calls: Time-outs and retries of calls to the registry; None to leave the images
            unchecked.

    Raises:
        InputError: The file is missing or no compiled pipeline, or one for another platform; a
            parameter has no value, an image is missing, or it was compiled with another folder of
            work in progress than the platform's settings say.
        ServiceError: A registry, or the storage of the file, failed.
    """
    package = read_package(path)
    refuse_other_forms(package)
    submission = _make_submission(platform.complete_package(package))
    platform.check_package(submission)
    _check_images(package, image_calls)
    compiled_for = submission.parameters.get("work_root")
    if compiled_for != platform.work_root:
        raise InputError(
            f"--package {path}: compiled with --work_root {compiled_for}, expected "
            f"{platform.work_root}, which {platform.rules.name}'s settings say; make them the same"
        )
    return submission


def _make_submission(package: Package) -> Submission:
    """Return a package as a submission, with the values of the package's parameters.

    Raises:
        InputError: A parameter has no value.
    """
    parameters = package.parameters()
    return Submission(
        title=str(parameters.get("title", "albert")), package=package, parameters=parameters
    )


def _check_images(package: Package, image_calls: CallConfig | None) -> None:
    """Refuse a package of which an image is not in its registry.

    Args:
        package: The compiled pipeline.
        image_calls: Time-outs and retries of calls to the registry; None to leave the images
            unchecked.

    Raises:
        InputError: One is not.
        ServiceError: A registry did not answer.
    """
    if image_calls is not None:
        for image in package.images():
            check_image(image, image_calls)


def with_run_date(submission: Submission, date: str, platform: Platform) -> Submission:
    """Return a submission with its date in title and parameters, in place of the placeholders.

    Args:
        submission: What is submitted. One that depends on no date is returned as it is.
        date: YYYY-MM-DD; today, in UTC, when empty.
        platform: The platform, whose placeholder for schedules the parameter `date` holds.

    Raises:
        InputError: It is not a date, or it is given and nothing depends on it.
    """
    if submission.parameters.get("date") != platform.rules.scheduled_date:
        if date:
            raise InputError(f"--date: got {date}, expected none, since nothing depends on it")
        return submission
    day = parse_date(date or today())
    return dataclasses.replace(
        submission,
        title=with_date(submission.title, day),
        parameters={**submission.parameters, "date": day},
    )


def new_run_id(title: str) -> str:
    """Return a name for a run: its title in lower case with hyphens, and the time in UTC.

    It begins with a letter and has 63 characters at most, which all platforms take: the end of a
    longer title is left out. Two calls within a second return the same name.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:_LONGEST_SLUG].strip("-")
    now = datetime.datetime.now(datetime.UTC)
    return f"{slug if slug[:1].isalpha() else f'albert-{slug}'}-{now:%Y%m%d-%H%M%S}"


def submit(platform: Platform, submission: Submission, run_id: str) -> RemoteRun:
    """Start a run, or find the one that an earlier command started by the same name.

    Args:
        platform: Where it runs.
        submission: What runs.
        run_id: Name of the run, by which it is found.

    Raises:
        InputError: The name is not valid on the platform, or is taken by a run of other settings.
        ServiceError: The platform refused, or kept failing.
    """
    request = platform.run_request(submission, run_id)
    try:
        run = platform.service.create_once(
            f"submit {run_id}",
            find=lambda timeout_s: platform.find_run(run_id, timeout_s),
            create=lambda timeout_s: platform.start_run(request, run_id, timeout_s),
        )
    except ServiceError as error:
        raise ServiceError(f"{error}; again with --run_id {run_id} it starts no second") from error
    if run.fingerprint != request.fingerprint:
        raise InputError(
            f"--run_id: {run_id} is a run of other settings already ({run.url}); choose another"
        )
    return run


def watch(platform: Platform, run: RemoteRun, run_id: str, show: Callable[[str], None]) -> None:
    """Show the states of a run's tasks until it ends. Ctrl-C ends the watching, not the run.

    Args:
        platform: Where it runs.
        run: The run.
        run_id: The name that it was submitted with.
        show: Called with a line for each change of a state.

    Raises:
        StepFailedError: The run failed, or the platform did not answer any more.
        KeyboardInterrupt: With a message that says where the run goes on.
    """
    goes_on = (
        f"the run goes on: {run.url}; watch it again by the same command with --run_id {run_id}"
    )
    shown: dict[str, str] = {}
    try:
        for state in _poll_states(platform, run):
            changes = {
                name: value
                for name, value in {**state.tasks, "the run": state.state}.items()
                if shown.get(name) != value
            }
            shown |= changes
            for name, value in changes.items():
                show(f"{datetime.datetime.now():%H:%M:%S}  {name}: {value}")
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"stopped watching; {goes_on}") from error
    except ServiceError as error:
        raise StepFailedError(f"{error}; {goes_on}") from error
    if not state.has_succeeded:
        reasons = "; ".join(f"{name}: {text}" for name, text in state.errors.items())
        raise StepFailedError(
            f"{run_id} ended as {state.state}{': ' if reasons else ''}{' '.join(reasons.split())}; "
            f"logs: {run.url}; submit again to continue there"
        )


def _poll_states(platform: Platform, run: RemoteRun) -> Iterator[RunState]:
    """Yield the state of a run, the final one last; sleeps between.

    Pauses double while nothing changes, up to a minute, and are short again after a change.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """
    first = pause_s = platform.service.config.first_pause_s
    before = None
    while True:
        state = platform.service.call(
            f"watch {run.name}", lambda timeout_s: platform.run_state(run, timeout_s)
        )
        yield state
        if state.has_ended:
            return
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if state == before else first
        before = state
        time.sleep(pause_s)
