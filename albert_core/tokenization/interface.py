"""What every tokenizer offers, whatever kind of vocabulary it has.

Shape suffix: V vocabulary.
"""

import abc
import dataclasses
import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from albert_core.errors import InputError

_BATCH_TEXTS = 4096  # encoded in one call
SETTINGS_NAME = "tokenizer_settings.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpecialIds:
    """Where a vocabulary has its special pieces; no two vocabularies need agree.

    Attributes:
        pad: Fills sequences up.
        unknown: Stands for what has no piece.
        cls: Begins every sequence.
        sep: Ends every segment.
        mask: Hides a piece that is to be predicted.
    """

    pad: int
    unknown: int
    cls: int
    sep: int
    mask: int


def find_special_ids(pieces: Sequence[str], *, pad: str, unknown: str) -> SpecialIds:
    """Return the ids of the special pieces, two of which have other names in each kind.

    Raises:
        InputError: One is missing.
    """
    names = {"pad": pad, "unknown": unknown, "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    ids = {piece: index for index, piece in enumerate(pieces)}
    missing = [piece for piece in names.values() if piece not in ids]
    if missing:
        raise InputError(
            f"got {len(pieces)} pieces without {', '.join(missing)}, expected all of "
            f"{', '.join(names.values())}; give a vocabulary that was made for ALBERT"
        )
    return SpecialIds(**{role: ids[piece] for role, piece in names.items()})


class Tokenizer(abc.ABC):
    """Text to pieces and piece ids, without special pieces.

    Attributes:
        pieces: The vocabulary [V]; a piece's id is its place.
        lower_case: Whether text is lower-cased first.
        special_ids: The ids of the special pieces.
    """

    pieces: list[str]
    lower_case: bool
    special_ids: SpecialIds

    def __len__(self) -> int:
        return len(self.pieces)

    @abc.abstractmethod
    def preprocess(self, text: str) -> str:
        """Return the text as it is cut into pieces."""

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of a text."""
        return self.tokenize_batch([text])[0]

    @abc.abstractmethod
    def tokenize_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text."""

    def encode(self, text: str) -> list[int]:
        """Return the piece ids of a text."""
        return self.encode_batch([text])[0]

    @abc.abstractmethod
    def surfaces(self, pieces: Sequence[str]) -> list[str]:
        """Return what of the normalised text each piece stands for."""

    def ids_of(self, pieces: Sequence[str]) -> list[int]:
        """Return the ids of pieces that `tokenize` returned."""
        known, unknown = self._id_of_piece, self.special_ids.unknown
        return [known.get(piece, unknown) for piece in pieces]

    @functools.cached_property
    def _id_of_piece(self) -> dict[str, int]:
        return {piece: index for index, piece in enumerate(self.pieces)}

    @abc.abstractmethod
    def normalize_character(self, character: str) -> str:
        """Return what becomes of a character by itself in the text that `surfaces` returns."""

    @abc.abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each text."""

    def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the piece ids of all texts, one after the other, and how many each has.

        Works in batches on one thread, in the memory of the result and a batch.

        Returns:
            int32 [T], int64 [N].
        """
        begins = range(0, max(1, len(texts)), _BATCH_TEXTS)
        batches = [self._encode_some(texts[begin : begin + _BATCH_TEXTS]) for begin in begins]
        pieces, lengths = zip(*batches, strict=True)
        return np.concatenate(pieces), np.concatenate(lengths)

    def _encode_some(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode a batch on one thread."""
        return flattened(self.encode_batch(texts))

    @abc.abstractmethod
    def word_starts(self) -> np.ndarray:
        """Return a table [V] of bool: whether a piece begins a word for whole-word masking."""

    @abc.abstractmethod
    def content_hash(self) -> str:
        """Return a hash of vocabulary and settings: equal means the same ids of every text."""

    @abc.abstractmethod
    def save(self, folder: Path) -> None:
        """Write vocabulary and settings into a folder, for `load_tokenizer`."""


def flattened(batch: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of a batch one after the other, int32 [T], and its lengths, int64 [N]."""
    lengths = np.fromiter(map(len, batch), np.int64, len(batch))
    ids = itertools.chain.from_iterable(batch)
    return np.fromiter(ids, np.int32, int(lengths.sum())), lengths


def save_settings(folder: Path, settings: dict[str, bool | str]) -> None:
    """Write what a vocabulary's file does not say."""
    (folder / SETTINGS_NAME).write_text(json.dumps(settings) + "\n", encoding="utf-8")
