"""A work folder's copy in a bucket, from which another machine can continue.

`progress.json`, the index, lists the files of one moment of `progress/`, each under an object name
that is used once. It is written after those objects, and by a write that the storage accepts only
if nobody else has written it since this process did. The index always names a consistent snapshot;
only the lease holder may update it.
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.snapshot import FileStamp, file_stamps, take_snapshot
from albert_core.errors import InputError, StepFailedError
from albert_core.files.checksums import (
    DamageError,
    parse_object,
    report_damage,
    with_checksum,
    without_checksum,
)
from albert_core.object_storage.errors import WriteConflictError
from albert_core.object_storage.interface import Generation
from albert_core.processes.stops import SAVING_S, longer_grace
from albert_core.storage import (
    Version,
    fetch_files,
    find_files,
    has_files,
    join,
    read_version,
    remove_file,
    remove_version,
    write_file,
    write_version,
)

INDEX_NAME = "progress.json"
SYNC_EVERY_S = 15.0
# A holder that has not written for so long is taken for dead. Four times the interval, so that
# one slow upload or a lost request or two do not cost a living process its lease.
LEASE_S = 60.0
_OBJECTS_NAME = "progress"

_ObjectNames = Mapping[str, str]
"""Name of the object of each file, by the file's name."""


@contextlib.contextmanager
def synchronized_progress(progress: Path, address: str) -> Iterator[None]:
    """Fetch the progress of a work folder in the cloud, and upload it while the body runs.

    Files appear in the cloud within `SYNC_EVERY_S` of being complete, and at the end of the body,
    also of one that fails. Whoever replaces a file of `progress` must do it by a rename, and
    write new ones under a name that begins with a dot; a log may grow in place. SIGTERM ends the
    body, by `SystemExit` where no `answered_stops` does; the loss of the lease interrupts it by
    SIGINT.

    Args:
        progress: Local folder, made here; what it held before is replaced.
        address: The work folder in the cloud.

    Raises:
        InputError: Another process is doing this work, or a file of the progress is lost.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed before the body; while it runs, a failing upload is only
            reported on standard error.
    """
    sync = _ProgressSync(progress, address)
    sync.acquire_lease()
    sync.restore()
    is_done = threading.Event()
    # A thread, so that the lease is renewed while the body computes for minutes in one call; a
    # daemon, so that it never keeps a process alive that is to end.
    thread = threading.Thread(
        target=sync.update_until, args=(is_done,), name="work-sync", daemon=True
    )
    thread.start()
    try:
        with _sigterm_as_exit():
            yield
    finally:
        # Also of a process that was stopped: what is uploaded here is done on no other machine.
        with longer_grace(lambda: SAVING_S, may_follow=True):
            is_done.set()
            thread.join()
            sync.release_lease()


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Raise SystemExit(143) in the body at SIGTERM, so that there is a last upload.

    The earlier handler is put back afterwards. Does nothing outside the main thread, or where
    SIGTERM has a handler already. Kubernetes and Vertex AI send SIGTERM before they take a machine
    away. By default it would end the process without running any `finally`.
    """

    def leave(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    # Python sets signal handlers in the main thread only.
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def fetch_progress(address: str, folder: Path) -> Version | None:
    """Replace a local folder by the progress that a work folder in the cloud lists.

    Needs no lease. If the index changes during the fetch and files are gone, the newer one is
    fetched.

    Args:
        address: The work folder in the cloud.
        folder: The local folder; removed and made anew.

    Returns:
        The index that was fetched; None where there is none: the folder is untouched then, unless
            the index was removed during the fetch, which may leave some files in it.

    Raises:
        InputError: A file that is listed is lost, or its name leads out of the folder.
        ServiceError: The storage failed.
    """
    index = join(address, INDEX_NAME)
    while (version := read_version(index)) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            names = _object_names(version).items()
            fetch_files({name: join(address, object_name) for name, object_name in names}, folder)
            return version
        except InputError as error:
            # The holder removes objects once a newer index does without them: if the index has
            # changed meanwhile, nothing is damaged and the newer one is fetched.
            newest = read_version(index)
            if newest and newest.generation == version.generation:
                raise InputError(
                    f"{error}; work in progress is damaged: remove {address} to begin anew"
                ) from error
    return None


class _ProgressSync:
    """Uploads one local progress folder as the holder of the lease on its copy in the cloud.

    Holding the lease means: the index names this process, and has the generation that this
    process wrote last. Every write of the index renews the lease.

    Call in this order: `acquire_lease`, `restore`, `update_until` in a thread, and
    `release_lease` when that thread has ended (not checked).

    Args:
        progress: The local progress folder.
        address: The work folder in the cloud.
    """

    def __init__(self, progress: Path, address: str) -> None:
        """Keep the addresses, and choose this process's name as a holder; makes no request."""
        self._progress, self._address = progress, address
        self._index_path = join(address, INDEX_NAME)
        # Host and pid are for people; pids come again, so that only the uuid tells holders apart.
        self._holder_name = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
        self._generation: Generation = 0
        self._object_names: dict[str, str] = {}
        self._stamps: dict[str, FileStamp] = {}
        self._num_writes, self._last_write_s = 0, 0.0
        self._has_lost_lease = False

    def acquire_lease(self) -> None:
        """Become the holder of the lease; waits up to two leases for a holder that may be dead.

        Takes the lease at once if there is no index, the lease was given back or its holder has not
        written for `LEASE_S`. Writes the index under this process's name, with the objects it
        listed before. Looks about once a second. The first wait is reported on standard error.

        Raises:
            InputError: Another holder keeps renewing its lease.
            ServiceError: The storage failed.
        """
        # Two leases: a holder that dies right after this process looks first expires in one.
        deadline = time.monotonic() + 2 * LEASE_S
        is_told = False
        while True:
            # A conflict means that another process wrote between the two calls: look again.
            with contextlib.suppress(WriteConflictError):
                version = read_version(self._index_path)
                if version is None or not _holder(version) or version.age_s > LEASE_S:
                    # Generation 0 makes the write fail if anybody else creates the index first.
                    self._generation = version.generation if version else 0
                    self._object_names = dict(_object_names(version)) if version else {}
                    return self._write_index()
            if time.monotonic() > deadline:
                raise InputError(
                    f"{self._address}: another process is doing this very work"
                    f"{f' ({_holder(version)})' if version else ''}; wait for it or stop it"
                )
            if not is_told:
                text = f"another process did this work {LEASE_S:.0f} s ago or less; waiting for it"
                print(f"{self._address}: {text}", file=sys.stderr)
                is_told = True
            time.sleep(min(1.0, LEASE_S / 10))

    def restore(self) -> None:
        """Replace the local folder by what the index lists; remove objects it does not list.

        Only the holder of the lease may call this.

        Raises:
            InputError: A file that is listed is lost, or its name leads out of the folder.
            ServiceError: The storage failed.
        """
        fetch_progress(self._address, self._progress)
        self._stamps = file_stamps(self._progress)
        # Objects without an entry were uploaded by a process that was killed before its next
        # write of the index. Nobody else would ever find them, and they cost money.
        listed = {join(self._address, name) for name in self._object_names.values()}
        folder = join(self._address, _OBJECTS_NAME)
        uploaded = find_files(folder) if has_files(folder) else ()
        for file in uploaded:
            if file.path not in listed:
                remove_file(file.path)

    def update_until(self, is_done: threading.Event) -> None:
        """Upload changes every `SYNC_EVERY_S` until the event is set or the lease is lost.

        If another process has taken the lease, notes that for `release_lease` and interrupts the
        main thread by SIGINT. Any other error is printed on standard error, and tried again.
        """
        while not is_done.wait(SYNC_EVERY_S):
            try:
                self._update()
            except WriteConflictError:
                # The new holder trains on from the last snapshot. Whatever this process computes
                # from here on is lost: interrupt the main thread, as Ctrl-C does.
                self._has_lost_lease = True
                # A step of a run on this machine has Ctrl-C blocked in all of its threads.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                os.kill(os.getpid(), signal.SIGINT)
                return
            except Exception as error:
                # A network that is down for a while must not end a training of days.
                print(f"{self._address}: not updated ({error}); trying again", file=sys.stderr)

    def release_lease(self) -> None:
        """Upload a last time and give the lease back; the index goes if it lists no files.

        An upload that fails is reported on standard error only, and the lease is not given back
        then: the results may be good without it. Nothing is uploaded where `update_until` noted a
        lost lease.

        Raises:
            StepFailedError: Another process has taken the lease.
        """
        if self._has_lost_lease:
            raise self._lost_lease_error()
        try:
            self._update()
            # No holder: a retried task goes on at once, without waiting for the lease to end.
            self._holder_name = ""
            self._write_index()
            if not self._object_names:
                # Since it was given back, another process may have taken the lease.
                remove_version(self._index_path, self._generation)
        except WriteConflictError as error:
            raise self._lost_lease_error() from error
        except Exception as error:
            print(f"{self._address}: not updated ({error})", file=sys.stderr)

    def _lost_lease_error(self) -> StepFailedError:
        return StepFailedError(
            f"{self._address}: another process has taken over this work, as this one had not been "
            f"heard of for {LEASE_S:.0f} s; it goes on there"
        )

    def _update(self) -> None:
        """Upload new and changed files, write the index, then remove objects it no longer lists.

        The order matters: a process killed at any point leaves an index whose objects all exist.
        Where no consistent snapshot can be had, only the lease is renewed.

        Raises:
            WriteConflictError: Another process has taken the lease.
        """
        snapshot = self._progress.with_name("snapshot")
        files = take_snapshot(self._progress, snapshot)
        if files is None:
            return self._write_index()  # nothing consistent to upload, but the lease goes on
        object_names: dict[str, str] = {}
        stamps: dict[str, FileStamp] = {}
        for name, (link, stamp) in files.items():
            stamps[name] = stamp
            if self._stamps.get(name) == stamp:
                object_names[name] = self._object_names[name]
                continue
            # Many large files may take longer than a lease: renew it, with the old entries.
            if time.monotonic() - self._last_write_s > SYNC_EVERY_S:
                self._write_index()
            # A new object name for new content: overwriting one would change what the index of
            # this moment, which another machine may be reading, stands for.
            object_names[name] = f"{_OBJECTS_NAME}/{uuid.uuid4().hex}"
            write_file(join(self._address, object_names[name]), link)
        before, self._object_names, self._stamps = self._object_names, object_names, stamps
        self._write_index()
        shutil.rmtree(snapshot)
        for object_name in set(before.values()) - set(object_names.values()):
            with contextlib.suppress(InputError):  # removed already, or by the next holder
                remove_file(join(self._address, object_name))

    def _write_index(self) -> None:
        """Write holder and object names as the index, over the generation written last.

        Renews the lease, and notes the new generation and the time.

        Raises:
            WriteConflictError: Another process has written it since.
        """
        # The count makes each write's bytes unique, so that they can be told from an older one's.
        self._num_writes += 1
        index = {
            "holder": self._holder_name,
            "write": self._num_writes,
            "files": self._object_names,
        }
        data = json.dumps(with_checksum(index)).encode()
        try:
            self._generation = write_version(self._index_path, data, generation=self._generation)
        except WriteConflictError:
            # By this very write, if its answer was lost and the client repeated it.
            version = read_version(self._index_path)
            if version is None or version.data != data:
                raise
            self._generation = version.generation
        self._last_write_s = time.monotonic()


# An index is parsed several times; its damage is told once.
@functools.lru_cache(maxsize=4)
def _parse_index(data: bytes) -> Mapping[str, Any]:
    """Return an index from its bytes; for damaged bytes an index without files, held by "unknown".

    Damage is reported on standard error, once for the same bytes. The real holder, if it lives,
    still has the lease: the next write of the index shows it.
    """
    try:
        index = parse_object(data)
        # Those of earlier versions have no checksum.
        index = without_checksum(index) if "checksum" in index else index
        if {"holder", "files"} <= index.keys():
            return index
        raise DamageError("it has no holder or no files")
    except DamageError as error:
        report_damage(INDEX_NAME, error, "work in progress begins anew")
        return {"holder": "unknown", "files": {}}


def _holder(version: Version) -> str:
    """Return the name of the lease's holder, as an index has it; empty if it was given back."""
    return _parse_index(version.data)["holder"]


def _object_names(version: Version) -> _ObjectNames:
    return _parse_index(version.data)["files"]
