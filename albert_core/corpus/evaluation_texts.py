"""Read the texts of evaluation data, whatever kind of task their files are of."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.files.compression import unpacked, without_compression
from albert_core.row_formats import (
    ConllLines,
    find_other_delimiter,
    open_parquet,
    read_conll_sentences,
    read_csv_cells,
)
from albert_core.storage import find_files, read_bytes

# https://universaldependencies.org/format.html
_CONLL_U_WIDTH, _CONLL_U_WORDS = 10, 1
_CONLL_U_TEXT = re.compile(r"^# ?text = (.*)", re.MULTILINE)
# Of Begin, Inside, Last or End, Single or Unit.
_ENTITY_TAG = re.compile(r"O|[BILESU](-.*)?")
# Where the Penn Treebank, and all that follow it, cut a word: do n't, can not, gon na.
_CUT_WORD = re.compile(
    r" (?=n['\u2019]t\b)|(?<=\bcan) (?=not\b)|(?<=\bgon|\bwan) (?=na\b)", re.IGNORECASE
)
_BRACKET_NAME = re.compile(r"-[LR][RSC]B-")


def read_evaluation_texts(pattern: str) -> Iterator[str]:
    """Yield the texts of all evaluation files that a pattern matches, file by file.

    Files are decompressed, and read by their endings: .tsv, .csv, .json, .jsonl, .ndjson and
    .parquet; any other file is JSON if it begins with `{`, else plain text. Words in CoNLL's
    columns and in lists are joined as they stand in ordinary text: a sentence is a text.

    Raises:
        InputError: No file matches, or one is damaged, not UTF-8, not what its ending says, or has
            no text.
        ServiceError: The storage of a file failed.
    """
    for file in find_files(pattern):
        data = unpacked(file.path, read_bytes(file.path)).removeprefix(b"\xef\xbb\xbf")
        ending = without_compression(file.path).rpartition(".")[2].lower()
        try:
            if ending == "parquet":
                rows = open_parquet(file.path, io.BytesIO(data)).rows()
                texts = [text for _, row in rows for text in _strings(row)]
            else:
                texts = list(_TEXTS.get(ending, _plain_texts)(data.decode("utf-8")))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"evaluation data {file.path}: {' '.join(str(error).split())}; expected UTF-8 "
                "text in a .tsv, .csv, .json, .jsonl or .txt file, or Parquet"
            ) from error
        if not texts:
            raise InputError(f"evaluation data {file.path}: no text in it; remove it")
        yield from texts


def _table_texts(text: str) -> Iterator[str]:
    """Yield the sentences of CoNLL's columns, or of another table the cells that are not empty.

    Cells are between tabs, and come line by line; a heading counts as text.
    """
    if sentences := _column_sentences(text):
        yield from sentences
        return
    for line in text.split("\n"):  # not splitlines: cells may hold other ends of lines
        yield from filter(None, line.removesuffix("\r").split("\t"))


def _csv_texts(text: str) -> Iterator[str]:
    """Yield the cells of a CSV that are not empty, the header's too.

    Cells are between commas, or what else is in a header without any; with a tab in the first line
    the file is a table between tabs.

    Raises:
        InputError: It is no CSV.
    """
    first_line = text.partition("\n")[0]
    if "\t" in first_line:
        yield from _table_texts(text)
        return
    delimiter = find_other_delimiter([first_line]) if "," not in first_line else None
    lines = io.StringIO(text, newline="")
    for _, cells in read_csv_cells("CSV", lines, delimiter=delimiter or ","):
        yield from filter(None, cells)


def _json_texts(text: str) -> Iterator[str]:
    """Yield every string in a JSON value or, if the text is not one, in one value on each line.

    Raises:
        ValueError: Neither is JSON.
    """
    try:
        yield from _strings(json.loads(text))
    except ValueError:
        for line in text.split("\n"):
            if line.strip():
                yield from _strings(json.loads(line))


def _plain_texts(text: str) -> Iterable[str]:
    """Return the texts of a file whose ending tells nothing.

    They are the strings of a text that begins with `{`, as JSON such as RACE's; the sentences of
    CoNLL's columns; else paragraphs, which are divided by blank lines.

    Raises:
        ValueError: It begins with `{` and is no JSON; perhaps only when the texts are iterated.
    """
    if text.lstrip().startswith("{"):
        return _json_texts(text)
    paragraphs = (part for part in re.split(r"\n\s*\n", text) if part.strip())
    return _column_sentences(text) or paragraphs


def _column_sentences(text: str) -> list[str]:
    """Return the sentences of a text in CoNLL's columns; none if it is no such text.

    It is one if blank lines divide it into sentences, some of several lines, and all lines have the
    same number of columns, two or more, without white space in them (of CoNLL-U also with it). A
    sentence of CoNLL-U is its comment `# text`, where each has one. Else it consists of the words
    in the column with the most different ones, apart from columns of numbers: words may follow ids
    and names of documents, and tags repeat.
    """
    sentences: list[ConllLines] = []
    width = 0
    for sentence in read_conll_sentences(text.split("\n")):
        for _, cells in sentence:
            width = width or len(cells)
            # At the first such line: other texts are large.
            if width < 2 or len(cells) != width or not (_is_conll_u(cells) or _are_single(cells)):
                return []
        sentences.append(sentence)
    rows = [cells for sentence in sentences for _, cells in sentence]
    if not 1 < len(sentences) < len(rows):
        return []
    if _is_conll_u(rows[0]) and _has_numbers(sentences):
        texts = _CONLL_U_TEXT.findall(text)
        if len(texts) == len(sentences):
            return texts
        column = _CONLL_U_WORDS
    else:
        columns = [set(values) for values in zip(*rows, strict=True)]
        counts = [len(values) * (not all(map(str.isdecimal, values))) for values in columns]
        column = counts.index(max(counts))
    return [_join_words([cells[column] for _, cells in sentence]) for sentence in sentences]


def _is_conll_u(cells: Sequence[str]) -> bool:
    """Return whether a line may be a word's in CoNLL-U: ten columns, of which the first counts."""
    return len(cells) == _CONLL_U_WIDTH and cells[0].isdecimal()


