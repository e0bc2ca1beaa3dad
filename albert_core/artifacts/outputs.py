"""Where a step's results are published: a local folder, or one in Google Cloud Storage.

Published means whole: a local folder appears in one rename; of a remote one the manifest is
written last, and only where there is none.
"""

import abc
import contextlib
import shutil
from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, find_manifest, parse_manifest
from albert_core.errors import InputError
from albert_core.files import link_or_copy
from albert_core.storage import (
    exists,
    find_files,
    has_files,
    is_remote,
    join,
    read_bytes,
    remove_file,
    remove_folder,
    write_bytes,
    write_file,
)

_UPLOADING_NAME = "uploading.txt"


class Output(abc.ABC):
    """A folder that receives results.

    Attributes:
        address: Where it is.
        default_work_root: Where work folders are kept when nothing else is said.
    """

    address: str
    default_work_root: Path

    @abc.abstractmethod
    def manifest(self) -> Manifest | None:
        """Return the manifest of what is published there."""

    @abc.abstractmethod
    def refuse_others(self) -> None:
        """Refuse a folder without a manifest that holds anything else than our half-done upload.

        Raises:
            InputError: It does.
        """

    @abc.abstractmethod
    def publish(self, results: Path) -> None:
        """Publish a folder with its manifest."""

    def is_whole(self, manifest: Manifest) -> bool:
        """Return whether all files of a manifest are there with their sizes."""
        root = self.address if is_remote(self.address) else str(Path(self.address).absolute())
        found = {file.path: file.num_bytes for file in find_files(root)}
        return all(
            found.get(join(root, name)) == entry["bytes"] for name, entry in manifest.files.items()
        )

    def _not_ours(self) -> InputError:
        return InputError(
            f"output {self.address}: exists and was not made by this program; expected a new or "
            "empty folder"
        )


def output_at(address: str | Path) -> Output:
    """Return the output at an address."""
    return RemoteOutput(str(address)) if is_remote(address) else LocalOutput(Path(address))


class LocalOutput(Output):
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)
        self.default_work_root = folder.with_name(f".{folder.name}.work")

    def manifest(self) -> Manifest | None:
        """Return the manifest of what is published there."""
        return find_manifest(self.folder)

    def refuse_others(self) -> None:
        """Refuse a folder that is not empty."""
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise self._not_ours()

    def publish(self, results: Path) -> None:
        """Put the results there in one rename; hard links where the file system has them."""
        partial = self.folder.with_name(f".{self.folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(results, partial, copy_function=link_or_copy)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        partial.replace(self.folder)


class RemoteOutput(Output):
    """A folder in Google Cloud Storage; its work folders are below the current folder."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.default_work_root = Path(f".{self.address.rpartition('/')[2]}.work")
        self._manifest_path = join(address, MANIFEST_NAME)
        self._uploading_path = join(address, _UPLOADING_NAME)

    def manifest(self) -> Manifest | None:
        """Return the manifest of what is published there."""
        if not exists(self._manifest_path):
            return None
        return parse_manifest(read_bytes(self._manifest_path), self._manifest_path)

    def refuse_others(self) -> None:
        """Refuse a folder with objects in it, unless an upload of ours was cut short there."""
        if has_files(self.address) and not exists(self._uploading_path):
            raise self._not_ours()

    def publish(self, results: Path) -> None:
        """Upload file by file, the manifest last; results of other code make room before."""
        if exists(self._manifest_path):
            remove_folder(self.address)
        write_bytes(self._uploading_path, b"An upload of albert is under way here.\n")
        for path in sorted(results.rglob("*")):
            name = path.relative_to(results).as_posix()
            if path.is_file() and name != MANIFEST_NAME:
                write_file(join(self.address, name), path)
        manifest = (results / MANIFEST_NAME).read_bytes()
        write_bytes(self._manifest_path, manifest, only_new=True)
        with contextlib.suppress(InputError):
            remove_file(self._uploading_path)
