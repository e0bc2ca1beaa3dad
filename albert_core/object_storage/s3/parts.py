"""Large objects of S3, moved part by part, several at a time."""

import contextlib
from collections.abc import Callable
from typing import Any

from albert_core.object_storage.s3.client import s3_client
from albert_core.processes.parallel_calls import do_in_parallel

_MOST_PARTS = 10_000  # of an object, by the rules of S3


def part_ranges(num_bytes: int, part_bytes: int) -> list[tuple[int, int]]:
    """Return first byte and size of each part of an object; none of an empty one.

    Args:
        num_bytes: Size of the object.
        part_bytes: Size of a part; larger ones are taken where there would be over 10,000.
    """
    part_bytes = max(part_bytes, -(-num_bytes // _MOST_PARTS))
    return [
        (start, min(part_bytes, num_bytes - start)) for start in range(0, num_bytes, part_bytes)
    ]


def send_parts(
    target: dict[str, Any],
    num_parts: int,
    send: Callable[[dict[str, Any], int], dict[str, Any]],
    **settings: Any,
) -> None:
    """Make an object of parts, which appears whole or not at all; raises botocore's errors.

    What was sent is removed after an error; what a killed process sent stays, unlisted, until a
    rule of the bucket removes it.

    Args:
        target: Bucket and name, as the client's calls take them.
        num_parts: How many parts there are.
        send: Sends a part, given what names the upload and the part's number from 1 on; returns
            ETag and checksums of the part.
        **settings: Further arguments of `create_multipart_upload`.
    """
    client = s3_client()
    answer = client.create_multipart_upload(**target, **settings)
    upload = {**target, "UploadId": answer["UploadId"]}

    def send_part(number: int) -> dict[str, Any]:
        return {"PartNumber": number, **send(upload, number)}

    try:
        parts = do_in_parallel(send_part, range(1, num_parts + 1))
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except BaseException:
        with contextlib.suppress(Exception):  # the first error counts
            client.abort_multipart_upload(**upload)
        raise
