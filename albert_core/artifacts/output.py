"""What a step needs of the place that receives its results, wherever that is."""

import abc
from collections.abc import Callable, Collection
from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest
from albert_core.errors import InputError

# Marks a folder as half uploaded by this program. Without it, a retried task could not tell the
# objects of its killed predecessor from somebody else's, and would have to refuse the folder.
UPLOADING_NAME = "uploading.txt"

FindPublished = Callable[[], Manifest | None]
"""Returns the manifest of the same results where they are published already; refuses others."""


def find_nothing() -> None:
    """Return None: whatever is published is replaced."""


class Output(abc.ABC):
    """A folder that receives results.

    Attributes:
        address: Its local path, or its address in a bucket.
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
        """Refuse a folder that is not empty, unless a publishing there was ended early.

        For a folder without a manifest; one with a manifest is refused, too.

        Raises:
            InputError: It holds files that this program did not write.
        """

    @abc.abstractmethod
    def publish(
        self, results: Path, find_published: FindPublished = find_nothing
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
            InputError: The output cannot be written; the message names the folder that is in the
                way.
        """

    @abc.abstractmethod
    def remove_leftovers(self) -> None:
        """Remove what a process that was killed while it published here left, besides the results.

        Call it where the results are published; nothing is removed that another process needs.
        """

    @abc.abstractmethod
    def find_damage(self, manifest: Manifest) -> str | None:
        """Describe the first difference of the published files from a manifest, or return None.

        There must be at least one file in the folder. Others than the manifest's are ignored.
        """

    def refuse_added_files(self, files: Collection[str]) -> None:
        """Refuse a folder with other files than its manifest's: to publish would remove them.

        Args:
            files: The names that the manifest lists; its own may be missing.

        Raises:
            InputError: It has such files.
        """
        known = {MANIFEST_NAME, UPLOADING_NAME, *files}
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
