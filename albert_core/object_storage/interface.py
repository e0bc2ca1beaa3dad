"""The interface of a storage of objects: what Google Cloud Storage and S3 must offer.

A storage of another kind is one more class of this interface, and an entry in
`albert_core.storage.addresses`.
"""

import abc
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from albert_core.errors import InputError
from albert_core.object_storage.errors import no_object_error

Generation = int | str
"""What tells the writes of an object apart: Google's number, S3's ETag; 0 where there is none."""

_SHORTEST_BUCKET, _LONGEST_BUCKET = 3, 63


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """What a storage keeps of an object beside its bytes.

    Attributes:
        num_bytes: Its size.
        crc32c: CRC-32C of its bytes in base64; None where the storage has none.
        generation: Changes whenever the object is written; S3's only if its bytes change.
    """

    num_bytes: int
    crc32c: str | None
    generation: Generation

    @property
    def content_hash(self) -> str:
        """Hash of the bytes: the checksum, else what tells the writes of this object apart."""
        return f"crc32c:{self.crc32c}" if self.crc32c else f"generation:{self.generation}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """The content of an object in the cloud at one moment.

    Attributes:
        data: Its bytes.
        generation: What the storage gave to the write of this content.
        age_s: Seconds since that write at least, by this machine's clock.
    """

    data: bytes
    generation: Generation
    age_s: float


class ListedObject(NamedTuple):
    """An object as a listing shows it.

    Attributes:
        name: Its name in the bucket.
        num_bytes: Its size.
        generation: Generation of the content when it was listed.
    """

    name: str
    num_bytes: int
    generation: Generation


class ObjectStorage(abc.ABC):
    """A storage of objects in buckets; makes no request before the first call.

    All calls raise what people are told in one line:

        NoAccessError: There are no credentials, they are refused or have no right to this, or the
            connection fails whenever it is tried (a certificate).
        InputError: There is no such bucket, or the storage does not take the request.
        NoConnectionError: There is no way to the storage now, such as no network.
        ServiceError: It failed, or the connection was lost, for as long as it was tried again.

    Attributes:
        scheme: What its addresses begin with.
        copy_command: Command that copies files to and from it, for messages.
        bucket_name: What names of its buckets look like.
        bucket_characters: The characters in words, to be put after "3 to 63 lower-case letters,
            digits, ".
        longest_dotted_bucket: Most characters of a bucket's name with dots.
    """

    scheme: ClassVar[str]
    copy_command: ClassVar[str]
    bucket_name: ClassVar[re.Pattern[str]]
    bucket_characters: ClassVar[str]
    longest_dotted_bucket: ClassVar[int] = _LONGEST_BUCKET

    def bucket_and_name(self, path: str) -> tuple[str, str]:
        """Split an address into bucket and name; the name is empty for a whole bucket.

        The address must begin with the storage's `scheme` (not checked).

        Raises:
            InputError: The address names no bucket, or one of a name that the storage does not
                give.
        """
        bucket, _, name = path[len(self.scheme) :].partition("/")
        if not bucket:
            raise InputError(f"{path}: got no bucket, expected {self.scheme}bucket/name")
        longest = self.longest_dotted_bucket if "." in bucket else _LONGEST_BUCKET
        is_name = self.bucket_name.fullmatch(bucket)
        if not is_name or not _SHORTEST_BUCKET <= len(bucket) <= longest:
            raise InputError(
                f"{path}: got the bucket {bucket!r}, expected 3 to 63 lower-case letters, digits, "
                f"{self.bucket_characters}, a letter or digit first and last; correct its name"
            )
        return bucket, name

    def existing(self, path: str) -> ObjectFacts:
        """Return size, checksum and generation of an object.

        Raises:
            MissingObjectError: There is no such object.
        """
        facts = self.find(path)
        if facts is None:
            raise no_object_error(path)
        return facts

    @abc.abstractmethod
    def find(self, path: str) -> ObjectFacts | None:
        """Return size, checksum and generation of an object, by one request.

        None where there is no such object, or no such bucket.
        """

    @abc.abstractmethod
    def list_objects(
        self, path: str, prefix: str, *, limit: int | None = None
    ) -> Iterator[ListedObject]:
        """Yield the objects of a bucket whose names begin with a prefix, by name, page by page.

        Args:
            path: An address in the bucket, for messages.
            prefix: What the names begin with.
            limit: Most objects; 0: none; None: all.
        """

    @abc.abstractmethod
    def open(self, path: str) -> io.RawIOBase:
        """Open an object for reading at any place.

        Raises:
            InputError: There is no such object, or, while it is read, it is replaced.
        """

    @abc.abstractmethod
    def read_range(self, path: str, begin: int, end: int) -> bytes:
        """Return the bytes of an object from one place up to another, by one request for these.

        They are of one write of the object; calls may see different ones.

        Args:
            path: Its address.
            begin: Place of the first byte.
            end: Place behind the last one, after `begin`; where the object ends before, fewer bytes
                are returned, or none.

        Raises:
            MissingObjectError: There is no such object.
        """

    def read(self, path: str) -> bytes:
        """Return the bytes of an object.

        Raises:
            InputError: There is no such object.
        """
        return self.open(path).readall()

    @abc.abstractmethod
    def read_version(self, path: str) -> Version | None:
        """Return an object with its generation; None where there is none.

        Raises:
            WriteConflictError: It was replaced meanwhile.
        """

    @abc.abstractmethod
    def write_version(self, path: str, data: bytes, *, generation: Generation | None) -> Generation:
        """Write an object if it is still of a generation; return the new generation.

        Args:
            path: Address of the object.
            data: Its new content.
            generation: The generation that must be there; 0 if there must be no object, None if
                there may be any.

        Raises:
            WriteConflictError: It is of another generation.
        """

    @abc.abstractmethod
    def upload(self, path: str, source: Path) -> None:
        """Write a local file as an object, which appears whole; replaces what is there.

        Raises:
            OSError: There is no such local file, or it cannot be read.
        """

    @abc.abstractmethod
    def download(self, path: str, target: Path) -> None:
        """Write an object to a local file, and compare its checksum if the storage keeps one.

        After an error `target` may hold a part of it.

        Raises:
            InputError: There is no such object, or it is replaced meanwhile.
            ServiceError: The bytes that came are others.
        """

    @abc.abstractmethod
    def copy(self, path: str, target: str) -> None:
        """Copy an object to another address of this storage; replaces what is there.

        Raises:
            InputError: There is no such object.
        """

    @abc.abstractmethod
    def remove(self, path: str, *, generation: Generation | None = None) -> None:
        """Remove an object.

        Args:
            path: Its address.
            generation: The generation that must be there; None if there may be any.

        Raises:
            MissingObjectError: There is none; without a generation not every storage tells.
            WriteConflictError: It is of another generation.
        """
