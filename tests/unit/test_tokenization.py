"""Tokenization: the original's pieces exactly, also where they look odd; files that hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.tokenization import SentencePieceTokenizer, load_tokenizer, preprocess_text
from albert_core.tokenization.sentencepiece import (
    CLS_ID,
    CONTROL_SYMBOLS,
    MASK_ID,
    PAD_ID,
    SEP_ID,
    UNKNOWN_ID,
    USER_DEFINED_SYMBOLS,
    Compat,
    _starts_word,
)

MODELS = ("2k-clean", "digits")


def golden_tokenizer(goldens: Path, model: str, compat: Compat) -> SentencePieceTokenizer:
    path = goldens / "tokenizer" / f"{model}.model"
    return load_tokenizer(path, lower_case=True, compat=compat)


def read_json(goldens: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((goldens / "tokenizer" / name).read_text(encoding="utf-8"))


def cases_of(goldens: Path, model: str) -> list[dict[str, Any]]:
    cases = read_json(goldens, "sentencepiece_cases.json")
    return [case for case in cases if case["model"] == model and case["remove_space"]]


def known_pieces(case: dict[str, Any]) -> list[str]:
    """Return a case's pieces; the original prints characters of no piece, we print <unk>."""
    pairs = zip(case["pieces"], case["ids"], strict=True)
    return ["<unk>" if index == UNKNOWN_ID else piece for piece, index in pairs]


@pytest.mark.parametrize("model", MODELS)
def test_text_pieces_and_ids_are_the_originals(model: str, goldens: Path) -> None:
    tokenizer = golden_tokenizer(goldens, model, "original")
    cases = cases_of(goldens, model)
    texts = [case["text"] for case in cases]
    assert [tokenizer.preprocess(text) for text in texts] == [c["preprocessed"] for c in cases]
    assert tokenizer.encode_batch(texts) == [case["ids"] for case in cases]
    assert [tokenizer.tokenize(text) for text in texts] == [known_pieces(c) for c in cases]


@pytest.mark.parametrize("model", MODELS)
def test_hugging_face_variant_differs_at_digit_commas_only(model: str, goldens: Path) -> None:
    tokenizer = golden_tokenizer(goldens, model, "huggingface")
    for case in cases_of(goldens, model):
        pieces = tokenizer.tokenize(case["text"])
        if case["digit_comma_changed"]:
            assert "".join(pieces) == "".join(case["sp_raw_pieces"])
            assert not any(len(piece) > 1 and piece.endswith(",") for piece in pieces)
        else:
            assert pieces == known_pieces(case)


def test_variants_differ_where_the_comma_follows_the_inside_of_a_number(goldens: Path) -> None:
    original, port = (
        golden_tokenizer(goldens, "2k-clean", compat) for compat in ("original", "huggingface")
    )
    text = "1,000 items"
    assert original.tokenize(text)[:3] == ["▁", "▁1", ","]
    assert port.tokenize(text)[:3] == ["▁", "1", ","]


@pytest.mark.parametrize("model", MODELS)
def test_word_starts_are_the_originals(model: str, goldens: Path) -> None:
    (expected,) = (
        entry["is_start_piece_sp"]
        for entry in read_json(goldens, "is_start_piece.json")
        if entry.get("model") == model
    )
    word_starts = golden_tokenizer(goldens, model, "original").word_starts()
    np.testing.assert_array_equal(word_starts, np.array(expected, dtype=bool))


def test_pieces_of_no_vocabulary_start_words_as_in_the_original(goldens: Path) -> None:
    entry = read_json(goldens, "is_start_piece.json")[-1]
    assert [int(_starts_word(piece)) for piece in entry["pieces"]] == entry["is_start_piece_sp"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\t spaces \n", "two spaces"),
        ("Crème Brûlée", "creme brulee"),
        ("ﬁne １２", "fine 12"),
        ("``quoted''", "``quoted''"),
        ("", ""),
    ],
)
def test_text_is_normalised(text: str, expected: str) -> None:
    assert preprocess_text(text, lower_case=True) == expected


def test_case_is_kept_when_asked() -> None:
    assert preprocess_text("Ångström", lower_case=False) == "Angstrom"


def test_trained_vocabulary_begins_with_the_special_pieces(
    tokenizer: SentencePieceTokenizer,
) -> None:
    special = ["<pad>", "<unk>", *CONTROL_SYMBOLS, *USER_DEFINED_SYMBOLS]
    assert tokenizer.pieces[: len(special)] == special
    assert (PAD_ID, CLS_ID, SEP_ID, MASK_ID) == (0, 2, 3, 4)
    assert len(tokenizer) == 120


@pytest.mark.parametrize("compat", ["original", "huggingface"])
@pytest.mark.parametrize("lower_case", [True, False])
def test_saved_tokenizer_comes_back(
    compat: Compat, lower_case: bool, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    saved = SentencePieceTokenizer(tokenizer.model, lower_case=lower_case, compat=compat)
    saved.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.model, loaded.lower_case, loaded.compat) == (saved.model, lower_case, compat)
    assert loaded.encode("The Dogs of 1,897") == saved.encode("The Dogs of 1,897")


def test_settings_given_win_over_the_folders(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path, lower_case=False).lower_case is False


def test_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no spiece\.model there"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_damaged_model_is_refused(
    share: float, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "broken.model"
    path.write_bytes(tokenizer.model[: int(share * len(tokenizer.model))])
    with pytest.raises(InputError, match=r"broken\.model: not a SentencePiece model"):
        load_tokenizer(path, lower_case=True)
