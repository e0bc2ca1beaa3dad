"""Accents: dropped unless a vocabulary, or the folder it comes from, says that they are kept."""

import json
from pathlib import Path

import pytest

from albert_core.tokenization import (
    Compat,
    SentencePieceTokenizer,
    WordPieceTokenizer,
    load_tokenizer,
)
from albert_core.tokenization.interface import SETTINGS_NAME

WORD_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", ",")
ACCENTED = "Füße İst e\u0301té ﬁ Ａ"


@pytest.mark.parametrize("compat", ["original", "huggingface"])
def test_accents_are_kept_when_asked(
    compat: Compat, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    kept = SentencePieceTokenizer(
        tokenizer.model, lower_case=True, strip_accents=False, compat=compat
    )
    assert kept.preprocess(" Füße  Été") == "füße été"
    assert kept.normalize_character("É") == "é"
    assert kept.normalize_character("ﬁ") == "fi"  # by the model, which is told nothing else
    kept.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.strip_accents, loaded.keeps_accents) == (False, True)
    assert loaded.content_hash() == kept.content_hash() != tokenizer.content_hash()
    assert loaded.tokenize(ACCENTED) == kept.tokenize(ACCENTED)
    assert load_tokenizer(tmp_path, strip_accents=True).preprocess("Füße") == "fuße"


def test_words_keep_their_accents_when_asked(tmp_path: Path) -> None:
    kept = WordPieceTokenizer(WORD_PIECES, lower_case=True, strip_accents=False)
    assert kept.words("Füße, Été") == ["füße", ",", "été"]
    kept.save(tmp_path)
    assert load_tokenizer(tmp_path).keeps_accents
    hashes = {
        (lower, strip): WordPieceTokenizer(
            WORD_PIECES, lower_case=lower, strip_accents=strip
        ).content_hash()
        for lower in (True, False)
        for strip in (True, False)
    }
    assert len(set(hashes.values())) == 3  # cased text keeps them anyway
    assert hashes[False, True] == hashes[False, False]


def test_a_folder_without_the_setting_drops_accents(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / SETTINGS_NAME).write_text('{"lower_case": true, "compat": "original"}')
    loaded = load_tokenizer(tmp_path)
    assert loaded.strip_accents
    assert loaded.content_hash() == tokenizer.content_hash()


@pytest.mark.parametrize(
    ("settings", "keeps"),
    [
        ("{}", False),
        ('{"keep_accents": false}', False),
        ('{"keep_accents": true}', True),
        ('{"strip_accents": null}', False),
        ('{"strip_accents": true}', False),
        ('{"strip_accents": false}', True),
        ('{"strip_accents": false, "do_lower_case": false}', True),
    ],
)
def test_folder_of_hugging_face_keeps_its_accents(
    settings: str, keeps: bool, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "spiece.model").write_bytes(tokenizer.model)
    (tmp_path / "tokenizer_config.json").write_text(settings)
    assert load_tokenizer(tmp_path).keeps_accents is keeps


@pytest.mark.parametrize("strip_accents", [True, False])
def test_tokenizer_json_gives_the_ids_of_the_hugging_face_rules(
    strip_accents: bool, tokenizer: SentencePieceTokenizer
) -> None:
    import tokenizers

    same = SentencePieceTokenizer(
        tokenizer.model, lower_case=True, strip_accents=strip_accents, compat="huggingface"
    )
    theirs = tokenizers.Tokenizer.from_str(json.dumps(same.hugging_face_json()))
    for text in ("The Dogs of 1,897", ACCENTED, "Été ``bon''"):
        assert theirs.encode(text, add_special_tokens=False).ids == same.encode(text)
