"""S3, Amazon's or another server's: objects by address, and by ETag as their generation.

Imports botocore at the first call. Each object is written with its CRC-32C: the server compares it
where it can, and it is kept in the object's metadata, since servers keep checksums of whole objects
only of some.
"""

import base64
import datetime
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c

from albert_core.errors import InputError, ServiceError
from albert_core.files.checksums import describe_file
from albert_core.object_storage.errors import WriteConflictError, conflict_error, no_object_error
from albert_core.object_storage.interface import (
    Generation,
    ListedObject,
    ObjectFacts,
    ObjectStorage,
    Version,
)
from albert_core.object_storage.s3.client import endpoint_in_use, is_amazon, s3_client
from albert_core.object_storage.s3.errors import code_of, s3_errors
from albert_core.object_storage.s3.parts import part_ranges, send_parts
from albert_core.object_storage.s3.reading import (
    CHECKSUM_KEY,
    RangeReader,
    find_object,
    get_object,
    read_range,
)
from albert_core.processes.parallel_calls import do_in_parallel

_PART_BYTES = 32 << 20  # of an upload or a download; smaller objects go by one request
_COPY_PART_BYTES = 256 << 20
_LARGEST_COPY_BYTES = 1 << 30  # by one request; S3 takes 5 GiB, for which it needs long


