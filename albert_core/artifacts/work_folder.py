"""Folders of work in progress: where they are, who may work in one, and what removes them."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from albert_core.artifacts.filled_folder import remove_empty
from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, code_version
from albert_core.artifacts.output_folder import PRIVATE_NAME
from albert_core.artifacts.remote_output import RemoteOutput
from albert_core.artifacts.work_sync import synchronized_progress
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.files.checksums import report_damage
from albert_core.files.folders import empty_folder, remove_locked_folder
from albert_core.files.locks import LOCK_NAME, hold_lock, tell_if_without_lock
from albert_core.processes.user_folder import user_folder
from albert_core.storage import fetch_files, is_remote, join

# Room below it for the sockets of multiprocessing, whose paths have 107 bytes at most.
_MAX_TEMPORARY_BYTES = 64
# A killed process may take some seconds to die, and forked children share its lock.
LOCK_TIMEOUT_S = 20.0


def local_work_root(work_root: str | Path) -> Path:
    """Return where work folders are while steps run: the root itself, or a local one for a bucket.

    The local one is in this user's own folder for temporary files. That folder is made here, the
    work root is not.

    Raises:
        InputError: That folder is not this user's alone.
    """
    if not is_remote(work_root):
        return Path(work_root)
    # By a hash of the address: runs with different roots must not share a work folder here.
    return user_folder("albert-work") / hash_json(str(work_root))[:12]


@contextlib.contextmanager
def exclusive_lock(work: Path, *, timeout_s: float | None = None) -> Iterator[bool]:
    """Hold the lock of a work folder while the body of the `with` runs; makes the folder.

    Waits for another process to release it. The lock ends with the body, or with the process and
    its forked children. If the folder then holds nothing but its file `lock`, it is removed, and so
    is an empty work root above it. On a file system without locks the body runs without one, which
    is reported on standard error.

    Args:
        work: The folder.
        timeout_s: How long to wait; `LOCK_TIMEOUT_S` if not given.

    Yields:
        Whether another process held the lock before.

    Raises:
        InputError: Another process holds it for longer than that.
    """
    with hold_lock(
        work / LOCK_NAME,
        timeout_s=LOCK_TIMEOUT_S if timeout_s is None else timeout_s,
        refusal=f"{work}: another process is doing this very work; wait for it or stop it",
        makes_folder=True,
    ) as lock:
        tell_if_without_lock(lock, work)
        try:
            yield lock.has_waited
        finally:
            remove_locked_folder(work)
            with contextlib.suppress(OSError):  # other work goes on in the root
                work.parent.rmdir()


def temporary_folder(work: Path) -> Path:
    """Return where temporary files of the work in a folder are: in it, or else among the user's.

    They are among the user's where the path would be too long for sockets, or the folder is in an
    output that is filled in place: its disk, such as a bucket that is mounted, may have no sockets.
    Its name is made from that of the work folder; only the user's folder is made.

    Raises:
        InputError: The user's folder for temporary files is not this user's alone.
    """
    folder = work.absolute() / "temporary"
    if len(os.fsencode(folder)) <= _MAX_TEMPORARY_BYTES and PRIVATE_NAME not in folder.parts:
        return folder
    return user_folder("albert-temporary") / hash_json(str(folder))[:12]


@contextlib.contextmanager
def synchronized_work_folder(
    work: Path, work_root: str | Path | None
) -> Iterator[RemoteOutput | None]:
    """Keep a local work folder and its copy in a work root in a bucket in agreement.

    First replaces the local progress and results by those in the cloud; results only if they are
    finished and of this code, and all their files have the right sizes. Then uploads progress while
    the body of the `with` runs, but never results: the body publishes them to the folder yielded.
    In the end removes the local folder, also after an error.

    Args:
        work: The local work folder, made here; whoever calls holds its lock (not checked).
        work_root: The root; for None or a local one nothing is done.

    Yields:
        The folder in the bucket that receives the finished results; None for a local work root.

    Raises:
        InputError: Another process is doing this work, or its progress there is damaged.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    if work_root is None or not is_remote(work_root):
        yield None
        return
    address = join(str(work_root), work.name)
    remote_results = RemoteOutput(join(address, "results"))
    try:
        with synchronized_progress(work / "progress", address):
            # The copy in the bucket is the truth: local results may be of an earlier, lost holder.
            shutil.rmtree(work / "results", ignore_errors=True)
            manifest = _read_manifest(remote_results)
            is_current = manifest is not None and manifest.code_version == code_version()
            if manifest and is_current and not remote_results.find_damage(manifest):
                names = (*manifest.files, MANIFEST_NAME)
                files = {name: join(remote_results.address, name) for name in names}
                fetch_files(files, work / "results")
            yield remote_results
    finally:
        # The next attempt may run on another machine, and nobody comes back to clean this one.
        remove_work_folder(work)


def _read_manifest(results: RemoteOutput) -> Manifest | None:
    """Return the manifest of results in the cloud, or None where there is none.

    One that cannot be read counts as none, too, and is reported on standard error.
    """
    try:
        return results.manifest()
    except InputError as error:
        report_damage(results.address, error, "made again")
        return None


def remove_abandoned(work: Path) -> None:
    """Remove the work folder of work that is published, which a killed process has left.

    The work root is removed, too, if it is empty now. Does nothing where there is none, or where
    another process has the lock of the work folder.
    """
    if work.exists():
        with contextlib.suppress(InputError), exclusive_lock(work, timeout_s=0.0):
            remove_work_folder(work)
    else:
        remove_empty(work.parent)


def remove_work_folder(work: Path) -> None:
    """Remove what is in a work folder but its lock, with which `exclusive_lock` removes it.

    Whatever cannot be removed, or does not exist, is passed over without an error.
    """
    # The lock last, by its holder: once it is gone, another process may begin in the folder.
    with contextlib.suppress(InputError, OSError):
        empty_folder(work, except_for=LOCK_NAME)
