"""Files of predictions, written part by part: JSON lines, tables or Parquet."""

import abc
import contextlib
import csv
import dataclasses
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from albert_core.inference.file_formats import STANDARD_OUTPUT, ResultFormat
from albert_core.inference.output_files import whole_file
from albert_core.inference.predictions import InvalidExample, Prediction

if TYPE_CHECKING:
    import pyarrow

_SPACES = str.maketrans("\t\n\r", "   ")

Results = Sequence[Prediction | InvalidExample]


class ResultWriter(abc.ABC):
    """Writes predictions in their order."""

    @abc.abstractmethod
    def write(self, ids: Sequence[str | None], results: Results) -> None:
        """Write the next predictions and invalid examples, in their order.

        Args:
            ids: The id of each example, as many as results (not checked); None for one without.
            results: What came of the examples: predictions, all of one class, or invalid examples.
        """

    def finish(self) -> None:
        """Complete the file, after which no more is written; here there is nothing to do."""
        return None


@contextlib.contextmanager
def open_results(
    path: str, result_format: ResultFormat, *, labels: Sequence[str]
) -> Iterator[ResultWriter]:
    """Open a file of predictions for the body; it appears whole when the body has ended.

    A row has `id`, if the example has one, and the fields of the prediction; or `error` with what
    is wrong with an example that has no prediction. In tables, probabilities by label are a column
    each (`probability_LABEL`) and lists are JSON; in TSV, tabs and line ends in a text become
    spaces.

    Args:
        path: Local, gs:// or s3://, or `-` for standard output, which gets every part at once.
        result_format: Its format.
        labels: Labels of the model, in the order of the columns.

    Raises:
        InputError: Another process writes the same file, or the bucket must not be written. After
            this or an error of the body, what was at `path` before is still there, and nothing of
            the new file; what standard output has got stays.
        ServiceError: The file cannot be uploaded to a bucket.
    """
    with contextlib.ExitStack() as stack:
        if path == STANDARD_OUTPUT:
            writer = _text_writer(sys.stdout, result_format, labels)
        else:
            partial = stack.enter_context(whole_file(path))
            if result_format == "parquet":
                writer = _WriterOfKnownType(lambda kind: _ParquetWriter(partial, kind, labels))
            else:
                file = stack.enter_context(partial.open("w", encoding="utf-8", newline=""))
                writer = _text_writer(file, result_format, labels)
        yield writer
        writer.finish()


def _text_writer(file: IO[str], result_format: ResultFormat, labels: Sequence[str]) -> ResultWriter:
    """Return a writer of JSON lines or, of any other format, of a table: TSV or CSV.

    The table is begun when the class of the predictions is known.
    """
    if result_format == "jsonl":
        return _JsonWriter(file)
    is_tsv = result_format == "tsv"
    return _WriterOfKnownType(lambda kind: _TableWriter(file, kind, labels, is_tsv=is_tsv))


def _to_row(id_: str | None, result: Prediction | InvalidExample) -> dict[str, Any]:
    """Return a prediction's fields by name, after the `id` of its example if it has one.

    Dataclasses become dicts at any depth (`dataclasses.asdict`); other values stay as they are. An
    invalid example has, in place of its fields, one text `error`.
    """
    identity = {} if id_ is None else {"id": id_}
    if isinstance(result, InvalidExample):
        message = f"{result.what}: got {result.got}, expected {result.expected}"
        return {**identity, "error": message}
    return {**identity, **dataclasses.asdict(result)}


