"""Read sentences whose words have tags: in CoNLL's columns, and as lists in JSON or Parquet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from albert_core.errors import InputError
from albert_core.files.atomic import refuse_special_file
from albert_core.row_formats import (
    ConllLines,
    open_parquet,
    read_conll_sentences,
    read_json_objects,
)
from albert_core.settings.json_values import FieldError, as_texts, describe_value
from albert_core.tasks.examples import InvalidRows, TaggedSentence
from albert_core.tasks.source import Column, Source
from albert_core.tasks.task import Task
from albert_core.tasks.text_files import read_lines

_LAST_COLUMN = -1
_MAX_SHOWN_TAGS = 40


class _Sentence(Protocol):
    """A sentence of a file, whose words and tags are read when it is called."""

    def __call__(self) -> tuple[list[str], list[str] | None]:
        """Return the words and their tags; None in place of the tags if the file has none.

        Raises:
            _UnusableError: The sentence cannot be used.
        """

    def place(self, index: int) -> str:
        """Return where a tag stands, for messages."""


_Read = Callable[[Task, Source, Path], Iterator[_Sentence]]


class _UnusableError(Exception):
    """A sentence cannot be used; carries the cause, the place and what is wrong."""

    def __init__(self, cause: str, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.cause = cause


def read_sentences_file(
    task: Task,
    source: Source,
    path: Path,
    invalid_rows: InvalidRows,
    numbers: Iterator[int],
) -> Iterator[TaggedSentence]:
    """Yield the sentences of a file, in its order.

    In the format `conll` a line has a word and its tag, and maybe other columns between them,
    separated by tabs or spaces as `read_conll_sentences` splits them. In `jsonl` and `parquet` a
    row has a list of words and a list of tags. A tag may be a number: the number of a class, if
    Hugging Face's metadata in the file name the classes; else a label that is this number, if there
    is one; else the index of one of the task's class names or labels.

    Args:
        task: A task of kind `token_classification`.
        source: The file's declaration.
        path: The file.
        invalid_rows: Collects sentences that cannot be used.
        numbers: Ids for the sentences; as many are taken from it as the file has sentences.

    Raises:
        InputError: The file is missing, not UTF-8 or in no such format, or a sentence cannot be
            used and `invalid_rows` refuses such.
    """
    sentences = _open_sentences(task, source, path)
    for sentence, number in zip(sentences, numbers, strict=False):
        try:
            words, names = sentence()
            tags = None if names is None else _tag_numbers(task, names, sentence)
        except _UnusableError as error:
            invalid_rows.add(error.cause, str(error))
        else:
            yield TaggedSentence(id=str(number), words=tuple(words), tags=tags, source=source.name)


def read_tags(task: Task, source: Source, path: Path, unusable: list[str]) -> Iterator[list[str]]:
    """Yield the names of the tags of each sentence of a file; empty lists if the file has no tags.

    Sentences that cannot be used are skipped.

    Args:
        task: A task of kind `token_classification`.
        source: The file's declaration.
        path: The file.
        unusable: Takes what is wrong with the first such sentence, and where, if it is empty.

    Raises:
        InputError: The file is missing, cannot be read, is not UTF-8 or in no such format.
    """
    for sentence in _open_sentences(task, source, path):
        try:
            tags = sentence()[1] or []
        except _UnusableError as error:
            if not unusable:
                unusable.append(str(error))
            continue
        yield tags


def _open_sentences(task: Task, source: Source, path: Path) -> Iterator[_Sentence]:
    """Return the sentences of a file, read according to its format.

    Raises:
        InputError: The file is JSON lines or Parquet, and neither the source nor the task declares
            the name of the list of words; or, when the sentences are iterated over, the file cannot
            be read.
    """
    readers: dict[str, _Read] = {"jsonl": _read_json, "parquet": _read_parquet}
    read = readers.get(task.source_format(source, path.name), _read_columns)
    if read is not _read_columns and not (source.texts or task.texts):
        raise InputError(
            f"{path}: got no texts for task {task.name}, expected the name of the list of words, "
            "as in texts: [tokens]"
        )
    return read(task, source, path)


class _ColumnSentence:
    """A sentence of a file of columns, a `_Sentence`."""

    def __init__(
        self, task: Task, source: Source, path: Path, lines: ConllLines, width: int
    ) -> None:
        self._task, self._source, self._path = task, source, path
        self._lines, self._width = lines, width

    def place(self, index: int) -> str:
        """Return file and line of a tag."""
        return f"{self._path}, line {self._lines[index][0]}"

    def __call__(self) -> tuple[list[str], list[str] | None]:
        """Return its words and their tags; None for a file without tags.

        They are read from the declared columns, or from the first and the last one if none is
        declared.

        Raises:
            _UnusableError: A line has more or fewer columns than the first of the file.
        """
        for number, cells in self._lines:
            if len(cells) != self._width:
                raise _UnusableError(
                    "other number of columns",
                    f"{self._path}, line {number}",
                    f"got {len(cells)} columns ({' '.join(cells)[:80]}), expected {self._width} as "
                    "in the first line: a word and its tag, with a tab or spaces between them, and "
                    f"an empty line after each sentence{_comment_remedy(cells, self._lines[0][1])}",
                )
        word = _column_number(self._source.texts or self._task.texts, default=0)
        words = [cells[word] for _, cells in self._lines]
        if not self._source.is_labelled:
            return words, None
        label = self._task.label if self._source.label is None else self._source.label
        column = _column_number((label,), default=_LAST_COLUMN)
        return words, [cells[column] for _, cells in self._lines]


def _read_columns(task: Task, source: Source, path: Path) -> Iterator[_ColumnSentence]:
    """Yield the sentences of a file of columns, decompressed.

    Raises:
        InputError: The file is missing, cannot be read, is damaged or not UTF-8, or its first line
            has not the columns that are read.
    """
    width = 0
    for lines in read_conll_sentences(read_lines(path)):
        if not width:
            number, cells = lines[0]
            width = len(cells)
            _refuse_missing_columns(task, source, path, number, cells)
        yield _ColumnSentence(task, source, path, lines, width)


def _refuse_missing_columns(
    task: Task, source: Source, path: Path, number: int, cells: Sequence[str]
) -> None:
    """Refuse a file whose first line has no column of words, or of tags where there must be.

    Raises:
        InputError: The line has too few columns; tells the remedy.
    """
    columns = [_column_number(source.texts or task.texts, default=0)]
    if source.is_labelled:
        label = task.label if source.label is None else source.label
        columns.append(_column_number((label,), default=_LAST_COLUMN))
    needed = max(column + 1 if column >= 0 else -column for column in columns)
    needed = max(needed, len(columns))
    if len(cells) < needed:
        raise InputError(
            f"{path}, line {number}: got {len(cells)} columns ({' '.join(cells)[:80]}), expected "
            f"{needed} or more: a word first and its tag last, with a tab or spaces between them; "
            f"or give their numbers, from 0, as texts and label{_comment_remedy(cells)}"
        )


def _comment_remedy(*lines: Sequence[str]) -> str:
    """Return what a message adds if a line may be a comment; else an empty text."""
    if not any(cells[0].startswith("#") for cells in lines):
        return ""
    return (
        "; if it is a comment, remove it: only those of CoNLL-U before a sentence (# text = ...) "
        "are left out"
    )


def _column_number(columns: Sequence[Column], *, default: int) -> int:
    """Return a declared column as a number; the default where none is declared or it is a name.

    It is a name if the task declares no column of labels: then it is `label`.
    """
    return columns[0] if columns and isinstance(columns[0], int) else default


def _tag_numbers(task: Task, tags: Sequence[str], sentence: _Sentence) -> tuple[int, ...]:
    """Return the numbers of a sentence's tags among the task's labels.

    Raises:
        _UnusableError: A tag is not one of the labels; the message names the first.
    """
    unknown = next((index for index, tag in enumerate(tags) if tag not in task.labels), None)
    if unknown is not None:
        shown = ", ".join(task.labels[:_MAX_SHOWN_TAGS])
        num_others = len(task.labels) - _MAX_SHOWN_TAGS
        others = f" and {num_others} others" if num_others > 0 else ""
        raise _UnusableError(
            "unknown tag",
            sentence.place(unknown),
            f"got tag {tags[unknown]!r}, expected one of {shown}{others}; correct it, or add it to "
            "the task's labels",
        )
    return tuple(map(task.labels.index, tags))


class _ObjectSentence:
    """A sentence with words and tags by name, a `_Sentence`."""

    def __init__(
        self,
        task: Task,
        source: Source,
        place: str,
        values: Mapping[str, Any],
        class_names: Mapping[str, Sequence[str]],
    ) -> None:
        self._task, self._source, self._place, self._values = task, source, place, values
        label = task.label if source.label is None else source.label
        self._label = str(label)
        self._class_names = class_names.get(self._label, ())

    def place(self, index: int) -> str:
        """Return file and line or row."""
        return self._place

    def __call__(self) -> tuple[list[str], list[str] | None]:
        """Return its words and their tags; None for a file without tags.

        Raises:
            _UnusableError: A key is missing, a value is of another type, there are no words, a word
                is blank or holds half a character, or there are more or fewer tags than words.
        """
        (column,) = self._source.texts or self._task.texts
        try:
            words = as_texts(self._value(str(column)), str(column))
        except FieldError as error:
            raise self._unusable("wrong type", str(error)) from error
        if not words or not all(word.strip() for word in words):
            raise self._unusable("empty word", f"got {str(words)[:80]}, expected words")
        if not self._source.is_labelled:
            return words, None
        tags = self._value(self._label)
        if not isinstance(tags, list) or len(tags) != len(words):
            count = f"{len(tags)} tags" if isinstance(tags, list) else describe_value(tags)
            raise self._unusable(
                "other number of tags",
                f"got {count} as {self._label!r}, expected a list of {len(words)}, one for each "
                "word",
            )
        return words, [self._name(tag) for tag in tags]

    def _name(self, tag: Any) -> str:
        """Return the name of a tag, which may be a number, of a class or a label.

        If the file names no classes, a number that is itself one of the labels is this label,
        wherever it stands among them. A number beyond the names, or another value, is its text.
        """
        task = self._task
        others = () if str(tag) in task.labels else task.class_names or task.labels
        names = self._class_names or others
        is_number = isinstance(tag, int) and not isinstance(tag, bool)
        return names[tag] if is_number and 0 <= tag < len(names) else str(tag)

    def _value(self, column: str) -> Any:
        """Return the value of a key.

        Raises:
            _UnusableError: It is missing.
        """
        if column not in self._values:
            raise self._unusable(
                "missing key",
                f"got no {column!r} for task {self._task.name}, only {', '.join(self._values)}",
            )
        return self._values[column]

    def _unusable(self, cause: str, message: str) -> _UnusableError:
        return _UnusableError(cause, self._place, message)


def _read_json(task: Task, source: Source, path: Path) -> Iterator[_ObjectSentence]:
    """Yield the sentences of a file of JSON lines, decompressed; blank lines are left out.

    Raises:
        InputError: The file is missing, no regular file, cannot be read, is damaged or not UTF-8,
            or a line is no JSON object.
    """
    for number, values in read_json_objects(str(path), read_lines(path)):
        yield _ObjectSentence(task, source, f"{path}, line {number}", values, {})


def _read_parquet(task: Task, source: Source, path: Path) -> Iterator[_ObjectSentence]:
    """Yield the sentences of a Parquet file, which is open until the iteration ends.

    Raises:
        InputError: The file is missing, no regular file, cannot be read, is damaged or no Parquet.
    """
    refuse_special_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        table = open_parquet(str(path), file)
        for number, values in table.rows():
            yield _ObjectSentence(task, source, f"{path}, row {number}", values, table.class_names)
