"""Files with sections of sorted rows of fixed size, which are merged without holding them whole."""

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from albert_core.files.checksums import DamageError, describe_file, in_base64
from albert_core.records.encoded import Section, merged_block_bytes
from albert_core.storage import read_range, write_file


def write_rows(
    path: str, sections: Iterable[tuple[str, Iterable[np.ndarray]]], *, scratch: Path
) -> dict[str, Any]:
    """Write a file of sections; it appears whole or not at all.

    Args:
        path: Address of the file, local, gs:// or s3://.
        sections: Name and rows of each section, in blocks; sorted for `merge_rows` (not checked).
        scratch: Path of a local file that is written over, then copied or uploaded to `path`; it
            stays.

    Returns:
        Size and checksum of the file as `file`, and its `Section`s by name as `sections`.
    """
    described: dict[str, Section] = {}
    with scratch.open("wb") as file:
        for name, blocks in sections:
            begin, crc = file.tell(), google_crc32c.Checksum()
            for block in blocks:
                data = block.tobytes()
                file.write(data)
                crc.update(data)
            described[name] = (begin, file.tell(), in_base64(crc))
    facts = describe_file(scratch)
    write_file(path, scratch)
    return {"file": facts, "sections": described}


def merge_rows(
    sections: Mapping[str, Section], dtype: np.dtype, *, order: Sequence[str]
) -> Iterator[np.ndarray]:
    """Yield the rows of sections of several files in blocks, all together in their order.

    Rows are read block by block as they are taken.

    Args:
        sections: A section of each file, by the file's address, sorted by `order`.
        dtype: The structured type of the rows.
        order: The fields that rows are sorted by, the first one first. Rows that agree in all of
            them come in the order of the files, but may be in different blocks.

    Raises:
        DamageError: A section is not what was written; found when it has been read to its end.
        InputError: A file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    num_rows = max(2, merged_block_bytes(len(sections)) // dtype.itemsize)
    readers = [_SectionReader(path, section, dtype) for path, section in sections.items()]
    while True:
        for reader in readers:
            reader.fill(num_rows)
        readers = [reader for reader in readers if len(reader.rows)]
        if not readers:
            return
        # No row that is still to be read comes before the last one read of its section.
        lasts = [reader.last(order) for reader in readers if reader.has_more]
        bound = min(lasts, default=None)
        rows = np.concatenate([reader.take(order, bound) for reader in readers])
        # Not `np.sort` with `order`, which breaks ties by the other fields, not by order of files.
        yield rows[np.lexsort([rows[name] for name in reversed(order)])]


class _SectionReader:
    """Reads a section block by block.

    Args:
        path: Address of the file.
        section: Its first byte, the one after its last, and its checksum.
        dtype: Type of a row.

    Attributes:
        rows: Rows that are read and not taken.
    """

    def __init__(self, path: str, section: Section, dtype: np.dtype) -> None:
        """Read nothing yet."""
        self.rows = np.zeros(0, dtype)
        self._path = path
        self._position, self._end, self._expected = section
        self._crc = google_crc32c.Checksum()

    @property
    def has_more(self) -> bool:
        """Whether rows are left in the file."""
        return self._position < self._end

    def fill(self, num_rows: int) -> None:
        """Read `num_rows` rows more, or all that are left, if less than half as many are held.

        Raises:
            DamageError: This was the end of the section, and it is not what was written.
            InputError: The file is missing, or cannot be read.
            ServiceError: The storage failed.
        """
        if not self.has_more or len(self.rows) >= num_rows / 2:
            return
        size = min(self._end - self._position, num_rows * self.rows.itemsize)
        # No file is kept open: there may be more of them than a process may hold.
        data = read_range(self._path, self._position, self._position + size)
        self._position += size
        self._crc.update(data)
        if len(data) < size or (not self.has_more and in_base64(self._crc) != self._expected):
            raise DamageError(f"{self._path}: its rows are not those that were written")
        self.rows = np.concatenate([self.rows, np.frombuffer(data, self.rows.dtype)])

    def last(self, order: Sequence[str]) -> tuple[int, ...]:
        """Return the values of the last row that is read, by the fields `order`.

        There must be a row.
        """
        return tuple(map(int, operator.itemgetter(*order)(self.rows[-1])))

    def take(self, order: Sequence[str], bound: tuple[int, ...] | None) -> np.ndarray:
        """Remove and return the rows that do not come behind `bound`; all of them for None.

        Args:
            order: Names of the fields that rows are sorted by.
            bound: Values of these fields.
        """
        num_taken = len(self.rows)
        if bound is not None:
            comes_before = np.zeros(len(self.rows), bool)
            is_equal = np.ones(len(self.rows), bool)
            for name, value in zip(order, bound, strict=True):
                comes_before |= is_equal & (self.rows[name] < value)
                is_equal &= self.rows[name] == value
            num_taken = int(np.count_nonzero(comes_before | is_equal))
        taken, self.rows = self.rows[:num_taken], self.rows[num_taken:]
        return taken
