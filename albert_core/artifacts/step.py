"""Run a step so that it can be killed and resumed, and publishes its results once and whole."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from albert_core.artifacts.environment import describe_environment
from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    Manifest,
    Metrics,
    code_version,
    describe_files,
)
from albert_core.artifacts.output_folder import refuse_unwritable
from albert_core.artifacts.outputs import output_at
from albert_core.artifacts.published import (
    find_finished,
    find_published,
    find_published_meanwhile,
)
from albert_core.artifacts.work_folder import (
    exclusive_lock,
    local_work_root,
    remove_abandoned,
    remove_work_folder,
    synchronized_work_folder,
    temporary_folder,
)
from albert_core.artifacts.work_sync import fetch_progress
from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import hash_json
from albert_core.files.folders import flush_to_disk, make_empty
from albert_core.object_storage.errors import WriteConflictError
from albert_core.processes.user_folder import temporary_files_in
from albert_core.settings.old_names import with_first_names
from albert_core.storage import is_remote, join

# Longer than the leader needs to load TensorFlow, fetch its inputs and make the work folder, and
# to upload its results at the end.
_LEADER_TIMEOUT_S = 300.0

_Result = TypeVar("_Result")
StepBody = Callable[[Path, Path], Metrics]


def run_step(
    step: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    output: str | Path,
    body: StepBody,
    work_root: str | Path | None = None,
) -> Manifest:
    """Run a step in a work folder and publish its finished results to `output`.

    The work folder is named after the fingerprint of (step, config, inputs). Whoever starts the
    same work again, after a kill or as a retried task, finds its progress there and continues. If
    `output` already holds this work, done by this code, with all its files, nothing is run and its
    manifest is returned; if it holds this work done by other code, that is replaced. Finished
    results of this code in the work folder are published without running the body again.

    Once the body is done, its progress is removed. Where the body fails, with whatever error but
    InputError, or its finished results cannot be published, the work folder (or its copy in a
    bucket) stays for another attempt. What is damaged in either folder is named on standard error
    and made again. Returns the manifest of what is published.

    Args:
        step: Name of the step.
        config: Its settings, resolved; JSON values only.
        inputs: Content hash of each input, by name.
        output: Folder that receives the results, local, gs:// or s3://; made here, with its
            manifest written last.
        body: Function of (results, progress): writes result files into the first folder, keeps what
            it needs to resume in the second, and returns the key metrics.
        work_root: Folder of the work folders, local, gs:// or s3://; beside `output` when not given
            (for outputs in buckets below the current folder), and then removed after success. With
            one in a bucket, the work is done in a local folder that is synchronized with it.

    Raises:
        InputError: `output` holds something else, another process is doing this work or publishes
            there, the output or the work root cannot be written, or the body refuses its input. In
            the latter case the work folder is removed unless it held something from earlier runs.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    fingerprint = work_fingerprint(step, config, inputs)
    target = output_at(output)
    published = find_published(target, fingerprint)
    root = local_work_root(work_root) if work_root else target.default_work_root
    work = root / _folder_name(step, fingerprint)
    is_kept = work_root is not None and not is_remote(work_root)
    if published:
        # A process killed after it had published has removed nothing.
        target.remove_leftovers()
        if not is_kept:
            remove_abandoned(work)
        return published
    target.refuse_unwritable()
    refuse_unwritable(root, "work_root" if work_root else "output", is_replaced=False)
    with (
        exclusive_lock(work) as has_waited,
        synchronized_work_folder(work, work_root) as remote_results,
    ):
        # Another process may just have done this work.
        if has_waited and (published := find_published(target, fingerprint)):
            if work_root is None:
                remove_work_folder(work)
            return published
        # Results that a killed body left are worth nothing: only progress is taken up.
        is_new = not any((work / "progress").glob("*"))
        try:
            manifest = find_finished(work / "results", fingerprint)
            if manifest is None:
                manifest = _execute(step, fingerprint, config, inputs, work, body)
                if remote_results:
                    # Before the target: should publishing there fail, another machine can still
                    # publish these results without computing them again.
                    remote_results.publish(work / "results")
            # The results need no checkpoints any more, which may be many times their size.
            shutil.rmtree(work / "progress", ignore_errors=True)
            published = target.publish(
                work / "results", lambda: find_published_meanwhile(target, fingerprint)
            )
        except InputError as error:
            # Bad input leaves nothing behind, but never costs the progress of an earlier run, nor
            # results that are finished and only could not be published.
            is_finished = (work / "results" / MANIFEST_NAME).exists()
            if is_new and not is_finished and not isinstance(error, WriteConflictError):
                remove_work_folder(work)
            raise
        if work_root is None:
            remove_work_folder(work)  # under its lock: nobody has begun in it
    return published or manifest


