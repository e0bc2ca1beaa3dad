"""Runs on this machine whose folder is in a bucket."""

import contextlib
from collections.abc import Iterator

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.object_storage.errors import WriteConflictError
from albert_core.places.copies import publish_places
from albert_core.places.outputs import RUN_CONFIG_NAME, find_outputs
from albert_core.processes.user_folder import user_folder
from albert_core.storage import (
    has_files,
    join,
    read_version,
    remove_version,
    write_file,
    write_version,
)
from components.report.step import PAGE_NAME
from components.resolve.dates import NO_DATE
from pipeline.config import RunConfig
from pipeline.local.run import RunResult, run_locally
from pipeline.local.run_folder import (
    format_configuration,
    has_same_pretraining,
    refuse_changes,
)

_WORK_NAME = "work"


def run_to_bucket(
    config: RunConfig,
    address: str,
    *,
    date: str = NO_DATE,
    reconfigure: bool = False,
    is_confirmed: bool = True,
) -> RunResult:
    """Run the whole pipeline on this machine, with work in progress and results in a bucket.

    The steps run as in `run_locally`, in a folder of this user's among the temporary files, and
    keep their work in the folder `work` of the address: the same command goes on from there, also
    on another machine. In the end the outputs are at their places there, with configuration,
    scores and page. Two runs with one address exclude each other step by step.

    Args:
        config: The run.
        address: The run's folder, gs:// or s3://.
        date: Its date, YYYY-MM-DD, for a dated run (`RunConfig.is_dated`); refused for any other.
        reconfigure: Whether the folder may take over changed settings.
        is_confirmed: Whether pretraining may take more than a day, as for `run_locally`; a run that
            has begun there, on whichever machine, goes on in any case.

    Returns:
        What the run left, with the local folder.

    Raises:
        InputError: Bad input; the bucket then holds what it held before, unless a step has begun.
        StepFailedError: A step failed; the next run continues there.
        ServiceError: The storage failed.
    """
    if config.retraining.accepted:
        # A model is accepted where its step wrote it, which is in the temporary files here.
        raise InputError(
            f"retraining.accepted: got {config.retraining.accepted} with a run on this machine "
            f"in {address}, expected a run in a local folder, or one submitted to a platform"
        )
    address = address.rstrip("/")
    with _claimed_folder(address, config, reconfigure=reconfigure) as has_begun:
        result = run_locally(
            config,
            user_folder("albert-runs") / hash_json(address)[:12],
            date=date,
            reconfigure=reconfigure,
            is_confirmed=is_confirmed or has_begun,
            work_root=join(address, _WORK_NAME),
        )
    publish_places(find_outputs(result.folder), address)
    write_file(join(address, PAGE_NAME), result.page)
    return result


@contextlib.contextmanager
def _claimed_folder(address: str, config: RunConfig, *, reconfigure: bool) -> Iterator[bool]:
    """Write a run's configuration to its folder in a bucket; undo that if the body finds bad input.

    One that was there before is written again; a new one stays if the folder holds work.

    Yields:
        Whether a run with this pretraining has begun there.

    Raises:
        InputError: The folder is that of another configuration or of no run.
        ServiceError: The storage failed.
    """
    path = join(address, RUN_CONFIG_NAME)
    saved, has_begun = read_version(path), False
    if saved is not None:
        refuse_changes(address, saved.data, config, reconfigure=reconfigure)
        has_begun = has_same_pretraining(saved.data, path, config)
    elif has_files(address):
        raise InputError(
            f"output {address}: exists and is not a run's folder; choose a new or empty one"
        )
    written = write_version(path, format_configuration(config), generation=None)
    try:
        yield has_begun
    except InputError:
        # What another run has written there since stays.
        if saved is not None:
            with contextlib.suppress(WriteConflictError):
                write_version(path, saved.data, generation=written)
        elif not has_files(join(address, _WORK_NAME)):
            remove_version(path, written)
        raise
