"""Settings of records and of masking."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from albert_core.errors import InputError
from albert_core.settings.checks import check_at_least, check_between, check_seed

NUM_SPECIAL_TOKENS = 3  # [CLS] A [SEP] B [SEP]
TRAIN_PREFIX, HELD_OUT_PREFIX = "train", "held_out"

OriginalCompat = Literal["none", "original"]
RecordFormat = Literal["compact", "static"]

_ORIGINAL_MAX_PREDICTIONS = 20
_ROUNDING = 1e-9  # what chances that sum up to 1 may exceed it by as float64


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which tokens are predicted; values out of their range are refused with an InputError.

    Attributes:
        mask_probability: Fraction of a sequence's tokens that are predicted.
        max_ngram: Longest masked run, in words.
        favor_shorter_ngram: Whether runs of n words are drawn in proportion to 1/n; else the
            longest are the most likely.
        whole_word: Whether all tokens of a word are masked together.
        permutation: Whether as many further tokens are shuffled among their positions and
            predicted, too.
        max_predictions_per_sequence: Most masked tokens of a sequence; by default as many as
            `mask_probability` asks for.
        compat: `original` also follows the original's defects: 20 masked tokens at most, by
            default, a word's continuation right after [SEP] joins the last word before it, and
            whatever is no English letter begins a word.
        mask_replace_probability: Chance that a masked token is shown as [MASK].
        random_replace_probability: Chance that it is shown as a random token; in all other cases
            it is shown unchanged.
    """

    mask_probability: float = 0.15
    max_ngram: int = 3
    favor_shorter_ngram: bool = True
    whole_word: bool = True
    permutation: bool = False
    max_predictions_per_sequence: int | None = None
    compat: OriginalCompat = "none"
    mask_replace_probability: float = 0.8
    random_replace_probability: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            InputError: `mask_probability` is not between 0 and 1 (neither included), `max_ngram`
                or a given `max_predictions_per_sequence` is below 1, or the chances of what a
                masked token is shown as are below 0 or above 1 in sum.
        """
        check_between(self, "masking", "mask_probability", inclusive="neither")
        check_at_least(self, "masking", max_ngram=1)
        if self.max_predictions_per_sequence is not None and self.max_predictions_per_sequence < 1:
            raise InputError(
                "masking.max_predictions_per_sequence: got "
                f"{self.max_predictions_per_sequence}, expected 1 or more, or nothing"
            )
        check_between(self, "masking", "mask_replace_probability", "random_replace_probability")
        if self.unchanged_probability < -_ROUNDING:
            raise InputError(
                f"masking.random_replace_probability: got {self.random_replace_probability}, "
                f"expected at most {1 - self.mask_replace_probability:.10g}, what "
                "mask_replace_probability leaves"
            )

    @property
    def unchanged_probability(self) -> float:
        """Chance that a masked token is shown as it is: what the other two chances leave."""
        return 1 - self.mask_replace_probability - self.random_replace_probability

    def max_masked(self, sequence_length: int) -> int:
        """Return the most tokens that are masked in sequences of at most that length.

        `max_predictions_per_sequence` if it is set; else 20 with `compat="original"`, and
        `mask_probability` of the length, rounded up, otherwise. Deviates from the original, where
        it is 20 by default: 3.9 % of 512 tokens.
        """
        if self.max_predictions_per_sequence is not None:
            return self.max_predictions_per_sequence
        if self.compat == "original":
            return _ORIGINAL_MAX_PREDICTIONS
        return math.ceil(sequence_length * self.mask_probability)

    def max_predictions(self, sequence_length: int) -> int:
        """Return the number P of prediction slots: `max_masked`, twice that with `permutation`."""
        return self.max_masked(sequence_length) * (2 if self.permutation else 1)

    def describe(self) -> str:
        """Return in words what is masked and how it is shown, for people who compare accuracies.

        It names probability, unit (whole words or tokens), longest n-gram and the chances of
        [MASK], random and unchanged tokens. Where they are set, it names the most masked tokens of
        a sequence, that long runs are the likeliest, and the shuffled tokens, too.
        """
        units = "whole words" if self.whole_word else "tokens"
        parts = [f"{self.mask_probability * 100:.10g} % of the tokens"]
        if self.max_predictions_per_sequence is not None or self.compat == "original":
            parts[0] += f", at most {self.max_masked(0)} of a sequence"
        parts.append(f"n-grams of up to {self.max_ngram} {units}")
        if not self.favor_shorter_ngram:
            parts[-1] += ", the longest likeliest"
        # `abs`: if the other two sum to just above 1 by rounding, the rest would be shown as -0.
        parts.append(
            f"{self.mask_replace_probability * 100:.10g} % [MASK], "
            f"{self.random_replace_probability * 100:.10g} % random, "
            f"{abs(round(self.unchanged_probability, 9)) * 100:.10g} % unchanged"
        )
        if self.permutation:
            parts.append("as many further tokens shuffled")
        return "; ".join(parts)

    def ngram_cdf(self) -> np.ndarray:
        """Return the probabilities that a run has at most 1, 2, ... words, float64 [max_ngram].

        They rise to 1. A run of n words has a probability proportional to 1/n, or, without
        `favor_shorter_ngram`, to 1 / (max_ngram + 1 - n).
        """
        odds = 1.0 / np.arange(1, self.max_ngram + 1)
        if not self.favor_shorter_ngram:
            odds = odds[::-1]
        return np.cumsum(odds / odds.sum())


def recorded_masking(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings of masking without newer ones at their defaults.

    Records that people made before there were these settings are so still the same work.

    Args:
        settings: All fields of a `MaskingConfig`, by name.
    """
    newer = ("mask_replace_probability", "random_replace_probability")
    defaults = {field.name: field.default for field in dataclasses.fields(MaskingConfig)}
    return {
        name: value
        for name, value in settings.items()
        if name not in newer or value != defaults[name]
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsConfig:
    """How documents become records; values out of their range are refused with an InputError.

    Attributes:
        format: `compact`: tokens once, masks and swaps drawn whenever a record is read. `static`:
            the original's eight features, masks and swaps drawn when records are made.
        sequence_length: Length S of the model's input in tokens, [CLS] and both [SEP] included.
        short_sequence_probability: Chance that a document is cut for a random shorter length.
        dupe_factor: How often every document is cut, each time differently. Deviates from the
            original: 1 by default, not 40, since masks are drawn anew whenever a record is read.
        random_next_sentence: Whether half of the second segments come from another document and
            are to be told from true ones (BERT's task); else segments are swapped.
        masking: What is masked in static records; compact ones are masked as pretraining says, and
            with them any setting here is refused.
        compat: `original` also follows the original's defects in cutting and masking.
        held_out_fraction: Fraction of the documents kept apart for evaluation, by their hash.
        num_shards: Number of files of training records.
        seed: Seed of every draw.
    """

    format: RecordFormat = "compact"
    sequence_length: int = 512
    short_sequence_probability: float = 0.1
    dupe_factor: int = 1
    random_next_sentence: bool = False
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    compat: OriginalCompat = "none"
    held_out_fraction: float = 0.01
    num_shards: int = 8
    seed: int = 12345

    def __post_init__(self) -> None:
        """Refuse settings out of their range, and masking that would have no effect.

        Raises:
            InputError: A number is out of its range (`sequence_length` from 5, fractions from 0 to
                below 1, `dupe_factor` and `num_shards` from 1, `seed` from 0), or `masking` is not
                the default although the records are compact.
        """
        shortest = NUM_SPECIAL_TOKENS + 2
        if self.sequence_length < shortest:
            raise InputError(
                f"records.sequence_length: got {self.sequence_length}, expected at least "
                f"{shortest}: [CLS] A [SEP] B [SEP]"
            )
        check_seed("records.seed", self.seed)
        fractions = ("short_sequence_probability", "held_out_fraction")
        check_between(self, "records", *fractions, inclusive="left")
        check_at_least(self, "records", dupe_factor=1, num_shards=1)
        if self.format == "compact" and self.masking != MaskingConfig():
            raise InputError(
                "records.masking: got settings for compact records, which hold no masks; set "
                "pretraining.masking, or records.format=static"
            )

    @property
    def static_masking(self) -> MaskingConfig:
        """What is masked in static records: `masking`, with `compat` of these settings if set."""
        if self.compat == "original":
            return dataclasses.replace(self.masking, compat="original")
        return self.masking