def run_step_as_follower(
    step: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    output: str | Path,
    body: StepBody,
    work_root: str | Path | None = None,
) -> Manifest:
    """Run the body in a process that follows its step's leader, which calls `run_step`.

    Waits until the leader has begun, starts from the progress that the leader found, in a bucket or
    on a disk that both see, and waits until the leader has published; publishes nothing itself and
    takes no lock. With a local work root, or none, the body gets the leader's own progress folder;
    with one in a bucket a copy that is dropped. Where the leader finds the work published already,
    the body is not run. Returns the manifest that the leader published.

    Args:
        step: Name of the step; equal in all processes, as are the other arguments.
        config: Its settings, resolved; JSON values only.
        inputs: Content hash of each input, by name.
        output: Folder that the leader publishes to.
        body: Function of (results, progress); what it writes as results and the metrics it returns
            are dropped.
        work_root: Folder of the work folders, local, gs:// or s3://; beside `output` when not
            given.

    Raises:
        InputError: `output` holds something else, or the body refuses its input.
        StepFailedError: The leader does not begin within five minutes, or does not publish within
            five minutes after this process is done.
        ServiceError: The storage failed.
    """
    fingerprint = work_fingerprint(step, config, inputs)
    target = output_at(output)
    root = local_work_root(work_root) if work_root else target.default_work_root
    work = root / _folder_name(step, fingerprint)
    remote = join(str(work_root), work.name) if work_root and is_remote(work_root) else None

    def published() -> Manifest | None:
        return find_published(target, fingerprint)

    with tempfile.TemporaryDirectory() as scratch:
        # With a work root in a bucket, the leader's local folder is on another machine, or is the
        # folder of another process that writes into it: each process has a copy.
        progress = Path(scratch) / "progress" if remote else work / "progress"

        def has_begun() -> bool:
            return bool(fetch_progress(remote, progress)) if remote else progress.is_dir()

        not_begun = f"{remote or work}: the leading process has not begun"
        # A leader that finds the work published never begins: look for both.
        _wait_for(lambda: published() or has_begun(), not_begun)
        if not published():
            (Path(scratch) / "results").mkdir()
            body(Path(scratch) / "results", progress)
    not_published = f"output {target.address}: the leading process has published nothing"
    return _wait_for(published, not_published)


def work_fingerprint(step: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the hash that names the work of a step: equal for the same settings and inputs.

    The version of the code is not part of it: that is checked separately.
    """
    # Under the first names of the settings: a renamed setting must not make a killed step of an
    # earlier version, or its published output, another work.
    return hash_json({"step": step, "config": with_first_names(config), "inputs": inputs})


def _folder_name(step: str, fingerprint: str) -> str:
    # Without the code's version: progress made by other code is taken up, as checkpoints are read
    # across versions, and only finished results of other code are made anew.
    return f"{step}-{fingerprint[:12]}"


def _wait_for(probe: Callable[[], _Result | None], failure: str) -> _Result:
    """Call a function every 0.2 s until it returns something true, which is returned.

    Raises:
        StepFailedError: The function returned nothing true within five minutes; the message begins
            with `failure`.
    """
    deadline = time.monotonic() + _LEADER_TIMEOUT_S
    while not (result := probe()):
        if time.monotonic() > deadline:
            raise StepFailedError(f"{failure} after {_LEADER_TIMEOUT_S:.0f} s; see its log")
        time.sleep(0.2)
    return result


def _execute(
    step: str,
    fingerprint: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    work: Path,
    body: StepBody,
) -> Manifest:
    """Run the body with an empty results folder and its earlier progress; write the manifest.

    What was in the results folder before is removed. The body's temporary files are in the work
    folder and removed. The results are flushed to the disk before the manifest, whose `seconds`
    include that.

    Returns:
        The manifest, which is in the results folder, too.
    """
    results, progress = work / "results", work / "progress"
    # Half-written, damaged, or finished by other code: only what is in `progress` is taken up.
    make_empty(results)
    progress.mkdir(exist_ok=True)
    started = time.monotonic()
    with temporary_files_in(temporary_folder(work)):
        metrics = body(results, progress)
    flush_to_disk(results)
    manifest = Manifest(
        step=step,
        fingerprint=fingerprint,
        code_version=code_version(),
        config=config,
        inputs=inputs,
        files=describe_files(results),
        metrics=metrics,
        seconds=round(time.monotonic() - started, 2),
        environment=describe_environment(),
    )
    manifest.write(results)
    return manifest
