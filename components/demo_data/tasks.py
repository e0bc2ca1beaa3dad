"""The demo's tasks of texts, `docs-package` and `docs-next`, from documents already split.

Both take the documents of one side (train or dev) and return rows; the files have the formats of
GLUE's SST-2 and RTE, and a `task.yaml` beside them that declares names, columns and labels.
"""

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from components.demo_data.docstrings import DocstringProse

NEXT_LABELS = ("not_next", "next")

MAX_PASSAGE_SENTENCES = 3
MAX_PASSAGE_WORDS = 60
MIN_PASSAGE_WORDS = 8
MAX_PASSAGES = 6
MIN_SENTENCE_WORDS = 4
MAX_SENTENCE_WORDS = 60
MAX_PAIRS = 2

# With these in a passage the task would be about a keyword and not about language.
_PACKAGE_NAME = re.compile(
    r"(?<![a-z])(tf(?![a-z])|tflite|tensorflow|keras|np(?![a-z])|numpy|beam|apache"
    r"|[a-z]*python|[a-z]*pydoc)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class TaskDeclaration:
    """The content of a `task.yaml`.

    Attributes:
        name: Name of the task.
        texts: Columns with the text or the two texts, from 0.
        label: Column with the label, from 0.
        labels: The labels, in the order of their ids.
        train: File of the training rows.
        dev: File of the development rows.
        metrics: Metrics to report.
    """

    name: str
    texts: list[int]
    label: int
    labels: list[str]
    train: str = "train.tsv"
    dev: str = "dev.tsv"
    metrics: tuple[str, ...] = ("accuracy",)

    def write(self, folder: Path) -> None:
        """Write `task.yaml` into an existing folder; an earlier one is replaced."""
        content = asdict(self) | {"metrics": list(self.metrics)}
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
        (folder / "task.yaml").write_text(text, encoding="utf-8")


def document_digest(document: DocstringProse, seed: int) -> bytes:
    """Return a hash of 16 bytes of a document's text and a seed.

    Where documents are ordered or assigned to train and dev, this hash takes the place of a random
    number, so that the result is the same in every run with the same seed. With one seed, documents
    with the same text have the same hash.
    """
    text = "\n".join(sentence.text for sentence in document.sentences)
    return hashlib.blake2b(text.encode(), digest_size=16, key=str(seed).encode()).digest()


def package_rows(
    documents: Sequence[DocstringProse], *, max_rows_per_package: int, seed: int
) -> list[tuple[str, str]]:
    """Return shuffled rows (passage, package), equally many of each package.

    A package's rows are the first passages of its documents, in an order drawn from their hashes,
    then the second passages, and so on until there are enough. There are `max_rows_per_package` of
    each package, or as many as the package with the fewest passages has; packages without a
    passage do not count.
    """
    ranked: dict[str, list[tuple[int, bytes, str]]] = defaultdict(list)
    for document in documents:
        digest = document_digest(document, seed)
        for rank, passage in enumerate(_passages(document)):
            ranked[document.package].append((rank, digest, passage))
    quota = min([max_rows_per_package, *map(len, ranked.values())])
    rows = [
        (passage, package)
        for package in sorted(ranked)
        for _, _, passage in sorted(ranked[package])[:quota]
    ]
    random.Random(seed).shuffle(rows)
    return rows


def _passages(document: DocstringProse) -> list[str]:
    """Return the passages that `_is_good_passage` takes among a document's first MAX_PASSAGES.

    Passages are cut one after the other, each with as many sentences as fit into
    MAX_PASSAGE_SENTENCES and MAX_PASSAGE_WORDS. A longer sentence is a passage of its own.
    """
    passages: list[list[str]] = [[]]
    num_words = 0
    for text in (sentence.text for sentence in document.sentences):
        num_words += len(text.split())
        if num_words > MAX_PASSAGE_WORDS or len(passages[-1]) == MAX_PASSAGE_SENTENCES:
            passages.append([])
            num_words = len(text.split())
        passages[-1].append(text)
    joined = [" ".join(sentences) for sentences in passages[:MAX_PASSAGES]]
    return [passage for passage in joined if _is_good_passage(passage)]


def _is_good_passage(passage: str) -> bool:
    """Return whether a passage has MIN_PASSAGE_WORDS to MAX_PASSAGE_WORDS and names no package."""
    num_words = len(passage.split())
    is_length_good = MIN_PASSAGE_WORDS <= num_words <= MAX_PASSAGE_WORDS
    return is_length_good and _PACKAGE_NAME.search(passage) is None


def next_rows(
    documents: Sequence[DocstringProse], *, max_rows: int, seed: int
) -> list[tuple[str, str, str]]:
    """Return shuffled rows (first, second, label); half are `next`, half are `not_next`.

    Each pair of neighbouring sentences makes one row: as it is, or in the wrong order, by turns. If
    there are more than `max_rows` pairs, those with the smallest document hashes are taken; if
    their number is odd, the last one is left out.
    """
    not_next, is_next = NEXT_LABELS
    pairs = _ranked_pairs(documents, seed)
    rows = [
        (first, second, is_next) if number % 2 else (second, first, not_next)
        for number, (first, second) in enumerate(pairs[: min(max_rows, len(pairs)) // 2 * 2])
    ]
    random.Random(seed).shuffle(rows)
    return rows


def _ranked_pairs(documents: Sequence[DocstringProse], seed: int) -> list[tuple[str, str]]:
    """Return the pairs of all documents by the documents' hashes, those of one in its order."""
    ranked = sorted(
        (document_digest(document, seed), index, pair)
        for document in documents
        for index, pair in enumerate(_pairs(document))
    )
    return [pair for _, _, pair in ranked]


def _pairs(document: DocstringProse) -> list[tuple[str, str]]:
    """Return the first MAX_PAIRS pairs of `_neighbours`."""
    return list(_neighbours(document))[:MAX_PAIRS]


def _neighbours(document: DocstringProse) -> Iterator[tuple[str, str]]:
    """Yield pairs of neighbours in a run, both of the right length; no sentence is in two pairs."""
    for run in document.runs:
        texts = [sentence.text for sentence in run]
        position = 0
        while position + 1 < len(texts):
            first, second = texts[position : position + 2]
            is_good = is_good_sentence(first) and is_good_sentence(second)
            if is_good:
                yield first, second
            position += 2 if is_good else 1


def is_good_sentence(sentence: str) -> bool:
    """Return whether a sentence has MIN_SENTENCE_WORDS to MAX_SENTENCE_WORDS words."""
    return MIN_SENTENCE_WORDS <= len(sentence.split()) <= MAX_SENTENCE_WORDS


def write_rows(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a TSV file without quoting; that cells hold no tabs or line ends is not checked."""
    lines = ["\t".join(row) for row in (header, *rows)]
    file.write_bytes(("\n".join(lines) + "\n").encode())
