"""Split running text into sentences, and bound their length."""

import re
from collections.abc import Iterable, Iterator, Sequence

from albert_core.corpus.counts import ReadCounts

MAX_SENTENCE_CHARACTERS = 10_000
_PASSAGE_CHARACTERS = 100_000  # split in one call
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’»)\]」』]*$")


def split_sentences(lines: Sequence[str], language: str) -> list[str]:
    """Split the lines of a document into sentences; a sentence may span lines.

    Lines are joined by a space. Sentences have no outer white space, and none is empty; their
    length is not bounded.

    Args:
        lines: Lines without line ends.
        language: ISO 639 code, which decides on abbreviations and signs.
    """
    import sentencex

    return [
        stripped
        for passage in _passages(lines)
        for sentence in sentencex.segment(language, passage)
        if (stripped := sentence.strip())
    ]


def _passages(lines: Sequence[str]) -> Iterator[str]:
    """Join lines with spaces into passages of about 100,000 characters or more.

    A passage of that size ends with the next line that ends a sentence, or anywhere at ten times
    the size. Lines that are longer than a passage are cut first.
    """
    # Very long texts take the splitter too long. A passage is cut elsewhere only if it has grown to
    # ten times the size without a line that ends a sentence.
    passage: list[str] = []
    size = 0
    for line in lines:
        for part in bounded([line], _PASSAGE_CHARACTERS):
            passage.append(part)
            size += len(part)
            if size >= _PASSAGE_CHARACTERS and (
                _SENTENCE_END.search(part) or size >= 10 * _PASSAGE_CHARACTERS
            ):
                yield " ".join(passage)
                passage, size = [], 0
    if passage:
        yield " ".join(passage)


def bounded(
    texts: Iterable[str],
    limit: int = MAX_SENTENCE_CHARACTERS,
    counts: ReadCounts | None = None,
) -> Iterator[str]:
    """Yield texts, longer ones in parts of at most `limit` characters, cut at spaces.

    Each part ends at its last space, or without one at the limit. Parts are stripped, and empty
    ones dropped; texts within the limit are yielded as they are; each text that is cut counts once
    in `num_cut_sentences` of `counts`.
    """
    for text in texts:
        if len(text) <= limit:
            yield text
            continue
        if counts is not None:
            counts.num_cut_sentences += 1
        start = 0
        while start < len(text):
            end = start + limit
            if end < len(text):
                space = text.rfind(" ", start + 1, end + 1)
                end = space if space > start else end
            if part := text[start:end].strip():
                yield part
            start = end
