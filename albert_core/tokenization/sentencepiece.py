"""SentencePiece tokenization as ALBERT does it."""

import functools
import hashlib
import string
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np
import sentencepiece

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.tokenization.interface import (
    ContextRules,
    Tokenizer,
    find_special_ids,
    flatten,
    save_settings,
)
from albert_core.tokenization.model_file import (
    is_whole,
    without_pieces,
    without_space_in_front,
)
from albert_core.tokenization.text import (
    preprocess_text,
    preprocess_text_as_hugging_face,
    preprocess_texts,
)
from albert_core.tokenization.word_borders import BEGINS_WORD, is_english, text_word_borders

PAD, UNKNOWN = "<pad>", "<unk>"
PAD_ID, UNKNOWN_ID = 0, 1  # of every vocabulary trained here; others may have them elsewhere
CONTROL_SYMBOLS = ("[CLS]", "[SEP]", "[MASK]")
USER_DEFINED_SYMBOLS = ("(", ")", '"', "-", ".", "–", "£", "€")

WORD_START = "▁"
# As the original lists them: ASCII punctuation without ' < = >.
_PUNCTUATION = frozenset(string.punctuation) - frozenset("'<=>")
_ENGLISH = _PUNCTUATION | frozenset(string.ascii_letters)

Compat = Literal["original", "huggingface"]
_Item = TypeVar("_Item", int, str)


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model behind ALBERT's text normalisation and its digit-comma rule.

    The rule keeps a comma apart from the digit before it. The original splits pieces that end in
    both and encodes what is left anew, which under Python 3 adds a word start inside a number.
    Hugging Face's tokenizer never uses such pieces; it also normalises a little differently.
    With the released vocabulary both give the same ids for all but rare characters.

    Args:
        model: A serialised SentencePiece model.
        lower_case: Whether text is lower-cased first.
        strip_accents: Whether characters are decomposed and their accents dropped first. Without
            it what the model itself does to characters, mostly NFKC, is all that is done to them.
        compat: Whose rules to follow. `original`, the default, keeps the numbers of the code this
            project re-implements. `huggingface` is the AlbertTokenizer of transformers 5.23 with
            the tokenizer.json of the released models.

    Attributes:
        pieces: The pieces of `model`, by id.
        used_model: The model that text is encoded with: `model`, or, with `huggingface`, a copy
            without the pieces that Hugging Face never uses.
        split_ids: The ids that replace an id by the digit-comma rule, after encoding.

    Raises:
        InputError: It is no model, it is cut short, it lacks a special piece, or `compat` is
            unknown.
    """

    kind: ClassVar[str] = "sentencepiece"
    display_name: ClassVar[str] = "SentencePiece"
    file_name: ClassVar[str] = "spiece.model"
    original_file_name: ClassVar[str] = "30k-clean.model"
    setting_names: ClassVar[tuple[str, ...]] = ("lower_case", "strip_accents", "compat")
    # Not AlbertTokenizer: of a tokenizer.json that takes the vocabulary alone, and makes rules of
    # its own, by which a `▁` stands between a mask and the full stop behind it.
    hugging_face_class: ClassVar[str] = "PreTrainedTokenizerFast"
    hugging_face_roles: ClassVar[Mapping[str, str]] = {"bos_token": "cls", "eos_token": "sep"}

    def __init__(
        self,
        model: bytes,
        *,
        lower_case: bool,
        strip_accents: bool = True,
        compat: Compat = "original",
    ) -> None:
        """Load a serialized SentencePiece model; find its special pieces and those to split.

        Args:
            model: The bytes of a model file.
            lower_case: Whether texts are lower-cased before.
            strip_accents: Whether accents are dropped before.
            compat: `original` or `huggingface`: whose rules for commas, white space and quotes
                hold.

        Raises:
            InputError: `compat` is unknown, the model cannot be read or lacks a special piece.
        """
        if compat not in get_args(Compat):
            raise InputError(
                f"compat: got {compat!r}, expected one of {', '.join(get_args(Compat))}"
            )
        self.model = self.used_model = model
        self.lower_case = lower_case
        self.strip_accents = strip_accents
        self.compat = compat
        self._processor = _processor(model)
        self.pieces = self._processor.IdToPiece(list(range(self._processor.GetPieceSize())))
        self.special_ids = find_special_ids(self.pieces, pad=PAD, unknown=UNKNOWN)
        self._split_pieces: dict[str, list[str]] = {}
        self.split_ids: dict[int, list[int]] = {}
        self._set_up_digit_comma_rule()
        self._is_split = np.zeros(len(self.pieces), bool)
        self._is_split[list(self.split_ids)] = True

    @classmethod
    def from_bytes(cls, vocabulary: bytes, **settings: Any) -> "SentencePieceTokenizer":
        """Make a tokenizer from the content of a model file.

        Raises:
            InputError: It is no model, it is cut short, it lacks a special piece, or `compat` is
                unknown.
        """
        return cls(vocabulary, **settings)

    def _set_up_digit_comma_rule(self) -> None:
        """Set what replaces or hides the pieces that end in a digit and a comma.

        With `huggingface`, sets `used_model` and its processor to a copy of the model without these
        pieces. Else fills `split_ids` and `_split_pieces`: by such an id, or piece, those of the
        number encoded anew and of the comma. Needs `pieces`, `_processor` and the two empty tables.
        """
        digit_commas = {
            index: piece for index, piece in enumerate(self.pieces) if ends_in_digit_comma(piece)
        }
        if self.compat == "huggingface":
            self.used_model = without_pieces(self.model, digit_commas)
            self._processor = _processor(self.used_model)
            return
        for index, piece in digit_commas.items():
            number = piece[:-1].replace(WORD_START, "")
            self._split_pieces[piece] = [*self._processor.EncodeAsPieces(number), ","]
            self.split_ids[index] = self._processor.PieceToId(self._split_pieces[piece])

    @property
    def hugging_face_settings(self) -> dict[str, bool]:
        """The settings of text normalisation by their names in `hugging_face_class`."""
        accents = {"keep_accents": True} if self.keeps_accents else {}
        return {**super().hugging_face_settings, **accents}

    @property
    def context_rules(self) -> ContextRules:
        """How `preprocess` treats white space and doubled quotation marks, by `compat`."""
        if self.compat == "huggingface":
            return ContextRules(white_space="folded_after", joins_quotes=True)
        return ContextRules(white_space="folded_before")

    def preprocess(self, text: str) -> str:
        """Return the text normalised by the rules of `compat`, before it is cut into pieces."""
        if self.compat == "huggingface":
            return preprocess_text_as_hugging_face(
                text, lower_case=self.lower_case, strip_accents=self.strip_accents
            )
        return preprocess_text(text, lower_case=self.lower_case, strip_accents=self.strip_accents)

    def _preprocess_batch(self, texts: Sequence[str]) -> list[str]:
        """Return the texts as `preprocess` normalises each."""
        if self.compat == "huggingface":
            return [self.preprocess(text) for text in texts]
        return preprocess_texts(texts, lower_case=self.lower_case, strip_accents=self.strip_accents)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each text."""
        batch = self._processor.EncodeAsIds(self._preprocess_batch(texts))
        return [_replace_items(ids, self.split_ids) for ids in batch]

    def encode_continuation(self, text: str) -> list[int]:
        """Return the piece ids of a text that goes on where a word has begun.

        Its first piece is none that marks a word's start, unless the text begins with white space.
        """
        if self._begins_with_space(text):
            return self.encode(text)
        return _replace_items(
            self._continuing_processor.EncodeAsIds(self.preprocess(text)), self.split_ids
        )

    def _begins_with_space(self, text: str) -> bool:
        """Return whether a text begins with white space, after characters that normalisation drops.

        False for a text with nothing left.
        """
        for character in text:
            normal = self._continuing_processor.Normalize(self.preprocess(f"a{character}a"))
            if normal != "aa":
                return normal == f"a{WORD_START}a"
        return False

    @functools.cached_property
    def _continuing_processor(self) -> sentencepiece.SentencePieceProcessor:
        """The model as it encodes text that goes on where a word has begun."""
        return _processor(without_space_in_front(self.used_model))

    def _encode_batch_flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode one batch as `encode_flat` does, on one thread.

        Only texts with a piece that the digit-comma rule splits are walked through again.
        """
        batch = self._processor.EncodeAsIds(self._preprocess_batch(texts), num_threads=1)
        ids, lengths = flatten(batch)
        # Few texts hold a piece that the digit-comma rule splits: one look-up in a table finds
        # them, so that the others are not walked through in Python.
        split_positions = np.flatnonzero(self._is_split[ids])
        if not len(split_positions):
            return ids, lengths
        rows = np.searchsorted(np.cumsum(lengths), split_positions, side="right")
        for row in set(rows.tolist()):
            batch[row] = _replace_items(batch[row], self.split_ids)
        return flatten(batch)

    def tokenize_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text; characters of no piece stand for themselves."""
        batch = self._processor.EncodeAsPieces(self._preprocess_batch(texts))
        return [_replace_items(pieces, self._split_pieces) for pieces in batch]

    def surfaces(self, tokens: Sequence[str]) -> list[str]:
        """Return the pieces with a space in place of the mark of a word's start."""
        return [token.replace(WORD_START, " ") for token in tokens]

    def without_mark(self, token: str) -> str:
        """Return a piece without the mark of a word's start."""
        return token.removeprefix(WORD_START)

    def normalize_character(self, character: str) -> str:
        """Return one character as `preprocess` normalises it; white space is decomposed by NFKD.

        Where accents are kept, what the model makes of it then: else ligatures and wide letters
        would not be recognised.
        """
        if character.isspace():
            return unicodedata.normalize("NFKD", character)
        normal = self.preprocess(character)
        if self.strip_accents:
            return normal
        return self._processor.Normalize(normal).replace(WORD_START, "")

    def word_starts(self) -> np.ndarray:
        """Return a new table, bool [V]: whether a piece by itself begins a word for masking."""
        return (self.word_borders() & BEGINS_WORD) > 0

    def word_borders(self, *, original: bool = False) -> np.ndarray:
        """Return a new table of bits, uint8 [V], of where words begin for whole-word masking.

        If the pieces are English, or the original's rule is asked for, it is that rule. Deviates
        from the original: in other vocabularies words are those of the text (`text_word_borders`).
        By the original's rule whatever is no English letter begins a word, so that a German word is
        divided at every ß and a Russian one at every piece.

        Source: `_is_start_piece_sp` of the original's create_pretraining_data.py.

        Args:
            original: Whether to follow the original's rule in any case.
        """
        if original or is_english(self.pieces, word_start=WORD_START):
            return np.array([_starts_word(piece) for piece in self.pieces], np.uint8) * BEGINS_WORD
        return text_word_borders(self.pieces, word_start=WORD_START)

    def scores(self) -> list[float]:
        """Return the log probability of each piece [V], from `used_model`."""
        return self._processor.GetScore(list(range(len(self))))

    def content_hash(self) -> str:
        """Return a hash of the model's bytes and the settings; `strip_accents` only if false."""
        settings = self._settings()
        if self.strip_accents:
            del settings["strip_accents"]  # as in the hashes of vocabularies without this setting
        return hash_json({"model": hashlib.sha256(self.model).hexdigest()} | settings)

    def save(self, folder: Path) -> None:
        """Write model and settings into an existing folder, for `load_tokenizer`.

        Files of these names are replaced.
        """
        (folder / self.file_name).write_bytes(self.model)
        save_settings(folder, self._settings())

    def score_table(self) -> str:
        """Return a line (piece, tab, log probability) for each id, as in SentencePiece's .vocab."""
        lines = zip(self.pieces, self.scores(), strict=True)
        return "".join(f"{piece}\t{score:g}\n" for piece, score in lines)

    def hugging_face_json(self) -> dict[str, Any]:
        """Return the content of a tokenizer.json; transformers makes another one by itself."""
        from albert_core.tokenization.tokenizer_json import tokenizer_json

        return tokenizer_json(self)

    def _settings(self) -> dict[str, bool | str]:
        """Return the `setting_names` with their values."""
        return {
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "compat": self.compat,
        }


