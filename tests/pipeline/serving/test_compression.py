"""Compressed bodies are read within the limit of their size, and refused with a reason."""

import gzip

import pytest

from pipeline.serving.compression import decompress_body
from pipeline.serving.errors import RequestError

LONGEST = 10_000


def test_gzip_is_read_up_to_the_limit() -> None:
    body = b"x" * LONGEST
    assert decompress_body(gzip.compress(body), ["gzip"], LONGEST) == body
    assert decompress_body(gzip.compress(b""), ["identity", "x-gzip"], LONGEST) == b""
    assert decompress_body(body, ["identity"], LONGEST) == body


WHOLE = gzip.compress(b"text")
REFUSED = {
    "a bomb": (gzip.compress(bytes(50_000_000)), ["gzip"], 413),
    "one byte more": (gzip.compress(bytes(LONGEST + 1)), ["gzip"], 413),
    "no gzip": (b"text", ["gzip"], 400),
    "cut short": (WHOLE[:-4], ["gzip"], 400),
    "nothing": (b"", ["gzip"], 400),
    "another checksum": (WHOLE[:-8] + bytes(8), ["gzip"], 400),
    "bytes behind": (WHOLE + b"x", ["gzip"], 400),
    "many members": (gzip.compress(b"") * 50_000, ["gzip"], 400),
    "another encoding": (WHOLE, ["br"], 415),
    "twice": (gzip.compress(WHOLE), ["gzip", "gzip"], 415),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_gzip_or_too_long_is_refused(name: str) -> None:
    body, encodings, status = REFUSED[name]
    with pytest.raises(RequestError) as refused:
        decompress_body(body, encodings, LONGEST)
    assert refused.value.status == status
    assert refused.value.headers == ({"Accept-Encoding": "gzip"} if status == 415 else {})
