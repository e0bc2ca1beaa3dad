"""Results in a bucket: uploaded file by file, the manifest last."""

import contextlib
from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, parse_manifest
from albert_core.artifacts.output import UPLOADING_NAME, FindPublished, Output, find_nothing
from albert_core.errors import InputError
from albert_core.storage import (
    exists,
    find_files,
    has_files,
    join,
    read_bytes,
    remove_file,
    remove_folder,
    write_bytes,
    write_file,
)


class RemoteOutput(Output):
    """A folder in a bucket, whose calls may raise the errors of `ObjectStorage`.

    Attributes:
        default_work_root: `.NAME.work` below the current folder for a folder called NAME.
    """

    def __init__(self, address: str) -> None:
        """Keep the address, and place the work root in the current folder; makes no request."""
        self.address = address.rstrip("/")
        self.default_work_root = Path(f".{self.address.rpartition('/')[2]}.work")
        self._manifest_path = join(address, MANIFEST_NAME)
        self._uploading_path = join(address, UPLOADING_NAME)

    def manifest(self) -> Manifest | None:
        """Return the manifest of the published results, or None where there is none.

        Raises:
            InputError: There is one that this version cannot read, or that must not be read from
                here.
            ServiceError: The storage failed.
        """
        if not exists(self._manifest_path):
            return None
        return parse_manifest(read_bytes(self._manifest_path), self._manifest_path)

    def refuse_foreign_files(self) -> None:
        """Refuse a folder with objects in it, also a manifest, unless an upload here ended early.

        Raises:
            InputError: It holds objects, and not the mark of an upload of this program.
        """
        if has_files(self.address) and not exists(self._uploading_path):
            raise self._foreign_files_error()

    def refuse_unwritable(self) -> None:
        """Do nothing: the first write tells, and what may be written cannot be asked."""

    def remove_leftovers(self) -> None:
        """Remove the mark of an upload, if there is one; an InputError of that is dropped."""
        if exists(self._uploading_path):
            with contextlib.suppress(InputError):
                remove_file(self._uploading_path)

    def find_damage(self, manifest: Manifest) -> str | None:
        """Return the first file that is missing or has another size than its manifest's, or None.

        Worded for a message. By one listing; contents are not compared.

        Raises:
            InputError: There is no object in the folder.
            ServiceError: The storage failed.
        """
        # Storages keep what they have; a sha256 would cost a download. Whoever reads the files as
        # an input compares their hashes.
        sizes = {file.path: file.num_bytes for file in find_files(self.address)}
        for name, entry in manifest.files.items():
            if (actual := sizes.get(join(self.address, name))) != entry["bytes"]:
                return f"{name} is missing" if actual is None else f"{name} has {actual:,} bytes"
        return None

    def publish(
        self, results: Path, find_published: FindPublished = find_nothing
    ) -> Manifest | None:
        """Upload file by file, the manifest last; `uploading.txt` marks the folder meanwhile.

        `find_published` is called first; if it returns a manifest, that is returned and nothing is
        uploaded; else None is returned in the end. Where a manifest is published, the whole folder
        is removed first. Objects of an upload that ended early are overwritten where their names
        are the same, and stay otherwise. The mark is removed at the end, and left where the upload
        fails.

        Raises:
            WriteConflictError: Another run published there meanwhile; its manifest stays, but its
                files may be overwritten.
            InputError: The bucket cannot be read or written from here.
            ServiceError: The storage failed.
        """
        if published := find_published():
            return published
        # Storage has no rename of folders. So the old manifest goes with its files before the
        # first new file comes: a reader never sees a manifest that describes other files.
        if exists(self._manifest_path):
            remove_folder(self.address)
        write_bytes(self._uploading_path, b"An upload of albert is under way here.\n")
        for path in sorted(results.rglob("*")):
            name = path.relative_to(results).as_posix()
            if path.is_file() and name != MANIFEST_NAME:
                write_file(join(self.address, name), path)
        manifest = (results / MANIFEST_NAME).read_bytes()
        # Of two runs that upload at once, one gets the manifest in; the other must not claim it.
        write_bytes(self._manifest_path, manifest, only_new=True)
        # After the manifest, which makes the folder recognisable by itself.
        with contextlib.suppress(InputError):
            remove_file(self._uploading_path)
        return None

    def _names(self) -> list[str]:
        """Return the paths, relative to the folder, of all objects in it, sorted.

        Raises:
            InputError: There is no object, or the bucket must not be read.
            ServiceError: The storage failed.
        """
        prefix = join(self.address, "")
        return [file.path.removeprefix(prefix) for file in find_files(self.address)]
