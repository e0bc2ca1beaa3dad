"""Where results of a step are published: a local folder, or one in a bucket.

Results are never published in part: a local folder appears in one rename; in a remote one, and in a
local one that cannot be renamed, the manifest is written last, and readers take a folder without a
manifest for unfinished.
"""

import contextlib
import shutil
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
)
from albert_core.artifacts.output import FindPublished, Output, find_nothing
from albert_core.artifacts.output_folder import (
    PRIVATE_NAME,
    folder_errors,
    is_replaceable,
    refuse_unwritable,
    resolve_link,
)
from albert_core.artifacts.remote_output import RemoteOutput
from albert_core.errors import InputError
from albert_core.files.atomic import link_or_copy
from albert_core.files.folders import flush_to_disk
from albert_core.files.partial_files import (
    partial_path,
    replaced_path,
    staging_folder,
)
from albert_core.storage import is_remote


def output_at(address: str | Path) -> Output:
    """Return the output at an address, gs://, s3:// or local; nothing is made there.

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
        """Find the folder, and place the work root on its file system; nothing is made.

        Raises:
            InputError: The folder is a link that leads in a circle, or must not be looked at.
        """
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

        One that cannot be read counts as none where a publishing was ended early.

        Raises:
            InputError: There is one that cannot be read, or the folder must not be looked at.
        """
        try:
            with folder_errors(self.address):
                return find_manifest(self.folder)
        except InputError:
            if earlier_files(self.folder):
                return None
            raise

    def refuse_foreign_files(self) -> None:
        """Refuse a file, and a folder that is not empty, also one with a manifest.

        What a publishing that was ended early was to put there passes, and so do, in a folder that
        is filled in place, `.albert-work` and `lost+found`.

        Raises:
            InputError: The folder is such, or must not be looked at.
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
            InputError: The user must not write it.
        """
        refuse_unwritable(self.folder)

    def find_damage(self, manifest: Manifest) -> str | None:
        """Describe the first difference of the files from the manifest, or return None.

        Sizes are compared and, where all files have less than 4 GiB together, sha256.
        """
        return find_damage(self.folder, manifest, with_hashes=is_worth_hashing(manifest))

    def publish(
        self, results: Path, find_published: FindPublished = find_nothing
    ) -> Manifest | None:
        """Publish the results in one rename; by hard links where the file system has them.

        The folder that was there before is removed as a whole. One that cannot be renamed gets the
        files one by one, the manifest last, after its earlier manifest and files were removed;
        others stay. The disk has the results before this returns.

        The results stay where they are: with a work root given, the same work may be published
        elsewhere without being computed again.

        Args:
            results: A complete local folder with its manifest.
            find_published: Called under the lock of the place, before anything in it is changed.

        Returns:
            What `find_published` returned if that is a manifest: nothing is published then; else
            None.

        Raises:
            InputError: Another process is publishing there; what is left there is in the way; or as
                `find_published` raises.
            OSError: A file cannot be written, or the place not be renamed.
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
            # Copies, where there are no links: the work that could make them again is removed next.
            flush_to_disk(partial)
            # After the copy, which may take minutes where it cannot be links.
            if published := find_published():
                return published
            replace_or_fill(partial, self.folder, earlier=self._earlier(), last=MANIFEST_NAME)
        return None

    def remove_leftovers(self) -> None:
        """Remove what a killed publishing left: the note of a filled folder, and hidden folders.

        The hidden folders are those beside the output that a rename needs. Does nothing where
        another process is publishing, which removes them itself; what cannot be removed stays,
        without an error.
        """
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
        """Return the files that the note and the manifest here list, some maybe twice.

        The files of a damaged manifest count, too; a manifest that cannot be read lists none.
        """
        files = earlier_files(self.folder)
        try:
            manifest = self.manifest()
        except DamagedManifestError as error:
            return (*files, *error.files)
        except InputError:
            return files
        return (*files, *manifest.files) if manifest else files

    def _names(self) -> list[str]:
        """Return the paths, relative to the folder, of all files in it but private ones."""
        return files_in(self.folder, is_replaced=self._is_replaceable)
