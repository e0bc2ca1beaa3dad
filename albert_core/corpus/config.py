"""Settings of a corpus."""

import dataclasses
from typing import Literal

from albert_core.corpus.languages import check_language
from albert_core.errors import InputError

CorpusFormat = Literal["sentences", "running_text", "wikiextractor", "jsonl", "parquet"]
_LINES: tuple[CorpusFormat, ...] = ("sentences", "running_text")
_ROWS: tuple[CorpusFormat, ...] = ("jsonl", "parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where the text is and how it is laid out.

    Attributes:
        files: Files, folders (read recursively) or globs, local, gs:// or s3://. Files named .gz,
            .bz2, .xz or .zst are decompressed; the members of files named .zip or .tar, compressed
            or not, are read. A file that is named itself is read; from folders and globs, hidden
            files and files that are not text are left out.
        format: `sentences`: one sentence a line. `running_text`: lines are joined and split into
            sentences. `wikiextractor`: running text in `<doc ...>` ... `</doc>` blocks. `jsonl`,
            `parquet`: a document of running text in each object or row. Where it is not set, it is
            found by the files: one of the last three, or else `sentences`.
        documents: What ends a document of the first two formats: a `blank_line`, or only the end of
            the `file`. The end of a file always ends a document (deviates from the original, where
            it does not).
        text_field: Key or column of the text of `jsonl` and `parquet`; a list there is a document
            of sentences.
        language: Language of the text, an ISO 639 code, for sentence splitting.
        invalid_utf8: What bytes that are not UTF-8 lead to: `refuse` stops with an error, `replace`
            counts them and puts U+FFFD in their place.

    Raises:
        InputError: `language` is no ISO 639 code; or `documents` or `text_field` is set with a
            `format` that has no such thing.
    """

    files: tuple[str, ...] = ()
    format: CorpusFormat | None = None
    documents: Literal["blank_line", "file"] = "blank_line"
    text_field: str = "text"
    language: str = "en"
    invalid_utf8: Literal["refuse", "replace"] = "refuse"

    def __post_init__(self) -> None:
        check_language("corpus.language", self.language)
        for name, formats in (("documents", _LINES), ("text_field", _ROWS)):
            value = getattr(self, name)
            if value != getattr(CorpusConfig, name) and self.format not in (None, *formats):
                raise InputError(
                    f"corpus.{name}: got {value!r} with the format {self.format}, expected it with "
                    f"{' or '.join(formats)} only; remove it, or set corpus.format"
                )
