"""The kinds of tokenizer there are. A new kind is a module of its own and an entry here."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Literal, Protocol

from albert_core.tokenization.interface import Tokenizer
from albert_core.tokenization.sentencepiece import SentencePieceTokenizer
from albert_core.tokenization.sentencepiece_training import train_sentencepiece
from albert_core.tokenization.wordpiece import WordPieceTokenizer
from albert_core.tokenization.wordpiece_training import train_wordpiece

KindName = Literal["sentencepiece", "wordpiece"]
"""The values of the setting `vocab.kind`."""


class Trainer(Protocol):
    """A function that trains a vocabulary on sentences."""

    def __call__(
        self,
        sentences: Iterable[str],
        *,
        size: int,
        character_coverage: float,
        lower_case: bool,
        strip_accents: bool = True,
    ) -> Tokenizer:
        """Return a tokenizer of `size` pieces, special ones included.

        Args:
            sentences: Text, read once.
            size: Number of pieces.
            character_coverage: Fraction of the text's characters that get a piece.
            lower_case: Whether text is lower-cased, in training and by the tokenizer.
            strip_accents: Whether accents are dropped, in training and by the tokenizer.

        Raises:
            InputError: The text is too little, or has too many characters, for that size.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerKind:
    """A kind of tokenizer.

    Attributes:
        tokenizer: Its class.
        file_pattern: Glob of the names that its vocabulary files have.
        train: Its trainer.
        training_memory: Bytes of memory that training takes for each byte of text, the text
            included (measured: docs/benchmarks.md); where it is not known, SentencePiece's.
    """

    tokenizer: type[Tokenizer]
    file_pattern: str
    train: Trainer
    training_memory: int = 25


TOKENIZER_KINDS: Mapping[KindName, TokenizerKind] = {
    "sentencepiece": TokenizerKind(
        tokenizer=SentencePieceTokenizer, file_pattern="*.model", train=train_sentencepiece
    ),
    "wordpiece": TokenizerKind(
        tokenizer=WordPieceTokenizer,
        file_pattern="*vocab*.txt",
        train=train_wordpiece,
        training_memory=9,
    ),
}


def vocabulary_patterns() -> list[str]:
    """Return the globs of all vocabulary files."""
    return [kind.file_pattern for kind in TOKENIZER_KINDS.values()]


def tokenizer_class(file: PurePath) -> type[Tokenizer]:
    """Return the class that reads a vocabulary file, by the suffix of its name.

    The class of SentencePiece for a suffix that no kind has. The file itself is not looked at.
    """
    # By suffix, not by pattern: whoever gives a file's path may call it words.txt.
    for kind in TOKENIZER_KINDS.values():
        if PurePath(kind.file_pattern).suffix == file.suffix:
            return kind.tokenizer
    return SentencePieceTokenizer
