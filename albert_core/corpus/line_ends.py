"""Line ends other than a line feed: what they are, and how they are read as one.

Old Macs ended lines with a carriage return alone; some programs write Unicode's separators of
lines and paragraphs. Such a file would be a single line.
"""

import io
from typing import BinaryIO

_OTHER_ENDS = (b"\r", b"\xe2\x80\xa9", b"\xe2\x80\xa8", b"\xc2\x85")
_LONGEST = 3


def find_line_end(head: bytes) -> bytes | None:
    """Return the line end of a file by its first bytes, if it is not a line feed; else None.

    Returns None also where no line end is in `head`; a carriage return as its very last byte does
    not count. If there are several kinds, the first of these is returned: carriage return,
    Unicode's paragraph separator, line separator, next line.
    """
    if b"\n" in head:
        return None
    # A carriage return at the very end may belong to a line feed that was cut off.
    return next((end for end in _OTHER_ENDS if end in head[:-1]), None)


def with_line_feeds(file: BinaryIO, line_end: bytes, *, head: bytes = b"") -> BinaryIO:
    """Wrap a file so that its line ends are read as line feeds.

    Every byte keeps its offset: longer line ends become spaces and a line feed. It is sought in
    from the beginning only, and as far as `file` can be; closing it leaves `file` open.

    Args:
        file: The file.
        line_end: What ends its lines.
        head: Bytes that were read from its beginning; in a file with them nothing must be sought
            (not checked).
    """
    return io.BufferedReader(_LineFeeds(file, line_end, head))


class _LineFeeds(io.RawIOBase):
    """The bytes of a file with line feeds in place of another line end, unbuffered.

    A line end of several bytes becomes spaces and a line feed, so that offsets stay.
    `with_line_feeds` buffers it.

    Args:
        file: The file, read from where it is.
        line_end: The line end to replace.
        head: Bytes that were read from the file already; they come first.
    """

    def __init__(self, file: BinaryIO, line_end: bytes, head: bytes) -> None:
        """Keep file and head; line ends are to become a line feed with spaces before it."""
        self._file = file
        self._line_end = line_end
        self._line_feed = b"\n".rjust(len(line_end))
        self._head = head

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to an offset from the beginning; return it.

        What is left of the head is dropped.

        Raises:
            UnsupportedOperation: `whence` is not the beginning.
        """
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the beginning")
        # The place may be inside of a line end: begin before it.
        num_before = min(offset, len(self._line_end) - 1)
        self._file.seek(offset - num_before)
        around = self._file.read(num_before + len(self._line_end))
        self._head = around.replace(self._line_end, self._line_feed)[num_before:]
        return offset

    def tell(self) -> int:
        return self._file.tell() - len(self._head)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer with bytes whose line ends are line feeds; return how many, 0 at the end.

        The buffer must be longer than 3 bytes (not checked). No line end is cut in two.
        """
        data = self._take(len(buffer) - _LONGEST)
        data = (data + self._rest_of_line_end(data)).replace(self._line_end, self._line_feed)
        buffer[: len(data)] = data
        return len(data)

    def _rest_of_line_end(self, data: bytes) -> bytes:
        """Return what follows if it completes a line end begun by the last bytes; else nothing.

        What does not complete one is put before the head, to be read next.
        """
        for num_begun in range(len(self._line_end) - 1, 0, -1):
            if data.endswith(self._line_end[:num_begun]):
                num_missing = len(self._line_end) - num_begun
                following = self._take(num_missing)
                following += self._take(num_missing - len(following))
                if following == self._line_end[num_begun:]:
                    return following
                self._head = following + self._head
        return b""

    def _take(self, count: int) -> bytes:
        """Return up to `count` bytes: of the head while any of it is left, then of the file."""
        if not self._head:
            return self._file.read(count)
        data, self._head = self._head[:count], self._head[count:]
        return data
