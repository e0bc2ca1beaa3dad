"""Rules that leave documents of a corpus out, and reports about what they removed."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.settings.checks import check_at_least, check_between
from albert_core.storage import content_hash, find_files

_NUM_EXAMPLES = 5
_EXAMPLE_CHARACTERS = 200
_DEFAULT_OVERLAP_NGRAM = 13
_DEFAULT_NEAR_DUPLICATE_NGRAM = 5
_DEFAULT_NUM_PERMUTATIONS = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class CleaningConfig:
    """Which documents are left out. By default only repeated ones.

    Values out of their range, and settings that would have no effect, are refused with an
    InputError.

    Attributes:
        deduplicate: Whether only one of several documents with the same text is kept.
        evaluation_sets: The dev and test files of tasks, by the task's name: files, folders or
            globs of .tsv (GLUE), .csv, .parquet, .json (SQuAD), .jsonl (CLUE), .txt (RACE), or
            CoNLL's columns in any of .tsv, .txt and other endings. A document that shares
            `overlap_ngram` words in a row with one of them is left out.
        overlap_ngram: Number of equal words in a row that count as an overlap.
        near_duplicate_threshold: Least Jaccard similarity of their sets of word n-grams at which
            two documents count as near-duplicates; one of them is kept. Near-duplicates are not
            looked for when not given.
        near_duplicate_ngram: Number of words of an n-gram, for near-duplicates.
        num_minhash_permutations: Number of hashes by which the similarity of near-duplicates is
            estimated. With more, pairs near the threshold are found more reliably, at more time and
            disk.
        min_characters: Shortest document that is kept.
        max_characters: Longest document that is kept; no bound when not given.
        min_letter_fraction: Least fraction of letters among characters other than white space.
        max_repeated_fraction: Largest fraction of a document's characters in sentences that
            repeat an earlier one of the document.
    """

    deduplicate: bool = True
    evaluation_sets: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    overlap_ngram: int = _DEFAULT_OVERLAP_NGRAM
    near_duplicate_threshold: float | None = None
    near_duplicate_ngram: int = _DEFAULT_NEAR_DUPLICATE_NGRAM
    num_minhash_permutations: int = _DEFAULT_NUM_PERMUTATIONS
    min_characters: int = 0
    max_characters: int | None = None
    min_letter_fraction: float = 0.0
    max_repeated_fraction: float = 1.0

    def __post_init__(self) -> None:
        """Refuse bounds that are out of range, and settings without effect.

        Raises:
            InputError: A fraction is not from 0 to 1, `overlap_ngram` is below 2, or is set without
                evaluation sets; `min_characters` is negative, `max_characters` is below 1 or below
                `min_characters`, or `_check_near_duplicates` raises it.
        """
        self._check_near_duplicates()
        check_between(self, "cleaning", "min_letter_fraction", "max_repeated_fraction")
        if self.overlap_ngram < 2:
            raise InputError(
                f"cleaning.overlap_ngram: got {self.overlap_ngram}, expected 2 or more words"
            )
        if self.overlap_ngram != _DEFAULT_OVERLAP_NGRAM and not self.evaluation_sets:
            raise InputError(
                f"cleaning.overlap_ngram: got {self.overlap_ngram} without "
                "cleaning.evaluation_sets, whose overlaps it is about; name the sets, or remove it"
            )
        most = self.max_characters
        if self.min_characters < 0 or (most is not None and most < max(1, self.min_characters)):
            raise InputError(
                f"cleaning.min_characters, max_characters: got {self.min_characters} and {most}, "
                "expected 0 or more, and the second not below the first"
            )

    def _check_near_duplicates(self) -> None:
        """Refuse settings of near-duplicates that are out of range or do not go together.

        Raises:
            InputError: The threshold is not above 0 and at most 1, or is set with `deduplicate`
                false; `near_duplicate_ngram` is below 1; `num_minhash_permutations` is not from 16
                to 1,024; or one of these two is changed without a threshold.
        """
        check_at_least(self, "cleaning", near_duplicate_ngram=1)
        check_between(self, "cleaning", "num_minhash_permutations", low=16, high=1024)
        threshold = self.near_duplicate_threshold
        if threshold is None:
            defaults = (_DEFAULT_NEAR_DUPLICATE_NGRAM, _DEFAULT_NUM_PERMUTATIONS)
            if (self.near_duplicate_ngram, self.num_minhash_permutations) != defaults:
                raise InputError(
                    "cleaning.near_duplicate_ngram, num_minhash_permutations: got settings for "
                    "near-duplicates, which are not looked for; set "
                    "cleaning.near_duplicate_threshold, such as 0.8, or remove them"
                )
        elif not 0 < threshold <= 1:
            raise InputError(
                f"cleaning.near_duplicate_threshold: got {threshold}, expected more than 0 and at "
                "most 1, such as 0.8; leave it out to keep near-duplicates"
            )
        elif not self.deduplicate:
            raise InputError(
                f"cleaning.near_duplicate_threshold: got {threshold} with cleaning.deduplicate "
                "false, which keeps even documents of the same text; set one of them only"
            )

    def fingerprint(self) -> str:
        """Return a hash of the contents of all evaluation files, by the names of their sets.

        The names and the order of the files do not count.

        Raises:
            InputError: A pattern matches no file, or a bucket or a folder that it goes through must
                not be read.
            OSError: A local file must not be read.
            ServiceError: The storage failed.
        """
        return hash_json(
            {
                name: sorted(
                    content_hash(file.path) for pattern in patterns for file in find_files(pattern)
                )
                for name, patterns in self.evaluation_sets.items()
            }
        )


def recorded_cleaning(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of cleaning to record, without those of near-duplicates if not looked for.

    The settings of near-duplicates are newer than records that people already have, whose recorded
    settings must stay equal.

    Args:
        settings: All fields of a `CleaningConfig`, by name.
    """
    newer = ("near_duplicate_threshold", "near_duplicate_ngram", "num_minhash_permutations")
    is_off = settings["near_duplicate_threshold"] is None
    return {name: value for name, value in settings.items() if not (is_off and name in newer)}


