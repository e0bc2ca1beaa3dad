"""A new kind of tokenizer is a module of its own and an entry of the table, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest

from albert_core.checkpoints.vocabulary import (
    find_tokenizer,
    write_huggingface_vocabulary,
    write_original_vocabulary,
)
from albert_core.config import AlbertConfig
from albert_core.corpus import CorpusConfig
from albert_core.tokenization import KindName, Tokenizer, load_tokenizer
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.interface import ContextRules, find_special_ids, save_settings
from albert_core.tokenization.kinds import TOKENIZER_KINDS, TokenizerKind
from components.vocab.step import train_vocab


class CharacterTokenizer(Tokenizer):
    """Every character is a token."""

    kind: ClassVar[str] = "character"
    display_name: ClassVar[str] = "Character"
    file_name: ClassVar[str] = "letters.chars"
    original_file_name: ClassVar[str] = "letters.chars"
    hugging_face_class: ClassVar[str] = "CanineTokenizer"

    def __init__(
        self, pieces: Sequence[str], *, lower_case: bool, strip_accents: bool = True
    ) -> None:
        self.pieces = list(pieces)
        self.lower_case = lower_case
        self.strip_accents = strip_accents
        self.special_ids = find_special_ids(self.pieces, pad="[PAD]", unknown="[UNK]")

    @classmethod
    def from_bytes(cls, vocabulary: bytes, **settings: Any) -> "CharacterTokenizer":
        return cls(vocabulary.decode().split("\n"), **settings)

    @property
    def context_rules(self) -> ContextRules:
        return ContextRules(white_space="splits_words")

    def preprocess(self, text: str) -> str:
        return text.lower() if self.lower_case else text

    def tokenize_batch(self, texts: Sequence[str]) -> list[list[str]]:
        return [list("".join(self.preprocess(text).split())) for text in texts]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.token_ids(tokens) for tokens in self.tokenize_batch(texts)]

    def surfaces(self, tokens: Sequence[str]) -> list[str]:
        return list(tokens)

    def without_mark(self, token: str) -> str:
        return token

    def normalize_character(self, character: str) -> str:
        return self.preprocess(character)

    def word_starts(self) -> np.ndarray:
        return np.ones(len(self), bool)

    def content_hash(self) -> str:
        return "".join(self.pieces)

    def save(self, folder: Path) -> None:
        (folder / self.file_name).write_text("\n".join(self.pieces))
        settings = {"lower_case": self.lower_case, "strip_accents": self.strip_accents}
        save_settings(folder, settings)


def train_characters(
    sentences: Sequence[str],
    *,
    size: int,
    character_coverage: float,
    lower_case: bool,
    strip_accents: bool = True,
) -> CharacterTokenizer:
    letters = sorted(set("".join(sentences).lower()) - {" "})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    return CharacterTokenizer(pieces[:size], lower_case=lower_case, strip_accents=strip_accents)


@pytest.fixture
def character_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = TokenizerKind(
        tokenizer=CharacterTokenizer, file_pattern="*.chars", train=train_characters
    )
    monkeypatch.setitem(TOKENIZER_KINDS, "character", kind)


def test_the_table_has_every_value_of_the_setting_and_the_names_of_its_classes() -> None:
    assert tuple(TOKENIZER_KINDS) == get_args(KindName)
    assert all(kind.tokenizer.kind == name for name, kind in TOKENIZER_KINDS.items())


@pytest.mark.usefixtures("character_kind")
def test_a_new_kind_is_trained_published_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("A cab\nbad ace\n")
    config = VocabConfig(kind="character", size=20)  # type: ignore[arg-type]
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").metrics
    assert metrics["vocab_size"] == 10
    assert metrics["character_coverage"] == 1
    assert load_tokenizer(tmp_path / "vocab").tokenize("Bad") == ["b", "a", "d"]


@pytest.mark.usefixtures("character_kind")
@pytest.mark.parametrize("write", ["original", "hugging face"])
def test_a_new_kind_is_written_beside_a_checkpoint_and_found_there(
    tmp_path: Path, write: str
) -> None:
    tokenizer = train_characters(["abc"], size=8, character_coverage=1.0, lower_case=True)
    if write == "original":
        write_original_vocabulary(tokenizer, tmp_path)
    else:
        write_huggingface_vocabulary(tokenizer, AlbertConfig(vocab_size=8), tmp_path)
    found = find_tokenizer(tmp_path)
    assert found is not None
    assert (found.kind, found.encode("cab")) == ("character", [7, 5, 6])