def _are_single(cells: Sequence[str]) -> bool:
    return all(len(cell.split()) <= 1 for cell in cells)


def _has_numbers(sentences: Sequence[ConllLines]) -> bool:
    """Return whether the first column of all sentences numbers their words from 1."""
    return all(
        cells[0] == str(number)
        for sentence in sentences
        for number, (_, cells) in enumerate(sentence, start=1)
    )


def _join_words(words: Sequence[str]) -> str:
    """Return words of a sentence as a text of whose words `split_words` makes those of plain text.

    What the Penn Treebank cuts in two is one word again (`do n't`, `can not`), and the names that
    it has for brackets (`-LRB-`) are left out.
    """
    return _CUT_WORD.sub("", _BRACKET_NAME.sub("", " ".join(words)))


def _strings(value: Any) -> Iterator[str]:
    """Yield every string inside a JSON value, keys left out; depth first, in their order.

    A list of words is one string, the sentence. It is such a list if most of its items are strings
    without white space and the others strings, too; a list of tags of entities is left out.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        if not _are_words(value):
            for item in value:
                yield from _strings(item)
        elif not all(map(_ENTITY_TAG.fullmatch, value)):
            yield _join_words(value)


def _are_words(values: Sequence[Any]) -> bool:
    """Return whether a list holds words: strings, of which most have no white space."""
    if not all(isinstance(value, str) for value in values):
        return False
    return 2 * sum(len(value.split()) == 1 for value in values) > len(values)


_TEXTS = {
    "tsv": _table_texts,
    "csv": _csv_texts,
    "json": _json_texts,
    "jsonl": _json_texts,
    "ndjson": _json_texts,
}