@dataclasses.dataclass(frozen=True)
class DocumentFilter:
    """The rules by which documents are left out.

    Attributes:
        config: The settings.
        overlap: The n-grams of the evaluation sets, if there are any.
    """

    config: CleaningConfig
    overlap: OverlapIndex | None = None

    def reason(self, sentences: Sequence[str]) -> tuple[str, str] | None:
        """Return why a document is left out: name of the reason, and evidence. None if it is kept.

        The names are `too_short`, `too_long`, `few_letters`, `repeated`, and `overlap:` with the
        name of the evaluation set; the evidence is a few words. Length, letters, repetition and
        overlap are checked in this order, and the first reason found is returned. A document
        exactly at a bound is kept.
        """
        config = self.config
        num_characters = sum(map(len, sentences))
        if num_characters < config.min_characters:
            return "too_short", f"{num_characters} characters"
        if config.max_characters is not None and num_characters > config.max_characters:
            return "too_long", f"{num_characters} characters"
        if (
            config.min_letter_fraction
            and (fraction := letter_fraction(sentences)) < config.min_letter_fraction
        ):
            return "few_letters", f"{fraction:.0%} letters"
        if config.max_repeated_fraction < 1.0:
            fraction = repeated_fraction(sentences)
            if fraction > config.max_repeated_fraction:
                return "repeated", f"{fraction:.0%} repeated"
        if self.overlap and (overlap := self.overlap.find(sentences)):
            evaluation_set, shared_words = overlap
            return f"overlap:{evaluation_set}", shared_words
        return None


@dataclasses.dataclass
class RemovedDocuments:
    """Counts and examples of removed documents; independent of the order they are added in.

    Attributes:
        counts: Number of documents by the name of the reason.
        examples: For each name of a reason, the five documents with the smallest keys: key,
            evidence, beginning of the text.
    """

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[list[str]]] = dataclasses.field(default_factory=dict)

    def add(self, reason: str, evidence: str, document: Sequence[str], key: bytes) -> None:
        """Count a removed document, and keep it as an example if its key is among the smallest.

        Args:
            reason: Its name, as in `counts`.
            evidence: What shows it, kept with an example.
            document: The sentences; the beginning of the first three is kept with an example.
            key: The document's key; examples are the five of the smallest keys.
        """
        beginning = " ".join(document[:3])[:_EXAMPLE_CHARACTERS]
        self._add(reason, 1, [[key.hex(), evidence, beginning]])

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add the counts and examples of another `RemovedDocuments`, given as a dict."""
        for reason, count in other["counts"].items():
            self._add(reason, count, other["examples"][reason])

    def _add(self, reason: str, count: int, examples: Iterable[list[str]]) -> None:
        """Add a count and examples for a reason; keep the five examples with the smallest keys."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        # The smallest keys, not the first to come: workers finish in any order, and the report must
        # be the same every time.
        examples_so_far = self.examples.get(reason, [])
        self.examples[reason] = sorted([*examples_so_far, *examples])[:_NUM_EXAMPLES]


def letter_fraction(sentences: Sequence[str]) -> float:
    """Return the fraction of letters of any script among characters other than white space.

    It is 0 without any character.
    """
    characters = "".join("".join(sentences).split())
    return sum(map(str.isalpha, characters)) / max(1, len(characters))


def repeated_fraction(sentences: Sequence[str]) -> float:
    """Return the fraction of a document's characters in sentences that repeat an earlier one.

    It is 0 for an empty document.
    """
    total = sum(map(len, sentences))
    return 1 - sum(map(len, set(sentences))) / total if total else 0.0
