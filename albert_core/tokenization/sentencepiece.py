"""SentencePiece tokenization as ALBERT does it."""

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sentencepiece

from albert_core.errors import InputError
from albert_core.tokenization.text import preprocess_text

PAD_ID, UNKNOWN_ID, CLS_ID, SEP_ID, MASK_ID = range(5)
CONTROL_SYMBOLS = ("[CLS]", "[SEP]", "[MASK]")
USER_DEFINED_SYMBOLS = ("(", ")", '"', "-", ".", "–", "£", "€")

MODEL_NAME = "spiece.model"
SETTINGS_NAME = "tokenizer.json"

WORD_START = "▁"
# As the original lists them: ASCII punctuation without ' < = >.
_PUNCTUATION = frozenset(string.punctuation) - frozenset("'<=>")
_ENGLISH = _PUNCTUATION | frozenset(string.ascii_letters)

Compat = Literal["original", "huggingface"]


class SentencePieceTokenizer:
    """A SentencePiece model behind ALBERT's text normalisation and its digit-comma rule.

    The rule splits a trailing comma from a piece that ends in a digit and encodes the rest anew.
    Under Python 3 the original fails to remove the word start that the new encoding adds; the
    Hugging Face port removes it. Both variants are in use.

    Args:
        model: A serialised SentencePiece model.
        lower_case: Whether text is lower-cased first.
        compat: Whose digit-comma rule to follow. `original`, the default, keeps the numbers of
            the code this project re-implements.
    """

    def __init__(self, model: bytes, *, lower_case: bool, compat: Compat = "original") -> None:
        self.model = model
        self.lower_case = lower_case
        self.compat = compat
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self.pieces: list[str] = self._processor.IdToPiece(list(range(len(self))))
        self._digit_comma_ids = frozenset(
            index for index, piece in enumerate(self.pieces) if _ends_in_digit_comma(piece)
        )

    def __len__(self) -> int:
        return self._processor.GetPieceSize()

    def preprocess(self, text: str) -> str:
        """Return the text as it is encoded."""
        return preprocess_text(text, lower_case=self.lower_case)

    def encode(self, text: str) -> list[int]:
        """Return the piece ids of a text, without special pieces."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each text."""
        batch = self._processor.EncodeAsIds([self.preprocess(text) for text in texts])
        if not self._digit_comma_ids:
            return batch
        return [self._split_digit_commas(ids) for ids in batch]

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of a text."""
        return [self.pieces[index] for index in self.encode(text)]

    def _split_digit_commas(self, ids: list[int]) -> list[int]:
        if self._digit_comma_ids.isdisjoint(ids):
            return ids
        split: list[int] = []
        for index in ids:
            if index in self._digit_comma_ids:
                split.extend(self._without_digit_comma(self.pieces[index]))
            else:
                split.append(index)
        return split

    def _without_digit_comma(self, piece: str) -> list[int]:
        pieces = self._processor.EncodeAsPieces(piece[:-1].replace(WORD_START, ""))
        if self.compat == "huggingface" and not piece.startswith(WORD_START):
            pieces = pieces[1:] if pieces[0] == WORD_START else [pieces[0][1:], *pieces[1:]]
        return self._processor.PieceToId([*pieces, ","])

    def word_starts(self) -> np.ndarray:
        """Return a table [V] of bool: whether a piece begins a word for whole-word masking.

        Source: `_is_start_piece_sp` of the original's create_pretraining_data.py.
        """
        return np.array([_starts_word(piece) for piece in self.pieces], dtype=bool)

    def scores(self) -> list[float]:
        """Return the log probability of each piece."""
        return self._processor.GetScore(list(range(len(self))))

    def save(self, folder: Path) -> None:
        """Write model and settings into a folder, for `load_tokenizer`."""
        (folder / MODEL_NAME).write_bytes(self.model)
        settings = {"lower_case": self.lower_case, "compat": self.compat}
        (folder / SETTINGS_NAME).write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _ends_in_digit_comma(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _starts_word(piece: str) -> bool:
    return (
        piece.startswith((WORD_START, "<")) or piece in _PUNCTUATION or not set(piece) <= _ENGLISH
    )


def load_tokenizer(path: str | Path, **settings: Any) -> SentencePieceTokenizer:
    """Load a tokenizer from a vocabulary folder, or from a SentencePiece model file.

    Args:
        path: A folder that `albert vocab` or `SentencePieceTokenizer.save` wrote, or a model file.
        **settings: `lower_case` and `compat`; they win over the folder's own. A model file alone
            needs `lower_case`.

    Raises:
        InputError: There is no SentencePiece model at the path.
    """
    path = Path(path)
    model_path = path / MODEL_NAME if path.is_dir() else path
    if not model_path.is_file():
        raise InputError(f"vocabulary {path}: no {MODEL_NAME} there")
    saved = path / SETTINGS_NAME
    if saved.is_file():
        settings = {**json.loads(saved.read_text(encoding="utf-8")), **settings}
    try:
        return SentencePieceTokenizer(model_path.read_bytes(), **settings)
    except RuntimeError as error:
        raise InputError(f"vocabulary {model_path}: not a SentencePiece model") from error
