"""WordPiece tokenization, which the original's Chinese models have.

Sources: BasicTokenizer and WordpieceTokenizer of the original's tokenization.py.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.tokenization.interface import (
    ContextRules,
    Tokenizer,
    find_special_ids,
    save_settings,
)
from albert_core.tokenization.text import Translation

PAD, UNKNOWN = "[PAD]", "[UNK]"
CONTINUATION = "##"
MAX_WORD_CHARACTERS = 200
_REPLACEMENT = "\ufffd"
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer(Tokenizer):
    """Cuts words into the longest pieces of a vocabulary, from left to right.

    A word that cannot be cut, or of more than 200 characters, is one unknown piece.

    Args:
        pieces: The vocabulary.
        lower_case: Whether text is lower-cased first.
        strip_accents: Whether accents are dropped from text that is lower-cased.

    Raises:
        InputError: A piece occurs twice, or a special piece is missing.
    """

    kind: ClassVar[str] = "wordpiece"
    display_name: ClassVar[str] = "WordPiece"
    file_name: ClassVar[str] = "vocab.txt"
    original_file_name: ClassVar[str] = "vocab.txt"
    hugging_face_class: ClassVar[str] = "BertTokenizer"

    def __init__(
        self, pieces: Sequence[str], *, lower_case: bool, strip_accents: bool = True
    ) -> None:
        """Number the pieces in their order, and find the special ones.

        Raises:
            InputError: A piece occurs twice, or a special piece is missing.
        """
        self.pieces = list(pieces)
        self.lower_case = lower_case
        self.strip_accents = strip_accents
        self.special_ids = find_special_ids(self.pieces, pad=PAD, unknown=UNKNOWN)
        self._ids = {piece: index for index, piece in enumerate(self.pieces)}
        self._refuse_repetition()
        self._longest = max(map(len, self.pieces))

    @classmethod
    def from_bytes(cls, vocabulary: bytes, **settings: Any) -> "WordPieceTokenizer":
        """Make a tokenizer from the content of a file with a piece on each line.

        Raises:
            InputError: The content is not UTF-8, a line is empty, a piece occurs twice, or a
                special piece is missing.
        """
        return cls(read_pieces(vocabulary), **settings)

    def _refuse_repetition(self) -> None:
        """Refuse a vocabulary that has a piece twice; needs `pieces` and `_ids`.

        Raises:
            InputError: A piece occurs twice; the message names the first such piece and both ids.
        """
        for index, piece in enumerate(self.pieces):
            if self._ids[piece] != index:
                raise InputError(
                    f"got piece {piece!r} as number {index} and {self._ids[piece]}, expected every "
                    "piece once; give the list the model was trained with, as it was"
                )

    @property
    def keeps_accents(self) -> bool:
        """Whether accents are left in the text: as in the original, always in cased text."""
        return not (self.lower_case and self.strip_accents)

    @property
    def hugging_face_settings(self) -> dict[str, bool]:
        """The settings of text normalisation by their names in `hugging_face_class`."""
        accents = {"strip_accents": False} if self.lower_case and self.keeps_accents else {}
        return {**super().hugging_face_settings, **accents}

    @property
    def context_rules(self) -> ContextRules:
        """White space is not folded, since the text is split into words; see `ContextRules`."""
        return ContextRules(white_space="splits_words")

    def preprocess(self, text: str) -> str:
        """Return the text's words with a space between them."""
        return " ".join(self.words(text))

    def words(self, text: str) -> list[str]:
        """Return the normalised words, punctuation marks and ideographs of a text, in order.

        Control and format characters and U+FFFD are dropped; unless `keeps_accents`, so are
        accents. White space only separates words.
        """
        text = text.translate(_SPACED_IDEOGRAPHS)
        if self.lower_case:
            text = text.lower()
        if not self.keeps_accents:
            text = unicodedata.normalize("NFD", text).translate(_WITHOUT_ACCENTS)
        return text.translate(_SPACED_PUNCTUATION).split()

    def tokenize_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text; a word that cannot be cut is [UNK]."""
        return [
            [piece for word in self.words(text) for piece in self._cut_word(word)] for text in texts
        ]

    def surfaces(self, tokens: Sequence[str]) -> list[str]:
        """Return each piece without the mark of a word's continuation; one U+FFFD for each [UNK].

        It is a single U+FFFD, however long the word is that [UNK] stands for.
        """
        return [_REPLACEMENT if token == UNKNOWN else self.without_mark(token) for token in tokens]

    def without_mark(self, token: str) -> str:
        """Return a piece without the mark of a word's continuation."""
        return token.removeprefix(CONTINUATION)

    def normalize_character(self, character: str) -> str:
        """Return the normalised form of one character by itself; empty for white space."""
        return "".join(self.words(character))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each text."""
        return [[self._ids[piece] for piece in pieces] for pieces in self.tokenize_batch(texts)]

    def _cut_word(self, word: str) -> list[str]:
        """Cut a word into the longest pieces of the vocabulary, from left to right.

        A word that cannot be cut or has more than 200 characters becomes [UNK]; an empty word has
        no pieces.
        """
        if len(word) > MAX_WORD_CHARACTERS:
            return [UNKNOWN]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = CONTINUATION if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                if (piece := prefix + word[start:end]) in self._ids:
                    break
            else:
                return [UNKNOWN]
            pieces.append(piece)
            start = end
        return pieces

    def word_starts(self) -> np.ndarray:
        """Return a table [V] of bool: whether a piece begins a word for whole-word masking.

        Source: `_is_start_piece_bert` of the original's create_pretraining_data.py.
        """
        return np.array([not piece.startswith(CONTINUATION) for piece in self.pieces], dtype=bool)

    def content_hash(self) -> str:
        """Return a hash of pieces and case, and of `strip_accents` where it has an effect."""
        # The setting is left out where it makes no difference, as in the hashes of vocabularies
        # without it.
        accents = {"strip_accents": False} if self.lower_case and self.keeps_accents else {}
        return hash_json({"pieces": self.pieces, "lower_case": self.lower_case, **accents})

    def save(self, folder: Path) -> None:
        """Write the pieces, one a line, and the settings into an existing folder.

        For `load_tokenizer`; files of the same names are replaced.
        """
        lines = "".join(f"{piece}\n" for piece in self.pieces)
        (folder / self.file_name).write_bytes(lines.encode())
        settings = {"lower_case": self.lower_case, "strip_accents": self.strip_accents}
        save_settings(folder, settings)


def read_pieces(vocabulary: bytes) -> list[str]:
    """Return the pieces of a vocabulary file, one a line, in order.

    Spaces, tabs and carriage returns around a piece are dropped, and so is a byte order mark.

    Raises:
        InputError: It is not UTF-8, or a line is empty.
    """
    try:
        text = vocabulary.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 at byte {error.start}; expected a list of pieces, one a line"
        ) from error
    # Not splitlines: the Chinese vocabulary has the line separator U+2028 as a piece.
    pieces = [line.strip(" \t\r") for line in text.removesuffix("\n").split("\n")]
    if "" in pieces:
        raise InputError(
            f"line {pieces.index('') + 1} is empty; expected one piece a line, since lines count "
            "as ids"
        )
    return pieces


def _clean_character(char: str) -> str:
    """Return a character; put spaces around an ideograph, and replace white space by a space.

    Control and format characters, NUL and U+FFFD become empty.
    """
    category = unicodedata.category(char)
    if char in " \t\n\r" or category == "Zs":
        return " "
    if char in "\0\ufffd" or category in ("Cc", "Cf"):
        return ""
    if any(first <= ord(char) <= last for first, last in _IDEOGRAPHS):
        return f" {char} "
    return char


def _space_punctuation(char: str) -> str:
    """Return a character, with spaces around it if it is punctuation or an ASCII symbol (`$`)."""
    # ASCII symbols such as $ and + count, although Unicode does not call them punctuation.
    is_symbol = "!" <= char <= "~" and not char.isalnum()
    return f" {char} " if is_symbol or unicodedata.category(char)[0] == "P" else char


_SPACED_IDEOGRAPHS = Translation(_clean_character)
_WITHOUT_ACCENTS = Translation(lambda char: "" if unicodedata.category(char) == "Mn" else char)
_SPACED_PUNCTUATION = Translation(_space_punctuation)
