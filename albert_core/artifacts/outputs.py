"""Where a step's results are published: a local folder, or one in Google Cloud Storage.

Results are never published in part: a local folder appears in one rename; in a remote one, and in a
local one that cannot be renamed, the manifest is written last, and readers take a folder without a
manifest for unfinished.
"""

import abc
import contextlib
import shutil
from pathlib import Path

from albert_core.artifacts.inputs import is_worth_hashing
from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    Manifest,
    find_damage,
    find_manifest,
    parse_manifest,
)
from albert_core.artifacts.output_folder import (
    PRIVATE_NAME,
    earlier_files,
    end_filling,
    fill_folder,
    find_foreign_file,
    is_replaceable,
    refuse_unwritable,
    resolve_link,
)
from albert_core.errors import InputError
from albert_core.files import link_or_copy
from albert_core.folders import flush_to_disk
from albert_core.partial_files import (
    partial_path,
    replace_folder,
    replaced_path,
    staging_folder,
)
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

# Marks a folder as half uploaded by this program. Without it, a retried task could not tell the
# objects of its killed predecessor from somebody else's, and would have to refuse the folder.
_UPLOADING_NAME = "uploading.txt"


class Output(abc.ABC):
    """A folder that receives results.

    Attributes:
        address: Its local path or gs:// address.
        default_work_root: Where work folders are if the step is given no work root.
    """

    address: str
    default_work_root: Path

    @abc.abstractmethod
    def manifest(self) -> Manifest | None:
        """Return the manifest of the published results, or None where there is none.

        Raises:
            InputError: There is one that this version cannot read.
        """

    @abc.abstractmethod
    def refuse_foreign_files(self) -> None:
        """Refuse a folder without a manifest, unless it is empty or a half-done upload.

        Raises:
            InputError: It holds files that this program did not write.
        """

    @abc.abstractmethod
    def publish(self, results: Path) -> None:
        """Publish a folder with its manifest; replaces results published there before.

        Call `refuse_foreign_files` first where there is no manifest: not checked here.

        Args:
            results: A complete local folder with its manifest (not checked); it stays as it is.
        """

    @abc.abstractmethod
    def refuse_unwritable(self) -> None:
        """Refuse an output that cannot be written, as far as that can be told without writing.

        Raises:
            InputError: It cannot be; names the folder that is in the way.
        """

    @abc.abstractmethod
    def remove_leftovers(self) -> None:
        """Remove what a process that was killed while it published here left, besides the results.

        Call it where the results are published; nothing is removed that another process needs.
        """

    @abc.abstractmethod
    def find_damage(self, manifest: Manifest) -> str | None:
        """Return the first difference of the published files from a manifest, or None.

        There must be at least one file in the folder. Others than the manifest's are ignored.
        """

    def refuse_added_files(self, manifest: Manifest) -> None:
        """Refuse a folder with files that its manifest does not name: to publish would remove them.

        Raises:
            InputError: It has such files.
        """
        known = {MANIFEST_NAME, _UPLOADING_NAME, *manifest.files}
        if added := sorted(self._sizes().keys() - known):
            raise InputError(
                f"output {self.address}: is to be made anew, which would remove "
                f"{', '.join(added[:3])}{', ...' if len(added) > 3 else ''}, not made by this "
                "program; move that away, or choose another folder"
            )

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of all files here by their paths below the folder.

        Raises:
            InputError: The folder is missing or empty.
        """
        root = self.address if is_remote(self.address) else str(Path(self.address).absolute())
        files = find_files(root)
        return {file.path.removeprefix(join(root, "")): file.num_bytes for file in files}

    def _foreign_files_error(self) -> InputError:
        return InputError(
            f"output {self.address}: exists and was not made by this program; expected a new or "
            "empty folder"
        )


def output_at(address: str | Path) -> Output:
    """Return the output at an address, gs:// or local; nothing is made there.

    Raises:
        InputError: It is a link that leads in a circle.
    """
    return RemoteOutput(str(address)) if is_remote(address) else LocalOutput(Path(address))


class LocalOutput(Output):
    """A folder on this machine.

    Attributes:
        folder: Its path; where the address is a link, the one that it leads to.
        default_work_root: `.NAME.work` beside a folder called NAME; in a folder that is a mount
            point, or that cannot be renamed for another reason, `.albert-work`.
    """

    def __init__(self, folder: Path) -> None:
        """Find the folder, and place the work root on its file system; nothing is made."""
        self.folder = resolve_link(folder)
        self.address = str(folder)
        self._is_replaceable = is_replaceable(self.folder)
        # On the file system of the output: publishing links files, copying nothing.
        self.default_work_root = (
            self.folder.with_name(f".{self.folder.name}.work")
            if self._is_replaceable
            else self.folder / PRIVATE_NAME
        )

    def manifest(self) -> Manifest | None:
        """Return the manifest of the published results, or None where there is none."""
        return find_manifest(self.folder)

    def refuse_foreign_files(self) -> None:
        """Refuse a folder that is not empty, also one with a manifest, and a file.

        Raises:
            InputError: It is such, and nobody was publishing there.
        """
        if self.folder.exists() and (not self.folder.is_dir() or find_foreign_file(self.folder)):
            raise self._foreign_files_error()

    def refuse_unwritable(self) -> None:
        """Refuse a folder, or one above it, that this user must not write.

        Raises:
            InputError: It is such.
        """
        refuse_unwritable(self.folder)

    def find_damage(self, manifest: Manifest) -> str | None:
        """Return the first difference from the manifest, for a message, or None.

        Sizes are compared and, where that takes seconds at most, sha256.
        """
        return find_damage(self.folder, manifest, with_hashes=is_worth_hashing(manifest))

    def publish(self, results: Path) -> None:
        """Publish the results in one rename; by hard links where the file system has them.

        The folder that was there before is removed as a whole. One that cannot be renamed gets the
        files one by one, the manifest last, after its earlier manifest and files were removed.

        Links, not a move: with a work root given, the results stay there, for the same work to be
        published elsewhere without being computed again.
        """
        if not self._is_replaceable:
            earlier = (*earlier_files(self.folder), *self._files_of_manifest())
            fill_folder(results, self.folder, earlier=earlier, last=MANIFEST_NAME)
            end_filling(self.folder)
            return
        # A process killed in here loses nothing: the results are still in the work folder.
        with staging_folder(partial_path(self.folder)) as partial:
            shutil.copytree(results, partial, copy_function=link_or_copy, dirs_exist_ok=True)
            # Copies, where there are no links: the work that could make them again is removed next.
            flush_to_disk(partial)
            replace_folder(partial, self.folder)

    def remove_leftovers(self) -> None:
        """Remove the note of a publishing in place, or the folders of one by renames."""
        if not self._is_replaceable:
            end_filling(self.folder)
        partial, replaced = partial_path(self.folder), replaced_path(self.folder)
        if partial.exists() or replaced.exists():
            # Another process is publishing here, and removes them itself.
            with contextlib.suppress(InputError), staging_folder(partial):
                shutil.rmtree(replaced, ignore_errors=True)

    def _files_of_manifest(self) -> tuple[str, ...]:
        """Return the files that the manifest here lists; none without one that can be read."""
        with contextlib.suppress(InputError):
            if manifest := self.manifest():
                return tuple(manifest.files)
        return ()

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of all files here but those of work in progress.

        Raises:
            InputError: The folder is missing or empty.
        """
        sizes = super()._sizes()
        return {n: size for n, size in sizes.items() if not n.startswith(f"{PRIVATE_NAME}/")}


