"""A work folder's copy in Google Cloud Storage, by which another machine goes on with the work.

`progress.json` lists the files of one moment of `progress/`, each under an object name that is
used once. It is written after those objects, and by one write that Google accepts only if nobody
else has written it since this process did. So whenever a process is killed, what is listed is
there, and is of one moment; and of several processes one can write, the holder.
"""

import contextlib
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

from albert_core.errors import InputError, StepFailedError
from albert_core.files import link_or_copy
from albert_core.storage import (
    TakenError,
    Version,
    fetch_files,
    find_files,
    has_files,
    join,
    read_version,
    remove_file,
    write_file,
    write_version,
)

INDEX_NAME = "progress.json"
SYNC_EVERY_S = 15.0
LEASE_S = 60.0  # a holder that has not written for so long is taken for dead
_OBJECTS_NAME = "progress"
_SNAPSHOT_TRIES = 20

_Entries = Mapping[str, str]
"""Name of the object of each file, by the file's name."""
_Identity = tuple[int, int, int]
"""Inode, size and time of a file: another one for other content."""


@contextlib.contextmanager
def mirrored(progress: Path, address: str) -> Iterator[None]:
    """Fetch what a work folder in the cloud holds, and keep it up to date while the body goes on.

    Files appear in the cloud within `SYNC_EVERY_S` of being complete, and at the end of the body,
    also of one that fails. Whoever replaces a file of `progress` must do it by a rename, and
    write new ones under a name that begins with a dot; a log may grow in place.

    Args:
        progress: Local folder, made here.
        address: The work folder in the cloud.

    Raises:
        InputError: Another process is doing this work.
        StepFailedError: Another process has taken over this work.
    """
    mirror = _Mirror(progress, address)
    mirror.take()
    mirror.restore()
    done = threading.Event()
    thread = threading.Thread(target=mirror.follow, args=(done,), name="mirror", daemon=True)
    thread.start()
    try:
        with _sigterm_as_exit():
            yield
    finally:
        done.set()
        thread.join()
        mirror.release()


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM end the body as an exception does, so that there is a last update."""

    def leave(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def fetch_progress(address: str, folder: Path) -> Version | None:
    """Make a local folder what a work folder in the cloud lists; None where there is no list.

    Raises:
        InputError: A file is lost.
    """
    index = join(address, INDEX_NAME)
    while (version := read_version(index)) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            objects = _entries(version).items()
            fetch_files({name: join(address, own) for name, own in objects}, folder)
            return version
        except InputError as error:
            now = read_version(index)
            if now and now.generation == version.generation:
                raise InputError(
                    f"{error}; work in progress is damaged: remove {address} to begin anew"
                ) from error
    return None


class _Mirror:
    """The holder of a work folder in the cloud, while it is one."""

    def __init__(self, progress: Path, address: str) -> None:
        self._progress, self._address = progress, address
        self._index_path = join(address, INDEX_NAME)
        self._name = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
        self._generation = 0
        self._entries: dict[str, str] = {}
        self._identities: dict[str, _Identity] = {}
        self._num_writes, self._written = 0, 0.0
        self._is_lost = False

    def take(self) -> None:
        """Become the holder, waiting for one that may be dead.

        Raises:
            InputError: There is one, and it is alive.
        """
        deadline = time.monotonic() + 2 * LEASE_S
        is_told = False
        while True:
            with contextlib.suppress(TakenError):
                version = read_version(self._index_path)
                if version is None or not _holder(version) or version.age_s > LEASE_S:
                    self._generation = version.generation if version else 0
                    self._entries = dict(_entries(version)) if version else {}
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
        """Make the local folder what the cloud lists, and remove what is there unlisted."""
        fetch_progress(self._address, self._progress)
        inodes = _complete_files(self._progress)
        self._identities = {
            name: _identity(self._progress / name, inode) for name, inode in inodes.items()
        }
        listed = {join(self._address, own) for own in self._entries.values()}
        folder = join(self._address, _OBJECTS_NAME)
        for file in find_files(folder) if has_files(folder) else ():
            if file.path not in listed:
                remove_file(file.path)

    def follow(self, done: threading.Event) -> None:
        """Update the cloud again and again until the event is set."""
        while not done.wait(SYNC_EVERY_S):
            try:
                self._update()
            except TakenError:
                self._is_lost = True
                os.kill(os.getpid(), signal.SIGINT)
                return
            except Exception as error:
                print(f"{self._address}: not updated ({error}); trying again", file=sys.stderr)

    def release(self) -> None:
        """Update the cloud a last time and be the holder no more.

        Raises:
            StepFailedError: It was so no more.
        """
        if self._is_lost:
            raise StepFailedError(
                f"{self._address}: another process has taken over this work, as this one had not "
                f"been heard of for {LEASE_S:.0f} s; it goes on there"
            )
        try:
            self._update()
            self._name = ""
            self._write_index()
            if not self._entries:
                remove_file(self._index_path)
        except Exception as error:
            print(f"{self._address}: not updated ({error})", file=sys.stderr)

    def _update(self) -> None:
        """Upload what is new, list what there is, remove what there is no more."""
        snapshot = self._progress.with_name("snapshot")
        files = _linked(self._progress, snapshot)
        if files is None:
            return self._write_index()
        entries: dict[str, str] = {}
        identities: dict[str, _Identity] = {}
        for name, (link, identity) in files.items():
            identities[name] = identity
            if self._identities.get(name) == identity:
                entries[name] = self._entries[name]
                continue
            if time.monotonic() - self._written > SYNC_EVERY_S:
                self._write_index()
            entries[name] = f"{_OBJECTS_NAME}/{uuid.uuid4().hex}"
            write_file(join(self._address, entries[name]), link)
        before, self._entries, self._identities = self._entries, entries, identities
        self._write_index()
        shutil.rmtree(snapshot)
        for own in set(before.values()) - set(entries.values()):
            with contextlib.suppress(InputError):
                remove_file(join(self._address, own))

    def _write_index(self) -> None:
        self._num_writes += 1
        index = {"holder": self._name, "write": self._num_writes, "files": self._entries}
        data = json.dumps(index).encode()
        try:
            self._generation = write_version(self._index_path, data, generation=self._generation)
        except TakenError:
            # By this very write, if its answer was lost and the client repeated it.
            version = read_version(self._index_path)
            if version is None or version.data != data:
                raise
            self._generation = version.generation
        self._written = time.monotonic()


def _index(version: Version) -> dict[str, Any]:
    return json.loads(version.data)


def _holder(version: Version) -> str:
    return _index(version)["holder"]


def _entries(version: Version) -> _Entries:
    return _index(version)["files"]


def _linked(folder: Path, snapshot: Path) -> dict[str, tuple[Path, _Identity]] | None:
    """Link the complete files of one moment into a new folder; return links by name.

    A listing before is compared with one after: if they are equal, all files were there together
    between the two. None if the folder was never still.
    """
    for _ in range(_SNAPSHOT_TRIES):
        shutil.rmtree(snapshot, ignore_errors=True)
        snapshot.mkdir(parents=True)
        with contextlib.suppress(FileNotFoundError):
            before = _complete_files(folder)
            links = {}
            for index, (name, inode) in enumerate(before.items()):
                link = snapshot / str(index)
                link_or_copy(folder / name, link)
                links[name] = (link, _identity(link, inode))
            if _complete_files(folder) == before:
                return links
        time.sleep(0.05)
    return None


def _complete_files(folder: Path) -> dict[str, int]:
    """Return the inode of each file that is not still being written, by name."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }


def _identity(path: Path, inode: int) -> _Identity:
    status = path.stat()
    return inode, status.st_size, status.st_mtime_ns
