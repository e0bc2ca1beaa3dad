"""Run a step so that it can be killed, resumed, published once and never half."""

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from albert_core.errors import InputError, StepFailedError
from albert_core.runs.files import fingerprint
from albert_core.runs.manifest import (
    Figures,
    Manifest,
    code_version,
    describe_files,
    find_manifest,
)
from albert_core.runs.outputs import Output, output_at

LOCK_PATIENCE_S = 20.0
_LEADER_PATIENCE_S = 300.0

_Found = TypeVar("_Found")
StepBody = Callable[[Path, Path], Figures]


def run_step(
    step: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    output: str | Path,
    body: StepBody,
    work_root: str | Path | None = None,
) -> Manifest:
    """Do a step's work in a work folder and publish the finished result to `output`.

    The work folder is named after the fingerprint of (step, config, inputs). Whoever starts the
    same work again, after a kill or as a retried task, finds what is there and continues.

    Args:
        step: Name of the step.
        config: Its settings, resolved; JSON values only.
        inputs: Content hash of each input, by name.
        output: Folder that receives the results, local or gs://; made here, with its manifest
            written last.
        body: Function of (results, progress): writes result files into the first folder, keeps
            what it needs to resume in the second, and returns the key figures.
        work_root: Folder of the work folders; beside `output` when not given (of gs:// outputs
            below the current folder), and then removed after success.

    Raises:
        InputError: `output` holds something else, or another process is doing this work.
    """
    identity = fingerprint({"step": step, "config": config, "inputs": inputs})
    target = output_at(output)
    if published := _published(target, identity):
        return published
    root = Path(work_root) if work_root else target.default_work_root
    work = root / f"{step}-{identity[:12]}"
    with _only_worker(work) as is_new:
        try:
            manifest = _finish(step, identity, config, inputs, work, body)
            target.publish(work / "results")
        except InputError:
            if is_new:
                _remove(work, root)
            raise
    if work_root is None:
        _remove(work, root)
    return manifest


def take_part_in_step(
    step: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    output: str | Path,
    body: StepBody,
    work_root: str | Path | None = None,
) -> Manifest:
    """Do one process's share of a step that another process leads by `run_step`.

    It takes up what the leader keeps to resume (on a disk that both see) and publishes nothing.

    Raises:
        StepFailedError: The leader does not begin, or does not publish.
    """
    identity = fingerprint({"step": step, "config": config, "inputs": inputs})
    target = output_at(output)
    if published := _published(target, identity):
        return published
    root = Path(work_root) if work_root else target.default_work_root
    progress = root / f"{step}-{identity[:12]}" / "progress"
    _wait_for(progress.is_dir, f"{progress}: the leading process has not begun")
    with tempfile.TemporaryDirectory() as own:
        body(Path(own), progress)
    failure = f"output {target.address}: the leading process has published nothing"
    return _wait_for(target.manifest, failure)


def _wait_for(look: Callable[[], _Found | None], failure: str) -> _Found:
    deadline = time.monotonic() + _LEADER_PATIENCE_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise StepFailedError(f"{failure} after {_LEADER_PATIENCE_S:.0f} s; see its log")
        time.sleep(0.2)
    return found


def _published(output: Output, identity: str) -> Manifest | None:
    """Return the manifest if `output` already holds this very work; refuse anything else there."""
    manifest = output.manifest()
    if manifest is None:
        output.refuse_others()
        return None
    if manifest.fingerprint != identity:
        raise InputError(
            f"output {output.address}: belongs to another configuration (a {manifest.step} of "
            "other settings or inputs); choose another --output or remove that folder"
        )
    return manifest if manifest.code_version == code_version() else None


def _finish(
    step: str,
    identity: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    work: Path,
    body: StepBody,
) -> Manifest:
    results, progress = work / "results", work / "progress"
    manifest = find_manifest(results)
    if manifest and manifest.code_version == code_version():
        shutil.rmtree(progress, ignore_errors=True)
        return manifest
    # Half-written results, or finished by other code: only what is in `progress` is taken up.
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    progress.mkdir(exist_ok=True)
    started = time.monotonic()
    figures = body(results, progress)
    manifest = Manifest(
        step=step,
        fingerprint=identity,
        code_version=code_version(),
        config=config,
        inputs=inputs,
        files=describe_files(results),
        figures=figures,
        seconds=round(time.monotonic() - started, 2),
    )
    manifest.write(results)
    shutil.rmtree(progress)
    return manifest


@contextlib.contextmanager
def _only_worker(work: Path) -> Iterator[bool]:
    """Hold the work folder's lock, waiting a little for a dying predecessor; yield if it is new."""
    work.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    with (work / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(
                        f"{work}: another process is doing this very work; wait for it or stop it"
                    ) from None
                time.sleep(0.2)
        yield not (work / "results").exists()


def _remove(work: Path, root: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    with contextlib.suppress(OSError):
        root.rmdir()
