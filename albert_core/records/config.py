"""Settings of the records and of how they are masked."""

import dataclasses
import math

import numpy as np

from albert_core.errors import InputError
from albert_core.records.pairs import NUM_SPECIAL_PIECES
from albert_core.settings import check_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsConfig:
    """How documents become records.

    Attributes:
        sequence_length: Length S of the model's input in pieces, [CLS] and both [SEP] included.
        short_sequence_probability: Chance that a document is cut for a random shorter length.
        dupe_factor: How often each document is cut, each time differently. Deviates from the
            original: 1 by default, not 40, since masks are drawn anew whenever a record is read.
        held_out_share: Share of the documents kept apart for evaluation, chosen by their hash.
        num_shards: Number of files of training records.
        seed: Seed of every draw.
    """

    sequence_length: int = 512
    short_sequence_probability: float = 0.1
    dupe_factor: int = 1
    held_out_share: float = 0.01
    num_shards: int = 8
    seed: int = 12345

    def __post_init__(self) -> None:
        shortest = NUM_SPECIAL_PIECES + 2
        if self.sequence_length < shortest:
            raise InputError(
                f"records.sequence_length: got {self.sequence_length}, expected at least "
                f"{shortest}: [CLS] A [SEP] B [SEP]"
            )
        check_seed("records.seed", self.seed)
        for name in ("short_sequence_probability", "held_out_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(
                    f"records.{name}: got {getattr(self, name)}, expected from 0 to below 1"
                )
        for name in ("dupe_factor", "num_shards"):
            if getattr(self, name) < 1:
                raise InputError(f"records.{name}: got {getattr(self, name)}, expected 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which pieces are predicted.

    Attributes:
        mask_probability: Share of a sequence's pieces that are predicted.
        max_ngram: Longest masked run, in words.
        favor_shorter_ngram: Whether runs of n words are drawn in proportion to 1/n; else the
            longest are the most likely.
        whole_word: Whether all pieces of a word are masked together.
    """

    mask_probability: float = 0.15
    max_ngram: int = 3
    favor_shorter_ngram: bool = True
    whole_word: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.mask_probability < 1.0:
            raise InputError(
                f"masking.mask_probability: got {self.mask_probability}, expected between 0 and 1"
            )
        if self.max_ngram < 1:
            raise InputError(f"masking.max_ngram: got {self.max_ngram}, expected 1 or more")

    def max_predictions(self, sequence_length: int) -> int:
        """Return the number P of prediction slots that never cuts the share short.

        Deviates from the original: 20 by default there, which masks 3.9 % of 512 pieces.
        """
        return math.ceil(sequence_length * self.mask_probability)

    def ngram_odds(self) -> np.ndarray:
        """Return the cumulative odds [max_ngram] of a run's length in words."""
        odds = 1.0 / np.arange(1, self.max_ngram + 1)
        if not self.favor_shorter_ngram:
            odds = odds[::-1]
        return np.cumsum(odds / odds.sum())
