"""Settings of the vocabulary."""

import dataclasses
from typing import Literal

from albert_core.errors import InputError
from albert_core.settings.checks import check_between, check_positive
from albert_core.tokenization.kinds import KindName
from albert_core.tokenization.sentencepiece import CONTROL_SYMBOLS, USER_DEFINED_SYMBOLS


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabConfig:
    """How to train the vocabulary; the defaults are the original's, except for the memory.

    Values out of their range are refused with an InputError.

    Attributes:
        kind: `sentencepiece`, a unigram model as the English ALBERT has; `wordpiece`, as the
            Chinese one has.
        size: Number of pieces, special ones included.
        character_coverage: Fraction of the text's characters that get a piece.
        lower_case: Whether text is lower-cased, here and by every later use.
        strip_accents: Whether accents and umlauts are dropped, in training and in every later use:
            from all text for SentencePiece, from lower-cased text for WordPiece, as the original
            does.
        memory_gb: Memory that training may take, in gigabytes. If the corpus needs more, a sample
            of its sentences that fits is used, chosen by their hashes. `auto` is 8, or the largest
            of 4, 2, 1, 0.5 and 0.25 that is free where the vocabulary is trained.
        source: A vocabulary to take instead of training one, local, gs:// or s3://: a model's
            folder or one that `albert vocab` wrote. It must be of the kind, size, case and accents
            set here; `character_coverage` must be at its default.
    """

    kind: KindName = "sentencepiece"
    size: int = 30_000
    character_coverage: float = 0.99995
    lower_case: bool = True
    strip_accents: bool = True
    memory_gb: float | Literal["auto"] = "auto"
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            InputError: `size` is below 14 (13 pieces are special ones), `character_coverage` is not
                from 0.9 to 1 (both are allowed), or is set with `source`; or `memory_gb` is not
                above 0.
        """
        smallest = 2 + len(CONTROL_SYMBOLS) + len(USER_DEFINED_SYMBOLS) + 1
        if self.size < smallest:
            raise InputError(
                f"vocab.size: got {self.size}, expected at least {smallest}, above the special "
                "pieces"
            )
        check_between(self, "vocab", "character_coverage", low=0.9)
        if self.source and self.character_coverage != VocabConfig.character_coverage:
            raise InputError(
                f"vocab.character_coverage: got {self.character_coverage} with vocab.source "
                f"{self.source}, which is taken as it is; remove one of them"
            )
        if self.memory_gb != "auto":
            check_positive(self, "vocab", "memory_gb")
