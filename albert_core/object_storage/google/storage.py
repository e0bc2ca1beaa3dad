"""Google Cloud Storage: objects by address and by generation.

Imports google-cloud-storage at the first call.
"""

import datetime
import io
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.object_storage.errors import no_object_error
from albert_core.object_storage.google.client import storage_client
from albert_core.object_storage.google.errors import input_errors, no_error_behind_end
from albert_core.object_storage.interface import (
    Generation,
    ListedObject,
    ObjectFacts,
    ObjectStorage,
    Version,
)
from albert_core.object_storage.settings import user_project

_CONTENT_TYPE = "application/octet-stream"
# The client's 40 MiB would reach far behind a split of a corpus.
_READ_AHEAD_BYTES = 16 << 20


class GoogleStorage(ObjectStorage):
    """Buckets of Google Cloud Storage, called as the module `client` says."""

    scheme = "gs://"
    copy_command = "gcloud storage cp"
    bucket_name = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
    bucket_characters = "-, _ and ."
    longest_dotted_bucket = 222

    def find(self, path: str) -> ObjectFacts | None:
        """Return size, checksum and generation of an object, by one request.

        None where there is no such object, or no such bucket. Other errors are those of
        `input_errors`.
        """
        blob = self._look_up(path)
        if blob is None:
            return None
        return ObjectFacts(num_bytes=blob.size, crc32c=blob.crc32c, generation=blob.generation)

    def list_objects(
        self, path: str, prefix: str, *, limit: int | None = None
    ) -> Iterator[ListedObject]:
        """Yield the objects of a bucket whose names begin with a prefix, by name, page by page.

        As from every method, there may also be the errors of `input_errors`.

        Args:
            path: An address in the bucket, also for messages.
            prefix: What the names begin with.
            limit: Most objects; 0: none; None: all.

        Raises:
            InputError: There is no such bucket.
        """
        bucket, _ = self.bucket_and_name(path)
        with input_errors(path):
            blobs = _bucket_of(bucket).list_blobs(prefix=prefix, max_results=limit or None)
            for blob in itertools.islice(blobs, limit):
                yield ListedObject(blob.name, blob.size, blob.generation)

    def open(self, path: str) -> io.RawIOBase:
        """Open an object for reading at any place, 16 MiB or more at once.

        Makes one request for what Google keeps of it.

        Raises:
            InputError: There is no such object, or, while it is read, it is replaced.
            ServiceError: Google failed; further errors are those of `input_errors`.
        """
        blob = self._existing_blob(path)
        with input_errors(path):
            return _ObjectReader(path, blob.open("rb", chunk_size=_READ_AHEAD_BYTES))

    def read_range(self, path: str, begin: int, end: int) -> bytes:
        """Return the bytes of an object from one place up to another, by one request for these.

        As from every method, there may also be the errors of `input_errors`.

        Args:
            path: Its address.
            begin: Place of the first byte.
            end: Place behind the last one, after `begin`; where the object ends before, fewer bytes
                are returned, or none.

        Raises:
            MissingObjectError: There is no such object.
        """
        with input_errors(path), no_error_behind_end():
            blob = self._blob_at(path)
            # Google's end is the last byte of a range; of a range it has no checksum.
            return bytes(blob.download_as_bytes(start=begin, end=end - 1, checksum=None))
        return b""

    def read_version(self, path: str) -> Version | None:
        """Return an object with its generation, by two requests; None if there is none.

        As from every method, there may also be the errors of `input_errors`.

        Raises:
            WriteConflictError: It was replaced between the two requests.
        """
        blob = self._look_up(path)
        if blob is None:
            return None
        with input_errors(path):
            # Generation and bytes come by two requests: they must be of the same write.
            data = blob.download_as_bytes(if_generation_match=blob.generation)
        age = datetime.datetime.now(datetime.UTC) - blob.updated
        return Version(data=data, generation=blob.generation, age_s=age.total_seconds())

    def write_version(self, path: str, data: bytes, *, generation: Generation | None) -> Generation:
        """Write an object if it is still of a generation; return the new generation.

        As from every method, there may also be the errors of `input_errors`.

        Args:
            path: Address of the object.
            data: Its new content.
            generation: The generation that must be there; 0 if there must be no object, None if
                there may be any.

        Raises:
            WriteConflictError: It is of another generation.
        """
        with input_errors(path):
            blob = self._blob_at(path)
            blob.upload_from_string(
                data,
                content_type=_CONTENT_TYPE,
                checksum="crc32c",
                if_generation_match=generation,
            )
        return int(blob.generation)

    def upload(self, path: str, source: Path) -> None:
        """Write a local file as an object, which appears whole; replaces what is there.

        Errors of Google are those of `input_errors`; a local file that cannot be read raises
        OSError.
        """
        with input_errors(path):
            self._blob_at(path).upload_from_filename(
                str(source), content_type=_CONTENT_TYPE, checksum="crc32c"
            )

    def download(self, path: str, target: Path) -> None:
        """Write an object to a local file, and compare its CRC-32C.

        Raises:
            InputError: There is no such object.
            ServiceError: The bytes that came are others.
        """
        blob = self._existing_blob(path)
        with input_errors(path):
            blob.download_to_filename(str(target), checksum="crc32c")

    def copy(self, path: str, target: str) -> None:
        """Copy an object to another address by Google, without a download; replaces what is there.

        As from every method, there may also be the errors of `input_errors`.

        Raises:
            InputError: There is no such object.
        """
        blob = self._existing_blob(path)
        with input_errors(path):
            destination, token = self._blob_at(target), None
            while True:  # a large object, or one of another region, takes several calls
                token, _, _ = destination.rewrite(blob, token=token)
                if token is None:
                    return

    def remove(self, path: str, *, generation: Generation | None = None) -> None:
        """Remove an object, if it is still of a generation.

        As from every method, there may also be the errors of `input_errors`.

        Args:
            path: Its address.
            generation: The generation that must be there; None if there may be any.

        Raises:
            MissingObjectError: There is no such object.
            WriteConflictError: It is of another generation.
        """
        with input_errors(path):
            self._blob_at(path).delete(if_generation_match=generation)

    def _blob_at(self, path: str) -> Any:
        """Return the client's blob of an address, without a request: there may be no object."""
        bucket, name = self.bucket_and_name(path)
        return _bucket_of(bucket).blob(name)

    def _look_up(self, path: str) -> Any:
        """Return the client's blob of an object, with what Google keeps of it, by one request.

        None where there is no such object, or no such bucket. Other errors are those of
        `input_errors`.
        """
        bucket, name = self.bucket_and_name(path)
        with input_errors(path):
            return _bucket_of(bucket).get_blob(name)

    def _existing_blob(self, path: str) -> Any:
        """Return the client's blob of an object, with what Google keeps of it, by one request.

        Raises:
            MissingObjectError: There is no such object.
            InputError: For the other reasons of `input_errors`.
            ServiceError: For the reasons of `input_errors`.
        """
        blob = self._look_up(path)
        if blob is None:
            raise no_object_error(path)
        return blob


def _bucket_of(name: str) -> Any:
    """Return the client's bucket of a name, with the project that pays; makes no request.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    return storage_client().bucket(name, user_project=user_project() or None)


class _ObjectReader(io.RawIOBase):
    """An object as a file that is read at any place.

    Errors of reading are those of `input_errors`; closing it leaves the client's file open.
    """

    def __init__(self, path: str, file: Any) -> None:
        """Keep the address and the client's file; reads nothing yet."""
        self._path, self._file = path, file

    def readinto(self, buffer: Any) -> int:
        """Read up to the length of a buffer into it; return how many bytes these are, 0 at the end.

        Errors are those of `input_errors`.
        """
        with input_errors(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return all that is left, by one download; errors are those of `input_errors`."""
        with input_errors(self._path):
            return bytes(self._file.read())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, at most to the end; return it.

        Arguments are those of `io.IOBase.seek`; errors are those of `input_errors`.
        """
        with input_errors(self._path):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place of the next byte."""
        return int(self._file.tell())

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read at any place."""
        return True
