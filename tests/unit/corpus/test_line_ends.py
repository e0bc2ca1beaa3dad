"""Line ends that are no line feeds are read as such, wherever the reader's buffer ends."""

import io

import pytest

from albert_core.corpus.line_ends import find_line_end, with_line_feeds

SEPARATOR = b"\xe2\x80\xa8"


@pytest.mark.parametrize("line_end", [b"\r", b"\xc2\x85", SEPARATOR])
@pytest.mark.parametrize("length", range(io.DEFAULT_BUFFER_SIZE - 8, io.DEFAULT_BUFFER_SIZE + 1))
def test_a_line_end_at_the_end_of_the_buffer_is_one(line_end, length):
    content = b"x" * length + line_end + b"last"
    lines = list(with_line_feeds(io.BytesIO(content), line_end))
    assert [line.rstrip() for line in lines] == [b"x" * length, b"last"]
    assert len(b"".join(lines)) == len(content)


def test_bytes_that_only_begin_like_a_line_end_stay_as_they_are():
    """A long run of them at the end of the buffer made it overflow."""
    run = b"\xe2" * (2 * io.DEFAULT_BUFFER_SIZE)
    content = b"first" + SEPARATOR + run + SEPARATOR + b"last"
    assert find_line_end(content) == SEPARATOR
    lines = list(with_line_feeds(io.BytesIO(content[5:]), SEPARATOR, head=b"first"))
    assert [line.rstrip(b" \n") for line in lines] == [b"first", run, b"last"]
