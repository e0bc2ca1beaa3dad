"""What every tokenizer offers, whatever kind of vocabulary it has.

Shape suffix: V vocabulary.
"""

import abc
import dataclasses
import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from albert_core.errors import InputError
from albert_core.tokenization.training_counts import TrainingCounts
from albert_core.tokenization.word_borders import BEGINS_WORD

_BATCH_TEXTS = 4096  # encoded in one call
SETTINGS_NAME = "tokenizer_settings.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpecialIds:
    """The ids of a vocabulary's special tokens; no two vocabularies need agree.

    Attributes:
        pad: Fills sequences up.
        unknown: Stands for text that the vocabulary lacks.
        cls: Begins every sequence.
        sep: Ends every segment.
        mask: Hides a token that is to be predicted.
    """

    pad: int
    unknown: int
    cls: int
    sep: int
    mask: int


def find_special_ids(pieces: Sequence[str], *, pad: str, unknown: str) -> SpecialIds:
    """Return the ids of the special pieces of a vocabulary.

    Args:
        pieces: The vocabulary, by id; if a piece occurs twice, its last id is taken.
        pad: What padding is called; unlike [CLS], [SEP] and [MASK] it differs between kinds.
        unknown: What the unknown piece is called; it differs between kinds, too.

    Raises:
        InputError: A special piece is missing; the message names all that are.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextRules:
    """Rules of `Tokenizer.preprocess` that depend on neighbouring characters.

    All its other rules change each character by itself, so that exports can store them as a table.

    Attributes:
        white_space: When runs of white space become one space: before characters are replaced
            (`folded_before`), after that (`folded_after`), or never, because the text is split into
            words anyway (`splits_words`).
        joins_quotes: Whether `` and '' are first replaced by ".
    """

    white_space: Literal["folded_before", "folded_after", "splits_words"]
    joins_quotes: bool = False


class Tokenizer(abc.ABC):
    """Turns text into tokens and their ids, without [CLS], [SEP] and padding.

    Subclasses set `pieces`, `lower_case` and `special_ids` when they are made.

    Attributes:
        kind: Its name in `TOKENIZER_KINDS` and in the setting `vocab.kind`.
        display_name: Its name as people read it.
        file_name: Name of the vocabulary file that `save` writes.
        original_file_name: Name of that file in the original's releases.
        setting_names: Settings that `from_bytes` takes and `save` writes.
        hugging_face_class: The class of transformers that reads the files of `save`.
        hugging_face_roles: Special tokens that `hugging_face_class` needs beside those of
            `SpecialIds`: transformers' name of each, and the field of `SpecialIds` whose token is
            used for it.
        pieces: The vocabulary [V]: a token's id is its index.
        lower_case: Whether text is lower-cased first.
        strip_accents: Whether accents and umlauts are dropped where the original's tokenizer of
            this kind drops them; if not, all are kept.
        special_ids: The ids of the special tokens.
        training_counts: Counts of what was changed or left out when it was trained; empty for a
            tokenizer that was loaded.
    """

    kind: ClassVar[str]
    display_name: ClassVar[str]
    file_name: ClassVar[str]
    original_file_name: ClassVar[str]
    setting_names: ClassVar[tuple[str, ...]] = ("lower_case", "strip_accents")
    hugging_face_class: ClassVar[str]
    hugging_face_roles: ClassVar[Mapping[str, str]] = {}

    pieces: list[str]
    lower_case: bool
    strip_accents: bool = True
    special_ids: SpecialIds
    training_counts: TrainingCounts = TrainingCounts()

    @classmethod
    @abc.abstractmethod
    def from_bytes(cls, vocabulary: bytes, **settings: Any) -> "Tokenizer":
        """Make a tokenizer from the content of a vocabulary file and the `setting_names`.

        Raises:
            InputError: The content is damaged or not of this kind, or a setting is wrong.
        """

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def keeps_accents(self) -> bool:
        """Whether accents and umlauts are left in the text."""
        return not self.strip_accents

    @property
    def hugging_face_settings(self) -> dict[str, bool]:
        """The settings of text normalisation by their names in `hugging_face_class`."""
        return {"do_lower_case": self.lower_case}

    @property
    @abc.abstractmethod
    def context_rules(self) -> ContextRules:
        """How `preprocess` treats white space and doubled quotation marks; see `ContextRules`."""

    @abc.abstractmethod
    def preprocess(self, text: str) -> str:
        """Return the normalised text, which is then cut into tokens.

        The other methods normalise text themselves: they take it as it is.
        """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return self.tokenize_batch([text])[0]

    @abc.abstractmethod
    def tokenize_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, in the order of the texts; an empty text has none."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self.encode_batch([text])[0]

    def encode_continuation(self, text: str) -> list[int]:
        """Return the token ids of a text that goes on where a word has begun.

        In kinds that mark tokens which begin a word, the first token has no such mark, unless the
        text begins with white space. In other kinds the ids are those of `encode`.
        """
        return self.encode(text)

    @abc.abstractmethod
    def surfaces(self, tokens: Sequence[str]) -> list[str]:
        """Return the part of the normalised text that each token stands for, one for each token.

        Args:
            tokens: As `tokenize` returned them.
        """

    @abc.abstractmethod
    def without_mark(self, token: str) -> str:
        """Return a token without the mark that says whether it begins or continues a word.

        A token without such a mark is returned as it is; one that is the mark alone becomes empty.
        """

    def token_ids(self, tokens: Sequence[str]) -> list[int]:
        """Return the ids of pieces of the vocabulary; the unknown id for any other text."""
        ids, unknown = self._id_of_piece, self.special_ids.unknown
        return [ids.get(token, unknown) for token in tokens]

    @functools.cached_property
    def _id_of_piece(self) -> dict[str, int]:
        return {piece: index for index, piece in enumerate(self.pieces)}

    @abc.abstractmethod
    def normalize_character(self, character: str) -> str:
        """Return the normalised form of one character by itself, as in the text of `surfaces`.

        The result may have no character or several.
        """

    @abc.abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, in the order of the texts; an empty text has none."""

    def encode_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the token ids of all texts, one after the other, and how many each text has.

        Works in batches on one thread; needs memory for twice the result and one batch.

        Returns:
            int32 [T], int64 [N]; a text without tokens has 0. Without texts both are empty.
        """
        begins = range(0, max(1, len(texts)), _BATCH_TEXTS)
        batches = [self._encode_batch_flat(texts[begin : begin + _BATCH_TEXTS]) for begin in begins]
        ids, lengths = zip(*batches, strict=True)
        return np.concatenate(ids), np.concatenate(lengths)

    def _encode_batch_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode one batch, which may be empty, as `encode_flat` does, on one thread.

        Workers of a cluster run one process a core: threads would only get in each other's way.
        """
        return flatten(self.encode_batch(texts))

    @abc.abstractmethod
    def word_starts(self) -> np.ndarray:
        """Return a new table, bool [V]: whether a token by itself begins a word for masking.

        In some vocabularies other tokens begin a word, too, namely after a token that ends one; see
        `word_borders`.
        """

    def word_borders(self, *, original: bool = False) -> np.ndarray:
        """Return a new table, uint8 [V], of where words begin for whole-word masking.

        A token begins a word if it has the bit `BEGINS_WORD`, or if the one before it has the bit
        `ENDS_WORD`.

        Args:
            original: Whether to follow the rule of the original, if the kind has another.
        """
        return self.word_starts() * np.uint8(BEGINS_WORD)

    @abc.abstractmethod
    def content_hash(self) -> str:
        """Return a hash of vocabulary and settings: equal means the same ids of every text."""

    @abc.abstractmethod
    def save(self, folder: Path) -> None:
        """Write vocabulary and settings into an existing folder, for `load_tokenizer`.

        Files of the same names, `file_name` and `SETTINGS_NAME`, are replaced.
        """

    def score_table(self) -> str | None:
        """Return a line (piece, tab, log probability) for each id; None if there are no scores."""
        return None

    def hugging_face_json(self) -> dict[str, Any] | None:
        """Return the content of a tokenizer.json with the ids of `compat="huggingface"`.

        Returns None for kinds whose vocabulary file is enough for transformers to make the right
        one.
        """
        return None


def flatten(batch: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of a batch one after the other, int32 [T], and its lengths, int64 [N]."""
    lengths = np.fromiter(map(len, batch), np.int64, len(batch))
    ids = itertools.chain.from_iterable(batch)
    return np.fromiter(ids, np.int32, int(lengths.sum())), lengths


def save_settings(folder: Path, settings: Mapping[str, bool | str]) -> None:
    """Write the settings that a vocabulary file does not hold, into an existing folder.

    Replaces the file `SETTINGS_NAME`.
    """
    (folder / SETTINGS_NAME).write_text(json.dumps(settings) + "\n", encoding="utf-8")
