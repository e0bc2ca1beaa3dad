"""Files of vectors, written part by part: an array of NumPy, or Parquet with ids."""

import abc
import contextlib
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from albert_core.inference.file_formats import VectorFormat
from albert_core.inference.output_files import whole_file

if TYPE_CHECKING:
    import pyarrow


class VectorWriter(abc.ABC):
    """Writes vectors [M, H], float32, in their order."""

    @abc.abstractmethod
    def write(self, ids: Sequence[str | None], vectors: np.ndarray) -> None:
        """Write the next vectors, each with the id of its text; None for a text without one.

        There are as many ids as vectors (not checked). Formats without ids leave them out.
        """


@contextlib.contextmanager
def open_vectors(path: str, vector_format: VectorFormat, *, size: int) -> Iterator[VectorWriter]:
    """Open a file of vectors for the body; it appears whole when the body has ended.

    A file at `path` is replaced; if the body fails it stays as it was.

    Args:
        path: Local, in a folder that exists, gs:// or s3://.
        vector_format: `npy`, the vectors alone, or `parquet` with the columns `id` and `vector`.
        size: Size of a vector, H.

    Raises:
        InputError: Another process writes the same file, or the bucket must not be written.
        ServiceError: The file cannot be uploaded to a bucket.
    """
    with whole_file(path) as partial:
        if vector_format == "npy":
            with partial.open("wb") as file:
                writer = _ArrayWriter(file, size)
                yield writer
                writer.finish()
            return
        import pyarrow.parquet

        vector = pyarrow.list_(pyarrow.float32(), size)
        schema = pyarrow.schema([("id", pyarrow.string()), ("vector", vector)])
        with pyarrow.parquet.ParquetWriter(partial, schema) as table:
            yield _ParquetVectorWriter(table, schema)


class _ArrayWriter(VectorWriter):
    """Writes an array of NumPy whose number of rows is known only at the end.

    Args:
        file: Seekable; gets a header for 0 rows at once, which `finish` writes over. Stays open.
        size: Size of a vector.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size, self._num_rows = file, size, 0
        self._write_header()
        self._header_bytes = file.tell()

    def write(self, ids: Sequence[str | None], vectors: np.ndarray) -> None:
        """Write the vectors; the ids are left out."""
        self._file.write(np.ascontiguousarray(vectors, "<f4").tobytes())
        self._num_rows += len(vectors)

    def finish(self) -> None:
        """Write the header again, with the number of rows."""
        self._file.seek(0)
        self._write_header()
        # NumPy leaves room in its headers for the number of rows to grow.
        assert self._file.tell() == self._header_bytes

    def _write_header(self) -> None:
        shape = (self._num_rows, self._size)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class _ParquetVectorWriter(VectorWriter):
    """Writes Parquet, a row group for each part."""

    def __init__(self, file: Any, schema: "pyarrow.Schema") -> None:
        self._file, self._schema = file, schema

    def write(self, ids: Sequence[str | None], vectors: np.ndarray) -> None:
        """Write ids and vectors as a row group; an id may be None."""
        import pyarrow

        values = pyarrow.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        columns = [
            pyarrow.array(ids, pyarrow.string()),
            pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1]),
        ]
        self._file.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))
