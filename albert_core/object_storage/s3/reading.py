"""Read objects of S3: what it keeps of them, ranges of their bytes, and files of such ranges."""

import io
import os
import time
from typing import Any

from albert_core.errors import InputError
from albert_core.object_storage.errors import WriteConflictError
from albert_core.object_storage.interface import ObjectFacts
from albert_core.object_storage.s3.client import ForeignServerError, s3_client
from albert_core.object_storage.s3.errors import s3_errors, status_of

CHECKSUM_KEY = "crc32c"
"""Key of an object's metadata under which its CRC-32C is."""

_READ_AHEAD_BYTES = 16 << 20
_BODY_ATTEMPTS = 5


def find_object(target: dict[str, Any]) -> ObjectFacts | None:
    """Return size, checksum and ETag of an object; None where there is no such object or bucket.

    Raises botocore's errors, and `ForeignServerError` for an answer that is not S3's.

    Args:
        target: Bucket and name, as the client's calls take them.
    """
    from botocore.exceptions import ClientError

    client = s3_client()
    try:
        answer = client.head_object(**target, ChecksumMode="ENABLED")
    except ClientError as error:
        if status_of(error) == 404:
            return None
        # The answer to HEAD has a status only; that to GET says why.
        client.get_object(**target, Range="bytes=0-0")["Body"].close()
        raise
    if "ETag" not in answer:
        raise ForeignServerError
    return ObjectFacts(
        num_bytes=answer["ContentLength"], crc32c=_checksum(answer), generation=answer["ETag"]
    )


def _checksum(answer: dict[str, Any]) -> str | None:
    """Return the CRC-32C of an object's bytes, in base64; None if it is not known.

    It is the server's if that is of the whole object, else the one that the writer put into the
    metadata.
    """
    server_checksum = answer.get("ChecksumCRC32C", "")
    # That of an object of parts may be one of the parts' checksums.
    has_parts = "-" in answer["ETag"] and answer.get("ChecksumType") != "FULL_OBJECT"
    is_whole = server_checksum and "-" not in server_checksum and not has_parts
    return server_checksum if is_whole else answer.get("Metadata", {}).get(CHECKSUM_KEY)


def read_range(
    path: str, target: dict[str, Any], facts: ObjectFacts, start: int, size: int
) -> bytes:
    """Read a range of an object's bytes.

    If the bytes do not all come, the whole range is read again, at most four times, after pauses of
    1 to 4 seconds.

    Args:
        path: The object's address, for messages.
        target: Bucket and name, as the client's calls take them.
        facts: What `find_object` returned for the object.
        start: Number of the first byte, from 0.
        size: Number of bytes, at least one; the range ends within the object (not checked).

    Raises:
        InputError: The object has been replaced since it was found; or it cannot be read from here
            for one of the reasons of `s3_errors`, such as missing rights or an object that is gone.
        ServiceError: S3 was not reached, failed, or the connection was lost, for as long as it was
            tried again.
    """
    part = {"Range": f"bytes={start}-{start + size - 1}", "IfMatch": facts.generation}
    try:
        with s3_errors(path):
            return get_object({**target, **part})[1]
    except WriteConflictError as error:
        raise InputError(f"{path}: replaced while it was read; run again") from error


def get_object(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the answer to a request for an object, and the bytes that came with it.

    A request whose bytes do not all come is made again, at most four times, after pauses of 1 to 4
    seconds. If they do not come then either, or the request fails in another way, the errors of
    botocore's client are raised.

    Args:
        request: Arguments of the client's `get_object`.
    """
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    for attempt in range(1, _BODY_ATTEMPTS + 1):
        answer = s3_client().get_object(**request)
        try:
            return answer, answer["Body"].read()
        except (HTTPClientError, IncompleteReadError):
            if attempt == _BODY_ATTEMPTS:
                raise
            time.sleep(attempt)
    raise AssertionError


class RangeReader(io.RawIOBase):
    """An object as a file that is read at any place, 16 MiB or more at once.

    It is the object as it was found. Reads raise the errors of `read_range`, such as InputError
    once the object has been replaced.
    """

    def __init__(self, path: str, target: dict[str, Any], facts: ObjectFacts) -> None:
        """Keep the object's address and what `find_object` returned for it; read nothing yet."""
        self._path, self._target, self._facts = path, target, facts
        self._position, self._block, self._block_start = 0, b"", 0

    def readinto(self, buffer: Any) -> int:
        """Read up to the length of a buffer into it; return how many bytes these are, 0 at the end.

        At least 16 MiB, or what is left of the object, are fetched at once, and kept for the next
        calls. Errors are those of `read_range`.
        """
        if self._position >= self._facts.num_bytes:
            return 0
        offset = self._position - self._block_start
        if not 0 <= offset < len(self._block):
            size = max(len(buffer), _READ_AHEAD_BYTES)
            self._block, self._block_start, offset = self._read(size), self._position, 0
        data = self._block[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Return all that is left, by one request; errors are those of `read_range`."""
        data = self._read(self._facts.num_bytes)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, within the object at most (no error beyond); return it."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._facts.num_bytes}
        self._position = min(max(starts[whence] + offset, 0), self._facts.num_bytes)
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read at any place."""
        return True

    def _read(self, size: int) -> bytes:
        """Return up to `size` bytes from the position on; none at the end of the object.

        Errors are those of `read_range`.
        """
        size = min(size, self._facts.num_bytes - self._position)
        if not size:
            return b""
        return read_range(self._path, self._target, self._facts, self._position, size)
