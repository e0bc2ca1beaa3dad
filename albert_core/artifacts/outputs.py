"""Where a step's results are published: a local folder, or one in Google Cloud Storage.

Results are never published in part: a local folder appears in one rename; in a remote one, and in a
local one that cannot be renamed, the manifest is written last, and readers take a folder without a
manifest for unfinished.
"""

import abc
import contextlib
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from albert_core.artifacts.filled_folder import (
    earlier_files,
    end_filling,
    files_in,
    fill_folder,
    filling_lock,
    find_foreign_file,
    replace_or_fill,
)
from albert_core.artifacts.inputs import is_worth_hashing
from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    DamagedManifestError,
    Manifest,
    find_damage,
    find_manifest,
    parse_manifest,
)
from albert_core.artifacts.output_folder import (
    PRIVATE_NAME,
    folder_errors,
    is_replaceable,
    refuse_unwritable,
    resolve_link,
)
from albert_core.errors import InputError
from albert_core.files import link_or_copy
from albert_core.partial_files import (
    partial_path,
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

FindPublished = Callable[[], Manifest | None]
"""Returns the manifest of the same results where they are published already; refuses others."""


def _find_nothing() -> None:
    """Take whatever is published for nothing that counts."""


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
    def publish(
        self, results: Path, find_published: FindPublished = _find_nothing
    ) -> Manifest | None:
        """Publish a folder with its manifest; replaces results published there before.

        Args:
            results: A complete local folder with its manifest (not checked); it stays as it is.
            find_published: Called just before anything is changed, in a local folder while no other
                process can publish there: what was true before hours of work may be no more. What
                it raises leaves the output as it is.

        Returns:
            What `find_published` returned: where that is a manifest, nothing is published.
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

    def refuse_added_files(self, files: Collection[str]) -> None:
        """Refuse a folder with other files than its manifest's: to publish would remove them.

        Args:
            files: The names that the manifest lists.

        Raises:
            InputError: It has such files.
        """
        known = {MANIFEST_NAME, _UPLOADING_NAME, *files}
        if added := sorted(set(self._names()) - known):
            raise InputError(
                f"output {self.address}: is to be made anew, which would remove "
                f"{', '.join(added[:3])}{', ...' if len(added) > 3 else ''}, not made by this "
                "program; move that away, or choose another folder"
            )

    @abc.abstractmethod
    def _names(self) -> list[str]:
        """Return the paths of all files here below the folder, but those of work in progress."""

    def _foreign_files_error(self, name: str | None = None) -> InputError:
        what = f" (it holds {name})" if name else ""
        return InputError(
            f"output {self.address}: exists and was not made by this program{what}; expected a new "
            "or empty folder"
        )


def output_at(address: str | Path) -> Output:
    """Return the output at an address, gs:// or local; nothing is made there.

    Raises:
        InputError: It is a link that leads in a circle, or must not be looked at.
    """
    return RemoteOutput(str(address)) if is_remote(address) else LocalOutput(Path(address))


class LocalOutput(Output):
    """A folder on this machine.

    Attributes:
        folder: Its absolute path; where the address is a link, the one that it leads to.
        default_work_root: `.NAME.work` beside a folder called NAME; in a folder that is a mount
            point, or that cannot be renamed for another reason, `.albert-work`.
    """

    def __init__(self, folder: Path) -> None:
        """Find the folder, and place the work root on its file system; nothing is made."""
        self.address = str(folder)
        with folder_errors(folder):
            self.folder = resolve_link(folder)
            self._is_replaceable = is_replaceable(self.folder)
        # On the file system of the output: publishing links files, copying nothing.
        self.default_work_root = (
            self.folder.with_name(f".{self.folder.name}.work")
            if self._is_replaceable
            else self.folder / PRIVATE_NAME
        )

    def manifest(self) -> Manifest | None:
        """Return the manifest of the published results, or None where there is none.

        One that is damaged counts as none where a publishing was ended early.
        """
        try:
            with folder_errors(self.address):
                return find_manifest(self.folder)
        except InputError:
            if earlier_files(self.folder):
                return None
            raise

    def refuse_foreign_files(self) -> None:
        """Refuse a folder that is not empty, also one with a manifest, and a file.

        Raises:
            InputError: It is such, and nobody was publishing there.
        """
        with folder_errors(self.address):
            if not self.folder.exists():
                return
            if not self.folder.is_dir():
                raise self._foreign_files_error()
            if name := find_foreign_file(self.folder, is_replaced=self._is_replaceable):
                raise self._foreign_files_error(name)

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

    def publish(
        self, results: Path, find_published: FindPublished = _find_nothing
    ) -> Manifest | None:
        """Publish the results in one rename; by hard links where the file system has them.

        The folder that was there before is removed as a whole. One that cannot be renamed gets the
        files one by one, the manifest last, after its earlier manifest and files were removed.

        Links, not a move: with a work root given, the results stay there, for the same work to be
        published elsewhere without being computed again.
        """
        if not self._is_replaceable:
            with filling_lock(self.folder):
                if published := find_published():
                    return published
                fill_folder(results, self.folder, earlier=self._earlier(), last=MANIFEST_NAME)
                end_filling(self.folder)
            return None
        # A process killed in here loses nothing: the results are still in the work folder.
        with staging_folder(partial_path(self.folder)) as partial:
            shutil.copytree(results, partial, copy_function=link_or_copy, dirs_exist_ok=True)
            # After the copy, which may take minutes where it cannot be links.
            if published := find_published():
                return published
            replace_or_fill(partial, self.folder, earlier=self._earlier(), last=MANIFEST_NAME)
        return None

    def remove_leftovers(self) -> None:
        """Remove the note of a publishing in place, and the folders of one by renames."""
        # Where another process is publishing, it removes them itself.
        private = self.folder / PRIVATE_NAME
        if private.is_dir() and not private.is_symlink():
            with contextlib.suppress(InputError), filling_lock(self.folder):
                end_filling(self.folder)
        if not self._is_replaceable:
            return
        partial, replaced = partial_path(self.folder), replaced_path(self.folder)
        if partial.exists() or replaced.exists():
            with contextlib.suppress(InputError), staging_folder(partial):
                shutil.rmtree(replaced, ignore_errors=True)

    def _earlier(self) -> tuple[str, ...]:
        """Return the files that the note and the manifest here list, as far as there are any."""
        files = earlier_files(self.folder)
        try:
            manifest = self.manifest()
        except DamagedManifestError as error:
            return (*files, *error.files)
        except InputError:
            return files
        return (*files, *manifest.files) if manifest else files

    def _names(self) -> list[str]:
        """Return the paths of all files here below the folder, but those of work in progress."""
        return files_in(self.folder, is_replaced=self._is_replaceable)


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

    def publish(
        self, results: Path, find_published: FindPublished = _find_nothing
    ) -> Manifest | None:
        """Upload file by file, the manifest last; a mark file says meanwhile that this goes on.

        Where a manifest is published, the whole folder is removed first. Objects of an upload that
        ended early are overwritten where their names are the same, and stay otherwise. The mark is
        removed at the end, and left where the upload fails.

        Raises:
            WriteConflictError: Another run published there meanwhile; its manifest stays, but its
                files may be overwritten.
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
        """Return the paths of all objects here below the folder."""
        prefix = join(self.address, "")
        return [file.path.removeprefix(prefix) for file in find_files(self.address)]