def _processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """Load a serialised model.

    One that is cut between two pieces is refused, too.

    Raises:
        InputError: It is no SentencePiece model, or one that is cut short.
    """
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise InputError(
            f"not a SentencePiece model; got {len(model):,} bytes of something else or of a model "
            "that is cut short; expected the .model file, whole"
        ) from error
    # SentencePiece loads a file cut between two pieces without complaint: a smaller vocabulary.
    if not is_whole(model):
        raise InputError(
            f"not a whole SentencePiece model; got {len(model):,} bytes that end in the list of "
            "pieces; copy the file anew"
        )
    return processor


def ends_in_digit_comma(piece: str) -> bool:
    """Return whether a piece, such as `1,`, is one that the digit-comma rule splits."""
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _replace_items(items: list[_Item], parts: Mapping[_Item, list[_Item]]) -> list[_Item]:
    """Return the items with each key of `parts` replaced by its items; the same list if none is."""
    if parts.keys().isdisjoint(items):
        return items
    return [part for item in items for part in parts.get(item, (item,))]


def _starts_word(piece: str) -> bool:
    """Return whether a piece counts as a word's first by the original's rule.

    It does if it begins with the mark of a word's start or `<`, is one punctuation mark, or has a
    character other than English letters and punctuation.
    """
    # Whatever is not plain English letters counts, also inside a word.
    return (
        piece.startswith((WORD_START, "<")) or piece in _PUNCTUATION or not set(piece) <= _ENGLISH
    )