class _JsonWriter(ResultWriter):
    """Writes a JSON object a line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, ids: Sequence[str | None], results: Results) -> None:
        """Write an object for each prediction or invalid example, and flush the file."""
        for row in map(_to_row, ids, results):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()


class _WriterOfKnownType(ResultWriter):
    """Makes a writer as soon as the class of the predictions is known, by which columns go.

    Args:
        make: Makes the writer for a class of predictions; for None no example had one.
    """

    def __init__(self, make: Callable[[type | None], ResultWriter]) -> None:
        self._make, self._writer = make, None
        self._waiting: list[tuple[Sequence[str | None], Results]] = []

    _writer: ResultWriter | None

    def write(self, ids: Sequence[str | None], results: Results) -> None:
        """Write predictions, or keep them while they are nothing but invalid examples.

        At the first prediction the writer is made for its class, and those kept are written first.
        """
        self._waiting.append((ids, results))
        known = (type(result) for result in results if not isinstance(result, InvalidExample))
        if self._writer is None and (kind := next(known, None)):
            self._writer = self._make(kind)
        if self._writer:
            for part in self._waiting:
                self._writer.write(*part)
            self._waiting.clear()

    def finish(self) -> None:
        """Complete the file; if no example had a prediction, begin it now, with what was kept."""
        if self._writer is None:
            self._writer = self._make(None)
            for part in self._waiting:
                self._writer.write(*part)
        self._writer.finish()


class _TableWriter(ResultWriter):
    """Writes a table with a header.

    Args:
        file: The file.
        kind: Class of the predictions; None if there are none.
        labels: Labels of the model.
        is_tsv: Whether cells are separated by tabs, and nothing is quoted; else by commas.
    """

    def __init__(
        self, file: IO[str], kind: type | None, labels: Sequence[str], *, is_tsv: bool
    ) -> None:
        """Write the line of names: `id`, the fields of a prediction of type `kind`, and `error`.

        A field by label has a column for each label. TSV is written without quotes.
        """
        self._is_tsv, self._file = is_tsv, file
        columns = ["id"]
        for name, hint in _field_types(kind).items():
            is_by_label = typing.get_origin(hint) is Mapping
            columns += [_label_column(name, label) for label in labels] if is_by_label else [name]
        self._writer = csv.DictWriter(
            file,
            [*columns, "error"],
            lineterminator="\n",
            delimiter="\t" if is_tsv else ",",
            quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
            quotechar=None if is_tsv else '"',
        )
        self._writer.writeheader()

    def write(self, ids: Sequence[str | None], results: Results) -> None:
        """Write a line for each prediction or invalid example, and flush the file.

        Lists and truth values are JSON, values by label a column each. A cell for which there is no
        value is empty.
        """
        for row in map(_to_row, ids, results):
            cells: dict[str, Any] = {}
            for name, value in row.items():
                if isinstance(value, Mapping):
                    cells |= {_label_column(name, label): cell for label, cell in value.items()}
                else:
                    cells[name] = self._cell(value)
            self._writer.writerow(cells)
        self._file.flush()

    def _cell(self, value: Any) -> Any:
        """Return a value as a cell has it: true, false and lists in JSON.

        In TSV, tabs and line ends in texts become spaces. Anything else stays, for the csv module.
        """
        if isinstance(value, bool | list | tuple):
            value = json.dumps(value, ensure_ascii=False)
        return value.translate(_SPACES) if self._is_tsv and isinstance(value, str) else value


class _ParquetWriter(ResultWriter):
    """Writes Parquet, a row group for each part.

    Args:
        path: The file.
        kind: Class of the predictions; None if there are none.
        labels: Labels of the model.
    """

    def __init__(self, path: Any, kind: type | None, labels: Sequence[str]) -> None:
        """Open the file with a schema: `id`, the fields of predictions of type `kind`, and `error`.

        Imports pyarrow. Values by label become a struct with a field for each of `labels`.
        """
        import pyarrow.parquet

        fields = {name: _arrow_type(hint, labels) for name, hint in _field_types(kind).items()}
        text = pyarrow.string()
        self._schema = pyarrow.schema([("id", text), *fields.items(), ("error", text)])
        self._file = pyarrow.parquet.ParquetWriter(path, self._schema)

    def write(self, ids: Sequence[str | None], results: Results) -> None:
        """Write a row for each prediction or invalid example, in their order.

        The columns are those of the schema that `__init__` made; a row has null where it has no
        value, such as in `error` for a prediction.

        Args:
            ids: The id of each example, as many as results (not checked); None for one without.
            results: Predictions of the class that the schema was made for, and invalid examples.
        """
        import pyarrow

        rows = list(map(_to_row, ids, results))
        self._file.write_table(pyarrow.Table.from_pylist(rows, schema=self._schema))

    def finish(self) -> None:
        """Write the end of the file."""
        self._file.close()


def _label_column(name: str, label: str) -> str:
    """Return the column of a label's value, such as `probability_yes` of `probabilities`."""
    return f"{'probability' if name == 'probabilities' else name}_{label}"


def _field_types(cls: type | None) -> dict[str, Any]:
    """Return the types of a dataclass's fields by name; no fields for None."""
    if cls is None:
        return {}
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _arrow_type(hint: Any, labels: Sequence[str]) -> "pyarrow.DataType":
    """Return the type of Arrow for a type of a prediction's field; values may always be missing.

    A dataclass becomes a struct of its fields, a mapping by label a struct with a field for each
    label, a sequence a list, and `X | None` the type of X.

    Args:
        hint: str, float, int, bool, a dataclass, `Mapping[str, X]`, `Sequence[X]` or `X | None`.
        labels: Labels of the model, the keys of every mapping.

    Raises:
        TypeError: It is another type.
    """
    import pyarrow

    plain = {
        str: pyarrow.string(),
        float: pyarrow.float64(),
        int: pyarrow.int64(),
        bool: pyarrow.bool_(),
    }
    if hint in plain:
        return plain[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        fields = _field_types(hint)
        return pyarrow.struct([(name, _arrow_type(part, labels)) for name, part in fields.items()])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    wanted = [argument for argument in arguments if argument is not type(None)]
    if origin in (typing.Union, types.UnionType) and len(wanted) == 1:
        return _arrow_type(wanted[0], labels)
    if origin is Mapping and arguments[0] is str:
        return pyarrow.struct([(label, _arrow_type(arguments[1], labels)) for label in labels])
    if origin is Sequence:
        return pyarrow.list_(_arrow_type(arguments[0], labels))
    raise TypeError(
        f"Parquet: got a field of type {hint}, expected a text, a number, a dataclass, a mapping "
        "by label or a sequence of these"
    )