class S3Storage(ObjectStorage):
    """Buckets of S3, called as the module `client` says."""

    scheme = "s3://"
    copy_command = "aws s3 cp"
    bucket_name = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
    bucket_characters = "- and ."

    def __init__(self) -> None:
        """Make no request yet."""
        self._conditional: set[tuple[str, str]] = set()

    def find(self, path: str) -> ObjectFacts | None:
        """Return size, checksum and ETag of an object, by one request.

        Returns None if there is no such object, or no such bucket. Other errors are those of
        `s3_errors`.
        """
        with s3_errors(path):
            return find_object(self._target(path))

    def list_objects(
        self, path: str, prefix: str, *, limit: int | None = None
    ) -> Iterator[ListedObject]:
        """Yield the objects of a bucket whose names begin with a prefix, by name, page by page.

        As from every method, there may also be the errors of `s3_errors`.

        Args:
            path: An address in the bucket, also for messages.
            prefix: What the names begin with.
            limit: Most objects; 0: none; None: all.

        Raises:
            InputError: There is no such bucket.
        """
        bucket, _ = self.bucket_and_name(path)
        limits = {"MaxItems": limit or None, "PageSize": limit or None}
        with s3_errors(path):
            pages = s3_client().get_paginator("list_objects_v2")
            listed = pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig=limits)
            entries = (entry for page in listed for entry in page.get("Contents", ()))
            for entry in itertools.islice(entries, limit):
                yield ListedObject(entry["Key"], entry["Size"], entry["ETag"])

    def open(self, path: str) -> io.RawIOBase:
        """Open an object for reading at any place, after one request for what S3 keeps of it.

        Raises:
            InputError: There is no such object, or, while it is read, it is replaced.
        """
        facts = self.existing(path)
        return RangeReader(path, self._target(path), facts)

    def read_range(self, path: str, begin: int, end: int) -> bytes:
        """Return the bytes of an object from one place up to another, by one request for these.

        As from every method, there may also be the errors of `s3_errors`.

        Args:
            path: Its address.
            begin: Place of the first byte.
            end: Place after the last byte, greater than `begin`; if the object ends earlier, fewer
                bytes are returned, or none.

        Raises:
            MissingObjectError: There is no such object.
        """
        from botocore.exceptions import ClientError

        with s3_errors(path):
            try:
                return get_object({**self._target(path), "Range": f"bytes={begin}-{end - 1}"})[1]
            except ClientError as error:
                if code_of(error) == "InvalidRange":
                    return b""
                raise

    def read(self, path: str) -> bytes:
        """Return the bytes of an object by one request, so that they are all of one version.

        As from every method, there may also be the errors of `s3_errors`.

        Raises:
            MissingObjectError: There is no such object.
        """
        version = self.read_version(path)
        if version is None:
            raise no_object_error(path)
        return version.data

    def read_version(self, path: str) -> Version | None:
        """Return an object with its ETag, by one request; None where there is none.

        As from every method, there may also be the errors of `s3_errors`.

        Raises:
            MissingObjectError: There is no such bucket.
        """
        from botocore.exceptions import ClientError

        with s3_errors(path):
            try:
                answer, data = get_object(self._target(path))
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
        age = datetime.datetime.now(datetime.UTC) - answer["LastModified"]
        # That is in whole seconds, and the write may have come up to one later.
        age_s = max(0.0, age.total_seconds() - 1.0)
        return Version(data=data, generation=answer["ETag"], age_s=age_s)

    def write_version(self, path: str, data: bytes, *, generation: Generation | None) -> Generation:
        """Write an object if it still has an ETag; return the new ETag.

        For a server other than Amazon's, the first new object in a bucket is followed by two more
        writes, which test whether the server honours conditions at all.

        As from every method, there may also be the errors of `s3_errors`.

        Args:
            path: Address of the object.
            data: Its new content.
            generation: The ETag that the object must have; 0 if there must be no object, None if
                there may be any.

        Raises:
            WriteConflictError: It has another ETag, or is there or gone unexpectedly.
            InputError: The server does not honour conditions; the object has been written.
        """
        from botocore.exceptions import ClientError

        if generation == 0:
            with s3_errors(path):
                written = self._put(path, data, IfNoneMatch="*")
            self._require_conditions(path, data)
            return written
        with s3_errors(path):
            try:
                return self._put(path, data, **({"IfMatch": generation} if generation else {}))
            except ClientError as error:
                # There is nothing any more that could have the ETag.
                if code_of(error) == "NoSuchKey":
                    raise conflict_error(path) from error
                raise

    def upload(self, path: str, source: Path) -> None:
        """Write a local file as an object, which appears complete; replace an object of that name.

        As from every method, there may also be the errors of `s3_errors`.

        A file of more than 32 MiB is sent in parts, several at once. If the file grows meanwhile,
        only the bytes that it had at the beginning are written.

        Raises:
            OSError: There is no such local file, or it cannot be read.
        """
        num_bytes = source.stat().st_size
        if num_bytes <= _PART_BYTES:
            with source.open("rb") as file, s3_errors(path):
                self._put(path, file.read(num_bytes))
            return
        target = self._target(path)
        ranges = part_ranges(num_bytes, _PART_BYTES)
        crc32c = describe_file(source, max_bytes=num_bytes)["crc32c"]

        def send(upload: dict[str, Any], number: int) -> dict[str, Any]:
            start, size = ranges[number - 1]
            with source.open("rb") as file:
                file.seek(start)
                data = file.read(size)
            checksum = {"ChecksumAlgorithm": "CRC32C", "ChecksumCRC32C": _crc32c(data)}
            answer = s3_client().upload_part(**upload, PartNumber=number, Body=data, **checksum)
            return {"ETag": answer["ETag"], "ChecksumCRC32C": checksum["ChecksumCRC32C"]}

        with s3_errors(path):
            metadata = {"Metadata": {CHECKSUM_KEY: crc32c}, "ChecksumAlgorithm": "CRC32C"}
            send_parts(target, len(ranges), send, **metadata)

    def download(self, path: str, target: Path) -> None:
        """Write an object to a local file, and compare its CRC-32C if it has one.

        It is fetched in parts of 32 MiB, several at once. After an error `target` stays, with a
        part of the object or wrong bytes.

        Raises:
            InputError: There is no such object, or it is replaced meanwhile.
            ServiceError: The downloaded bytes have another checksum.
        """
        facts, source = self.existing(path), self._target(path)
        with target.open("wb") as file:
            file.truncate(facts.num_bytes)

        def fetch(part: tuple[int, int]) -> None:
            with target.open("r+b") as file:
                file.seek(part[0])
                file.write(read_range(path, source, facts, *part))

        do_in_parallel(fetch, part_ranges(facts.num_bytes, _PART_BYTES))
        if facts.crc32c not in (None, describe_file(target)["crc32c"]):
            raise ServiceError(f"{path}: other bytes came than S3 keeps (CRC-32C); try again")

    def copy(self, path: str, target: str) -> None:
        """Copy an object to another address within S3, without a download; replace what is there.

        An object of more than 1 GiB is copied in parts, and still appears complete.

        As from every method, there may also be the errors of `s3_errors`.

        Raises:
            MissingObjectError: There is no such object.
            WriteConflictError: It is replaced meanwhile.
        """
        facts, (bucket, name) = self.existing(path), self.bucket_and_name(path)
        source = {
            "CopySource": {"Bucket": bucket, "Key": name},
            "CopySourceIfMatch": facts.generation,
        }
        if facts.num_bytes <= _LARGEST_COPY_BYTES:
            with s3_errors(path):
                s3_client().copy_object(**self._target(target), **source)
            return
        ranges = part_ranges(facts.num_bytes, _COPY_PART_BYTES)

        def send(upload: dict[str, Any], number: int) -> dict[str, Any]:
            start, size = ranges[number - 1]
            part = {"PartNumber": number, "CopySourceRange": f"bytes={start}-{start + size - 1}"}
            answer = s3_client().upload_part_copy(**upload, **part, **source)
            return {"ETag": answer["CopyPartResult"]["ETag"]}

        # The metadata does not come with the parts.
        metadata = {"Metadata": {CHECKSUM_KEY: facts.crc32c}} if facts.crc32c else {}
        with s3_errors(path):
            send_parts(self._target(target), len(ranges), send, **metadata)

    def remove(self, path: str, *, generation: Generation | None = None) -> None:
        """Remove an object, if it still has an ETag; one that is not there is no error.

        Some servers other than Amazon's do not look at the ETag.

        As from every method, there may also be the errors of `s3_errors`.

        Args:
            path: Its address.
            generation: The ETag that the object must have; None if it may have any.

        Raises:
            WriteConflictError: It has another ETag.
        """
        conditions = {"IfMatch": generation} if generation else {}
        with s3_errors(path):
            s3_client().delete_object(**self._target(path), **conditions)

    def _target(self, path: str) -> dict[str, Any]:
        """Return bucket and name of an address as the client's calls take them."""
        bucket, name = self.bucket_and_name(path)
        return {"Bucket": bucket, "Key": name}

    def _put(self, path: str, data: bytes, **conditions: Any) -> str:
        """Write an object by one request, with its CRC-32C, and return its ETag.

        Raises botocore's errors.

        Args:
            path: Address of the object.
            data: Its content.
            **conditions: Arguments of the client's `put_object` such as `IfMatch`.
        """
        crc32c = _crc32c(data)
        answer = s3_client().put_object(
            **self._target(path),
            Body=data,
            Metadata={CHECKSUM_KEY: crc32c},
            ChecksumAlgorithm="CRC32C",
            ChecksumCRC32C=crc32c,
            **conditions,
        )
        return str(answer["ETag"])

    def _require_conditions(self, path: str, data: bytes) -> None:
        """Refuse a server that writes an object in spite of a condition.

        Asks by two conditional writes of the same object, until a bucket has passed once; never
        Amazon's.

        Args:
            path: Address of an object that was just written.
            data: Its content, which a server that ignores conditions writes again.

        Raises:
            InputError: The server wrote in spite of a condition.
        """
        server = endpoint_in_use(), self.bucket_and_name(path)[0]
        if is_amazon() or server in self._conditional:
            return
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"0"'}):
            try:
                with s3_errors(path):
                    self._put(path, data, **condition)
            except WriteConflictError:
                continue
            raise InputError(
                f"{path}: the server at {server[0]} does not keep to {next(iter(condition))} of "
                "writes, so that two runs would destroy each other's work; expected one that does"
            )
        self._conditional.add(server)


def _crc32c(data: bytes) -> str:
    """Return the CRC-32C of bytes in base64."""
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
