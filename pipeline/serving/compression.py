"""Bodies of requests that are sent compressed."""

import zlib
from collections.abc import Sequence

from pipeline.serving.errors import RequestError

_GZIP_NAMES = ("gzip", "x-gzip")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def decompress_body(body: bytes, encodings: Sequence[str], max_bytes: int) -> bytes:
    """Return a body as it was before it was compressed.

    No more than `max_bytes` and one are ever made of it, whatever it would become.

    Args:
        body: The body as it arrived.
        encodings: Its Content-Encoding, in lower case, in the order in which they were applied;
            `identity` is ignored.
        max_bytes: Longest body.

    Raises:
        RequestError: It would be longer than that (413), is no whole gzip (400), or is encoded in
            another way, or several times (415).
    """
    applied = [name for name in encodings if name != "identity"]
    if not applied:
        return body
    if len(applied) > 1 or applied[0] not in _GZIP_NAMES:
        headers = {"Accept-Encoding": "gzip"}
        raise RequestError(415, "Content-Encoding", ", ".join(applied), "gzip or none", headers)
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = decompressor.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise _not_gzip(str(error)) from None
    if len(content) > max_bytes:
        raise RequestError(
            413, "body", "more than that", f"at most {max_bytes:,} bytes once it is decompressed"
        )
    if not decompressor.eof:
        raise _not_gzip("one that is cut short")
    # Further members are allowed by the format, and no client sends them; thousands of empty ones
    # would take seconds to read.
    if decompressor.unused_data:
        raise _not_gzip("bytes after its end")
    return content


def _not_gzip(got: str) -> RequestError:
    return RequestError(400, "body", got, "a gzip file, as Content-Encoding says")
