"""The declaration of a task's data file: its format, and where in it texts and labels are."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from albert_core.errors import InputError
from albert_core.settings.checks import refuse_nulls

Format = Literal["auto", "tsv", "csv", "jsonl", "parquet", "squad", "race", "conll"]
Split = Literal["train", "dev", "test"]
Column = int | str
"""The number of a column, from 0, or its name in the header or a JSON object."""

COMMA = ","

FORMATS_BY_ENDING: Mapping[str, Format] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}
"""Formats of tables and sentences, by the endings of their names in lower case."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A data file of a task, or several of one layout.

    A null for a field that has none, and a delimiter that is none, are refused with an InputError.

    Attributes:
        file: Path below the task's folder; with `*` all files it matches, in order of their names.
        name: Tells it from the other sources of its split; scores are reported by it, too.
        format: `tsv` (tab-separated, quotes are ordinary characters), `csv` (cells with commas or
            line ends are in double quotes), `jsonl` (a JSON object a line), `parquet`, `squad`,
            `race` or `conll` (a word and its tag a line); `auto` goes by the ending and the task's
            kind.
        delimiter: The character between the cells of a `csv`.
        has_header: Whether the first line of a `tsv` or `csv` names the columns.
        texts: Where the texts are, if not where the task says.
        label: Where the label is, if not where the task says.
        id: Where the id of a row is; rows are numbered without it.
        is_labelled: Whether rows have labels, as training and dev files must in the end.
        is_optional: Whether the file may be missing.
        submission: Name of the file for its predictions on GLUE's site; empty for none.
    """

    file: str
    name: str = ""
    format: Format = "auto"
    delimiter: str = COMMA
    has_header: bool = True
    texts: tuple[Column, ...] = ()
    label: Column | None = None
    id: Column | None = None
    is_labelled: bool = True
    is_optional: bool = False
    submission: str = ""

    def __post_init__(self) -> None:
        """Refuse nulls, and a delimiter that is none.

        Raises:
            InputError: A field is null, or the delimiter is not one character, or a quotation mark
                or a line end.
        """
        refuse_nulls(self, f"file {self.file}")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise InputError(
                f"file {self.file}: got delimiter {self.delimiter!r}, expected one character, such "
                "as ';'"
            )