class RemoteOutput(Output):
    """A folder in Google Cloud Storage.

    Attributes:
        default_work_root: `.NAME.work` below the current folder for a folder called NAME.
    """

    def __init__(self, address: str) -> None:
        """Keep the address, and place the work root in the current folder; makes no request."""
        self.address = address.rstrip("/")
        self.default_work_root = Path(f".{self.address.rpartition('/')[2]}.work")
        self._manifest_path = join(address, MANIFEST_NAME)
        self._uploading_path = join(address, _UPLOADING_NAME)

    def manifest(self) -> Manifest | None:
        """Return the manifest of the published results, or None where there is none."""
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
        """Remove the mark of an upload that was killed after the manifest was written."""
        if exists(self._uploading_path):
            with contextlib.suppress(InputError):
                remove_file(self._uploading_path)

    def find_damage(self, manifest: Manifest) -> str | None:
        """Return the first file whose published size differs from the manifest's, or None.

        Worded for a message. By one listing; contents are not compared.
        """
        # Google keeps what it has; a sha256 would cost a download. Whoever reads the files as an
        # input compares their hashes.
        sizes = {file.path: file.num_bytes for file in find_files(self.address)}
        for name, entry in manifest.files.items():
            if (actual := sizes.get(join(self.address, name))) != entry["bytes"]:
                return f"{name} is missing" if actual is None else f"{name} has {actual:,} bytes"
        return None

    def publish(self, results: Path) -> None:
        """Upload file by file, the manifest last; a mark file says meanwhile that this goes on.

        Where a manifest is published, the whole folder is removed first. Objects of an upload that
        ended early are overwritten where their names are the same, and stay otherwise. The mark is
        removed at the end, and left where the upload fails.

        Raises:
            WriteConflictError: Another run published there meanwhile; its manifest stays, but its
                files may be overwritten.
        """
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
