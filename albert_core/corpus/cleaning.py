"""Which documents are left out, and why."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from albert_core.checks import check_between
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.files import hash_json
from albert_core.storage import content_hash, find_files

_NUM_EXAMPLES = 5
_EXAMPLE_CHARACTERS = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class CleaningConfig:
    """Which documents are left out; all bounds are off by default.

    Attributes:
        deduplicate: Whether documents of the same text are kept once.
        evaluation_sets: The dev and test files of tasks, by the task's name: files, folders or
            globs of .tsv (GLUE), .json (SQuAD), .jsonl (CLUE) or .txt (RACE). A document that
            shares `overlap_ngram` words in a row with one of them is left out.
        overlap_ngram: Words in a row that count as an overlap.
        min_characters: Shortest document that is kept.
        max_characters: Longest document that is kept; no bound when not given.
        min_letter_fraction: Least share of letters among the characters that are not white space.
        max_repeated_fraction: Largest share of a document's characters in sentences that it has
            before.
    """

    deduplicate: bool = True
    evaluation_sets: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    overlap_ngram: int = 13
    min_characters: int = 0
    max_characters: int | None = None
    min_letter_fraction: float = 0.0
    max_repeated_fraction: float = 1.0

    def __post_init__(self) -> None:
        check_between(self, "cleaning", "min_letter_fraction", "max_repeated_fraction")
        if self.overlap_ngram < 2:
            raise InputError(
                f"cleaning.overlap_ngram: got {self.overlap_ngram}, expected 2 or more words"
            )
        most = self.max_characters
        if self.min_characters < 0 or (most is not None and most < max(1, self.min_characters)):
            raise InputError(
                f"cleaning.min_characters, max_characters: got {self.min_characters} and {most}, "
                "expected 0 or more, and the second not below the first"
            )

    def fingerprint(self) -> str:
        """Return a hash of the evaluation data.

        Raises:
            InputError: A pattern matches no file.
        """
        return hash_json(
            {
                name: sorted(
                    content_hash(file.path) for pattern in patterns for file in find_files(pattern)
                )
                for name, patterns in self.evaluation_sets.items()
            }
        )


@dataclasses.dataclass(frozen=True)
class DocumentFilter:
    """Says why a document is left out.

    Attributes:
        config: The bounds.
        overlap: The evaluation data, if there is any.
    """

    config: CleaningConfig
    overlap: OverlapIndex | None = None

    def reason(self, sentences: Sequence[str]) -> tuple[str, str] | None:
        """Return the name of the reason and what shows it, or None for a document to keep."""
        config = self.config
        num_characters = sum(map(len, sentences))
        if num_characters < config.min_characters:
            return "too_short", f"{num_characters} characters"
        if config.max_characters is not None and num_characters > config.max_characters:
            return "too_long", f"{num_characters} characters"
        if (
            config.min_letter_fraction
            and (share := letter_fraction(sentences)) < config.min_letter_fraction
        ):
            return "few_letters", f"{share:.0%} letters"
        if config.max_repeated_fraction < 1.0:
            share = repeated_fraction(sentences)
            if share > config.max_repeated_fraction:
                return "repeated", f"{share:.0%} repeated"
        if self.overlap and (found := self.overlap.find(sentences)):
            return f"overlap:{found[0]}", found[1]
        return None


@dataclasses.dataclass
class RemovedDocuments:
    """Counts and examples of documents left out, the same whatever order they come in.

    Attributes:
        counts: How many, by the reason's name.
        examples: By the reason's name a few documents, those of the smallest keys: key, what
            shows the reason, and how the text begins.
    """

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[list[str]]] = dataclasses.field(default_factory=dict)

    def add(self, reason: str, evidence: str, document: Sequence[str], key: bytes) -> None:
        """Add a document."""
        beginning = " ".join(document[:3])[:_EXAMPLE_CHARACTERS]
        self._add(reason, 1, [[key.hex(), evidence, beginning]])

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what another one holds, given as a mapping of its attributes."""
        for reason, count in other["counts"].items():
            self._add(reason, count, other["examples"][reason])

    def _add(self, reason: str, count: int, examples: Iterable[list[str]]) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + count
        known = self.examples.get(reason, [])
        self.examples[reason] = sorted([*known, *examples])[:_NUM_EXAMPLES]


def letter_fraction(sentences: Sequence[str]) -> float:
    """Return the share of letters, of any script, among characters that are not white space."""
    characters = "".join("".join(sentences).split())
    return sum(map(str.isalpha, characters)) / max(1, len(characters))


def repeated_fraction(sentences: Sequence[str]) -> float:
    """Return the share of a document's characters in sentences it has had before."""
    total = sum(map(len, sentences))
    return 1 - sum(map(len, set(sentences))) / total if total else 0.0
