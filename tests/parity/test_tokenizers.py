"""Tokenizers against recordings of the original, and against SentencePiece on real text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from albert_core.tokenization import (
    SentencePieceTokenizer,
    SpecialIds,
    WordPieceTokenizer,
    load_tokenizer,
    preprocess_text,
)
from albert_core.tokenization.sentencepiece import _starts_word
from tests.helpers.archives import article_lines, read_member

MODELS = ("2k-clean", "digits")
MEGABYTE = 10**6

Case = dict[str, Any]


def read_cases(goldens: Path, name: str) -> list[Case]:
    return json.loads((goldens / "tokenizer" / name).read_text(encoding="utf-8"))


def sentencepiece_cases(goldens: Path, model: str) -> list[Case]:
    """Return the cases with white space folded, as all of the original's scripts do it."""
    cases = read_cases(goldens, "sentencepiece_cases.json")
    return [case for case in cases if case["model"] == model and case["remove_space"]]


@pytest.fixture(scope="module")
def released(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vocabularies of the released models."""
    folder = tmp_path_factory.mktemp("released")
    for name in ("albert_v1v2/spiece.model", "zh_wordpiece/vocab.txt"):
        (folder / Path(name).name).write_bytes(read_member(shared, "spm", f"spm/{name}"))
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_text_pieces_and_ids_are_the_originals(model: str, goldens: Path) -> None:
    cases = sentencepiece_cases(goldens, model)
    assert len(cases) == 35
    for case in cases:
        tokenizer = load_tokenizer(
            goldens / "tokenizer" / f"{model}.model", lower_case=case["lower"]
        )
        assert tokenizer.preprocess(case["text"]) == case["preprocessed"]
        assert tokenizer.tokenize(case["text"]) == case["pieces"]
        assert tokenizer.encode(case["text"]) == case["ids"]


def test_words_pieces_and_ids_are_the_originals(goldens: Path) -> None:
    cases = read_cases(goldens, "wordpiece_cases.json")
    assert len(cases) == 55
    for case in cases:
        tokenizer = load_tokenizer(
            goldens / "tokenizer" / "wordpiece_vocab.txt", lower_case=case["lower"]
        )
        assert isinstance(tokenizer, WordPieceTokenizer)
        assert tokenizer.words(case["text"]) == case["basic"]
        assert tokenizer.tokenize(case["text"]) == case["pieces"]
        assert tokenizer.encode(case["text"]) == case["ids"]


def test_released_vocabulary_gives_the_originals_pieces(shared: Path, released: Path) -> None:
    recording = json.loads(
        read_member(shared, "spm", "spm/albert_v1v2/golden_google_tokenization.json")
    )
    assert len(recording["cases"]) == 32
    for case in recording["cases"]:
        tokenizer = load_tokenizer(released / "spiece.model", lower_case=case["lower"])
        assert tokenizer.preprocess(case["text"]) == case["preprocessed"]
        assert tokenizer.tokenize(case["text"]) == case["pieces"]
        assert tokenizer.encode(case["text"]) == case["ids"]


def test_released_chinese_vocabulary_has_its_special_pieces_apart(released: Path) -> None:
    tokenizer = load_tokenizer(released / "vocab.txt")
    assert len(tokenizer) == 21128
    assert tokenizer.special_ids == SpecialIds(pad=0, unknown=100, cls=101, sep=102, mask=103)
    pieces = ["北", "京", "，", "1949", "年", "##s", "apple"]
    ids = [tokenizer.pieces.index(piece) for piece in pieces]
    assert tokenizer.encode("北京，1949年") == ids[:5]
    starts = tokenizer.word_starts()
    assert [bool(starts[index]) for index in ids] == [True] * 5 + [False, True]


@pytest.mark.parametrize("model", MODELS)
def test_word_starts_are_the_originals(model: str, goldens: Path) -> None:
    (expected,) = (
        entry["is_start_piece_sp"]
        for entry in read_cases(goldens, "is_start_piece.json")
        if entry.get("model") == model
    )
    word_starts = load_tokenizer(goldens / "tokenizer" / f"{model}.model").word_starts()
    np.testing.assert_array_equal(word_starts, np.array(expected, dtype=bool))


def test_words_of_the_released_vocabulary_are_the_originals(released: Path) -> None:
    tokenizer = load_tokenizer(released / "spiece.model")
    expected = [_starts_word(piece) for piece in tokenizer.pieces]
    assert tokenizer.word_borders().tolist() == expected


def test_pieces_of_no_vocabulary_start_words_as_in_the_original(goldens: Path) -> None:
    entry = read_cases(goldens, "is_start_piece.json")[-1]
    assert [int(_starts_word(piece)) for piece in entry["pieces"]] == entry["is_start_piece_sp"]


@pytest.mark.parametrize("model", MODELS)
def test_hugging_face_variant_differs_at_digit_commas_only(model: str, goldens: Path) -> None:
    tokenizer = load_tokenizer(goldens / "tokenizer" / f"{model}.model", compat="huggingface")
    cases = sentencepiece_cases(goldens, model)
    same_text = [
        case for case in cases if tokenizer.preprocess(case["text"]) == case["preprocessed"]
    ]
    assert len(cases) - len(same_text) == 1  # a Hindi sentence, for its vowel signs
    for case in same_text:
        pieces = tokenizer.tokenize(case["text"])
        if case["digit_comma_changed"]:
            assert "".join(pieces) == "".join(case["sp_raw_pieces"])
            assert not any(len(piece) > 1 and piece.endswith(",") for piece in pieces)
        else:
            assert pieces == case["pieces"]


def test_variants_differ_where_the_comma_follows_the_inside_of_a_number(goldens: Path) -> None:
    original, port = (
        load_tokenizer(goldens / "tokenizer" / "2k-clean.model", compat=compat)
        for compat in ("original", "huggingface")
    )
    assert original.tokenize("21, items")[:4] == ["▁2", "▁1", ",", "▁items"]
    assert port.tokenize("21, items")[:4] == ["▁2", "1", ",", "▁items"]


def test_ids_are_those_of_sentencepiece_but_for_digit_commas(shared: Path, released: Path) -> None:
    """On a megabyte of Simple Wikipedia with the released vocabulary."""
    text = read_member(shared, "corpus_simplewiki", "corpus/simplewiki/AA/wiki_00")[:MEGABYTE]
    lines = article_lines(text[: text.rindex(b"\n")])
    tokenizer = load_tokenizer(released / "spiece.model")
    assert isinstance(tokenizer, SentencePieceTokenizer)
    library = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    prepared = [preprocess_text(line, lower_case=True) for line in lines]
    split = 0
    for pieces, raw in zip(
        tokenizer.tokenize_batch(lines), library.EncodeAsPieces(prepared), strict=True
    ):
        apart = [part for piece in raw for part in digit_and_comma(piece)]
        split += len(apart) - len(raw)
        assert pieces == apart
    assert tokenizer.encode_batch(lines) == [
        library.PieceToId(pieces) for pieces in tokenizer.tokenize_batch(lines)
    ]
    assert split > 100


def digit_and_comma(piece: str) -> list[str]:
    """Return a piece such as ▁1999, in two; the released vocabulary has all its numbers whole."""
    return [piece[:-1], ","] if piece[-1] == "," and piece[-2:-1].isdigit() else [piece]
