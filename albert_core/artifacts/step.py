"""Run a step so that it can be killed, resumed, published once and never half."""

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    Manifest,
    Metrics,
    code_version,
    describe_files,
    find_damage,
    find_manifest,
)
from albert_core.artifacts.outputs import Output, RemoteOutput, output_at
from albert_core.artifacts.work_sync import fetch_progress, mirrored
from albert_core.errors import InputError, StepFailedError
from albert_core.files import fingerprint
from albert_core.storage import fetch_files, is_remote, join

LOCK_PATIENCE_S = 20.0
_LEADER_PATIENCE_S = 300.0

_Found = TypeVar("_Found")
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
        work_root: Folder of the work folders, local or gs://; beside `output` when not given (of
            gs:// outputs below the current folder), and then removed after success. One in gs://
            is worked on here, and mirrored there.

    Raises:
        InputError: `output` holds something else, or another process is doing this work.
        StepFailedError: Another process has taken over this work.
    """
    identity = fingerprint({"step": step, "config": config, "inputs": inputs})
    target = output_at(output)
    if published := _published(target, identity):
        return published
    root = local_work_root(work_root) if work_root else target.default_work_root
    work = root / f"{step}-{identity[:12]}"
    with _only_worker(work), _mirror_of(work, work_root) as kept:
        is_new = not (work / "results").exists() and not any((work / "progress").glob("*"))
        try:
            manifest = _finished(work / "results")
            if manifest is None:
                manifest = _do(step, identity, config, inputs, work, body)
                if kept:
                    kept.publish(work / "results")
            shutil.rmtree(work / "progress", ignore_errors=True)
            target.publish(work / "results")
        except InputError:
            if is_new:
                _remove(work, root)
            raise
    if work_root is None:
        _remove(work, root)
    return manifest


def local_work_root(work_root: str | Path) -> Path:
    """Return where work folders are while steps run: the root itself, or a local one for gs://."""
    if not is_remote(work_root):
        return Path(work_root)
    return Path(tempfile.gettempdir()) / "albert-work" / fingerprint(str(work_root))[:12]


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

    It takes up what the leader keeps to resume, in gs:// or on a disk that both see, and publishes
    nothing.

    Raises:
        StepFailedError: The leader does not begin, or does not publish.
    """
    identity = fingerprint({"step": step, "config": config, "inputs": inputs})
    target = output_at(output)
    root = local_work_root(work_root) if work_root else target.default_work_root
    work = root / f"{step}-{identity[:12]}"
    remote = join(str(work_root), work.name) if work_root and is_remote(work_root) else None

    def published() -> Manifest | None:
        return _published(target, identity)

    with tempfile.TemporaryDirectory() as own:
        progress = Path(own) / "progress" if remote else work / "progress"

        def has_begun() -> bool:
            return bool(fetch_progress(remote, progress)) if remote else progress.is_dir()

        begun = f"{remote or work}: the leading process has not begun"
        _wait_for(lambda: published() or has_begun(), begun)
        if not published():
            (Path(own) / "results").mkdir()
            body(Path(own) / "results", progress)
    failure = f"output {target.address}: the leading process has published nothing"
    return _wait_for(published, failure)


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
    is_current = manifest.code_version == code_version() and output.is_whole(manifest)
    return manifest if is_current else None


def _finished(results: Path) -> Manifest | None:
    """Return the manifest of whole results of this code; None if there is anything to do."""
    manifest = find_manifest(results)
    if manifest is None or manifest.code_version != code_version():
        return None
    return None if find_damage(results, manifest, with_hashes=True) else manifest


def _do(
    step: str,
    identity: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    work: Path,
    body: StepBody,
) -> Manifest:
    results, progress = work / "results", work / "progress"
    # Half-written, damaged, or finished by other code: only what is in `progress` is taken up.
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
        metrics=figures,
        seconds=round(time.monotonic() - started, 2),
    )
    manifest.write(results)
    return manifest


@contextlib.contextmanager
def _mirror_of(work: Path, work_root: str | Path | None) -> Iterator[RemoteOutput | None]:
    """Take up, and keep up to date, what a work root in gs:// has of a work folder.

    Gives the folder there that receives the finished results; None for a local work root.
    """
    if work_root is None or not is_remote(work_root):
        yield None
        return
    address = join(str(work_root), work.name)
    kept = RemoteOutput(join(address, "results"))
    try:
        with mirrored(work / "progress", address):
            shutil.rmtree(work / "results", ignore_errors=True)
            manifest = kept.manifest()
            if manifest and manifest.code_version == code_version() and kept.is_whole(manifest):
                names = (*manifest.files, MANIFEST_NAME)
                fetch_files({name: join(kept.address, name) for name in names}, work / "results")
            yield kept
    finally:
        _remove(work, work.parent)


@contextlib.contextmanager
def _only_worker(work: Path) -> Iterator[None]:
    """Hold the work folder's lock, waiting a little for a dying predecessor."""
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
        yield


def _remove(work: Path, root: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    with contextlib.suppress(OSError):
        root.rmdir()
