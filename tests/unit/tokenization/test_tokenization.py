"""Tokenizers: one interface, text covered by pieces, files and folders of many origins."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.errors import InputError
from albert_core.tokenization import (
    Compat,
    SentencePieceTokenizer,
    SpecialIds,
    Tokenizer,
    WordPieceTokenizer,
    load_tokenizer,
    preprocess_text,
)
from albert_core.tokenization.interface import SETTINGS_NAME
from albert_core.tokenization.sentencepiece import CONTROL_SYMBOLS, USER_DEFINED_SYMBOLS
from albert_core.tokenization.text import preprocess_text_as_hugging_face, preprocess_texts
from albert_core.tokenization.wordpiece import read_pieces

WORD_PIECES = (
    *("[PAD]", "the", "[UNK]", "[CLS]", "[MASK]", "[SEP]", "北", "京", "run", "runn", "##ning"),
    *("##n", "##ing", ",", "$", "cafe", "##s", "a", "##a", "1", "##9", "\u2028"),
)
texts = st.text(alphabet="aceghinorstuABC 0123456789,.()$北京é–\t\u2028😀")


@pytest.fixture(
    scope="module", params=["sentencepiece", "sentencepiece as huggingface", "wordpiece"]
)
def any_tokenizer(request: pytest.FixtureRequest, tokenizer: SentencePieceTokenizer) -> Tokenizer:
    if request.param == "wordpiece":
        return WordPieceTokenizer(WORD_PIECES, lower_case=True)
    compat: Compat = "huggingface" if "huggingface" in request.param else "original"
    return SentencePieceTokenizer(tokenizer.model, lower_case=True, compat=compat)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\t spaces \n", "two spaces"),
        ("Crème Brûlée", "creme brulee"),
        ("ﬁne １２", "fine 12"),
        ("``quoted''", "``quoted''"),
        ("ΟΔΟΣ", "οδος"),
        ("हिन्दी", "हिनदी"),
        ("", ""),
    ],
)
def test_text_is_normalised(text: str, expected: str) -> None:
    assert preprocess_text(text, lower_case=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\t spaces \n", "two spaces"),
        ("Crème Brûlée", "creme brulee"),
        ("``quoted''", '"quoted"'),
        ("ΟΔΟΣ", "οδοσ"),
        ("हिन्दी", "हनद"),
    ],
)
def test_text_is_normalised_as_hugging_face_does(text: str, expected: str) -> None:
    assert preprocess_text_as_hugging_face(text, lower_case=True) == expected


def test_case_is_kept_when_asked() -> None:
    assert preprocess_text("Ångström", lower_case=False) == "Angstrom"
    assert preprocess_text_as_hugging_face("ΟΔΟΣ Ångström", lower_case=False) == "ΟΔΟΣ Angstrom"


@given(st.lists(texts, max_size=4))
def test_a_batch_is_its_texts(any_tokenizer: Tokenizer, batch: list[str]) -> None:
    assert any_tokenizer.encode_batch(batch) == [any_tokenizer.encode(text) for text in batch]
    assert any_tokenizer.tokenize_batch(batch) == [any_tokenizer.tokenize(text) for text in batch]


@given(texts)
def test_ids_are_those_of_the_pieces(any_tokenizer: Tokenizer, text: str) -> None:
    ids = {piece: index for index, piece in enumerate(any_tokenizer.pieces)}
    pieces, unknown = any_tokenizer.tokenize(text), any_tokenizer.special_ids.unknown
    assert any_tokenizer.encode(text) == [ids.get(piece, unknown) for piece in pieces]


@pytest.mark.parametrize("compat", ["original", "huggingface"])
@given(text=texts)
def test_pieces_cover_the_text(
    tokenizer: SentencePieceTokenizer, compat: Compat, text: str
) -> None:
    same = SentencePieceTokenizer(tokenizer.model, lower_case=True, compat=compat)
    joined = "".join(same.tokenize(text)).replace("▁", "")
    assert joined == same.preprocess(text).replace(" ", "")


@given(texts)
def test_word_pieces_cover_each_word_or_are_unknown(text: str) -> None:
    tokenizer = WordPieceTokenizer(WORD_PIECES, lower_case=True)
    for word in tokenizer.words(text):
        pieces = tokenizer.tokenize(word)
        covered = "".join(piece.removeprefix("##") for piece in pieces)
        assert covered == word or pieces == ["[UNK]"]


def test_word_starts_tell_pieces_that_begin_a_word(any_tokenizer: Tokenizer) -> None:
    word_starts = any_tokenizer.word_starts()
    assert (word_starts.dtype, word_starts.shape) == (np.dtype(bool), (len(any_tokenizer),))
    begin, go_on = {"▁the", "▁", ",", "1", "[UNK]", "the", "北"}, {"s", "e", "##s", "##ing"}
    for piece, starts in zip(any_tokenizer.pieces, word_starts, strict=True):
        assert starts or piece not in begin
        assert not (starts and piece in go_on)


def test_trained_vocabulary_begins_with_the_special_pieces(
    tokenizer: SentencePieceTokenizer,
) -> None:
    special = ["<pad>", "<unk>", *CONTROL_SYMBOLS, *USER_DEFINED_SYMBOLS]
    assert tokenizer.pieces[: len(special)] == special
    assert tokenizer.special_ids == SpecialIds(pad=0, unknown=1, cls=2, sep=3, mask=4)
    assert len(tokenizer) == 120


def test_characters_of_no_piece_stand_for_themselves(tokenizer: SentencePieceTokenizer) -> None:
    assert tokenizer.tokenize("the 北京") == ["▁the", "▁", "北京"]
    assert tokenizer.encode("the 北京")[-1] == tokenizer.special_ids.unknown


@pytest.mark.parametrize("text", ["[CLS]", "[SEP] [MASK]", "<pad> <unk>", "[PAD]"])
def test_special_pieces_in_a_text_are_text(any_tokenizer: Tokenizer, text: str) -> None:
    special = any_tokenizer.special_ids
    assert not {special.pad, special.cls, special.sep, special.mask} & {*any_tokenizer.encode(text)}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("running", ["runn", "##ing"]),
        ("Runs", ["run", "##s"]),
        ("runx", ["[UNK]"]),
        ("北京 CAFÉ,$1999", ["北", "京", "cafe", ",", "$", "1", "##9", "##9", "##9"]),
        ("the\u2028\u00adthe\u0000", ["the", "the"]),
        ("a" * 200, ["a", *["##a"] * 199]),
        ("a" * 201, ["[UNK]"]),
    ],
)
def test_words_are_cut_into_the_longest_pieces_from_the_left(text: str, pieces: list[str]) -> None:
    assert WordPieceTokenizer(WORD_PIECES, lower_case=True).tokenize(text) == pieces


def test_case_and_accents_of_words_are_kept_when_asked() -> None:
    assert WordPieceTokenizer(WORD_PIECES, lower_case=False).words("Café, 北A") == [
        *("Café", ",", "北", "A")
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.parametrize("first", ["", "\ufeff"])
def test_a_vocabulary_is_a_piece_a_line(line_end: str, last: str, first: str) -> None:
    text = first + line_end.join(WORD_PIECES) + last
    assert read_pieces(text.encode()) == list(WORD_PIECES)


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("compat", ["original", "huggingface"])
def test_saved_sentencepiece_tokenizer_comes_back(
    compat: Compat, lower_case: bool, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    saved = SentencePieceTokenizer(tokenizer.model, lower_case=lower_case, compat=compat)
    saved.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert isinstance(loaded, SentencePieceTokenizer)
    assert (loaded.model, loaded.lower_case, loaded.compat) == (saved.model, lower_case, compat)
    assert loaded.encode("The Dogs of 1,897") == saved.encode("The Dogs of 1,897")


@pytest.mark.parametrize("lower_case", [True, False])
def test_saved_wordpiece_tokenizer_comes_back(lower_case: bool, tmp_path: Path) -> None:
    WordPieceTokenizer(WORD_PIECES, lower_case=lower_case).save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert isinstance(loaded, WordPieceTokenizer)
    assert (loaded.pieces, loaded.lower_case) == (list(WORD_PIECES), lower_case)
    assert loaded.special_ids == SpecialIds(pad=0, unknown=2, cls=3, sep=5, mask=4)


def test_settings_given_win_over_the_folders(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path, lower_case=False, compat="huggingface")
    assert (loaded.lower_case, loaded.compat) == (False, "huggingface")


@pytest.mark.parametrize("name", ["30k-clean.model", "spiece.model"])
def test_folder_of_a_release_is_lower_cased_and_follows_the_original(
    name: str, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    for file in (name, "30k-clean.vocab", "albert_config.json", "model.ckpt-best.index"):
        (tmp_path / file).write_bytes(tokenizer.model)
    for loaded in (load_tokenizer(tmp_path), load_tokenizer(tmp_path / name)):
        assert (loaded.lower_case, loaded.compat) == (True, "original")
        assert loaded.encode("The dogs") == tokenizer.encode("the dogs")


@pytest.mark.parametrize("name", ["vocab.txt", "vocab_chinese.txt"])
def test_folder_of_a_chinese_release_has_words(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("\n".join(WORD_PIECES), encoding="utf-8")
    for loaded in (load_tokenizer(tmp_path), load_tokenizer(tmp_path / name)):
        assert loaded.tokenize("The 北京") == ["the", "北", "京"]


def test_folder_of_hugging_face_keeps_its_case(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "spiece.model").write_bytes(tokenizer.model)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')  # theirs, not ours
    loaded = load_tokenizer(tmp_path)
    assert (loaded.lower_case, loaded.compat) == (False, "original")
    assert load_tokenizer(tmp_path, lower_case=True).lower_case


@pytest.mark.parametrize(
    ("name", "key"), [("tokenizer_config.json", "do_lower_case"), (SETTINGS_NAME, "lower_case")]
)
def test_case_written_as_text_is_read_as_it_says(
    name: str, key: str, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "spiece.model").write_bytes(tokenizer.model)
    for value, expected in (("false", False), ("False", False), (0, False), ("true", True)):
        (tmp_path / name).write_text(json.dumps({key: value}))
        assert load_tokenizer(tmp_path).lower_case is expected
    (tmp_path / name).write_text(json.dumps({key: None}))
    with pytest.raises(InputError, match=f"got null as '{key}', expected true or false"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"no vocabulary there; expected one file named \*\.model or \*vocab\*\.txt"),
        ({"a.model": b"", "vocab.txt": b""}, r"got a\.model, vocab\.txt.*give the file's path"),
        ({"a.model": b"text"}, r"a\.model: not a SentencePiece model; got 4 bytes"),
        (
            {"vocab.txt": b"[PAD]\n[UNK]\n[CLS]"},
            r"vocab\.txt: got 3 pieces without \[SEP\], \[MASK",
        ),
        ({"vocab.txt": b"[PAD]\n\xff"}, r"vocab\.txt: not UTF-8 at byte 6"),
        ({"vocab.txt": b"[PAD]\n\nthe"}, r"vocab\.txt: line 2 is empty"),
        (
            {"vocab.txt": "\n".join([*WORD_PIECES, "the"]).encode()},
            r"piece 'the' as number 1 and 22",
        ),
        (
            {"a.model": b"", "tokenizer_settings.json": b"{"},
            r"settings\.json: not JSON .* a JSON object",
        ),
        (
            {"a.model": b"", "tokenizer_settings.json": b"[1]"},
            r"settings\.json: got a list, expected an object",
        ),
        (
            {"a.model": b"", "tokenizer_config.json": b'{"remove_space": false}'},
            "remove_space=False",
        ),
        (
            {"a.model": b"", "tokenizer_config.json": b'{"keep_accents": null}'},
            "got null as 'keep_a",
        ),
        (
            {
                "vocab.txt": b"",
                "tokenizer_config.json": b'{"do_lower_case": false, "strip_accents": true}',
            },
            "got strip_accents=true with do_lower_case=false",
        ),
    ],
)
def test_unusable_folder_is_refused(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.model: no such file or folder; expected"):
        load_tokenizer(tmp_path / "absent.model")


def test_unknown_rules_are_refused(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    with pytest.raises(InputError, match="compat: got 'google', expected one of original, hugg"):
        load_tokenizer(tmp_path, compat="google")  # type: ignore[arg-type]


def test_rules_of_sentencepiece_are_refused_for_words(tmp_path: Path) -> None:
    WordPieceTokenizer(WORD_PIECES, lower_case=True).save(tmp_path)
    with pytest.raises(InputError, match=r"vocab\.txt: compat: got 'original', expected nothing"):
        load_tokenizer(tmp_path, compat="original")


def test_model_cut_anywhere_is_refused(tokenizer: SentencePieceTokenizer) -> None:
    length_of_pieces = 3000  # a cut between two of them loads in SentencePiece
    for length in (*range(length_of_pieces), len(tokenizer.model) - 1):
        with pytest.raises(InputError, match="SentencePiece model"):
            SentencePieceTokenizer(tokenizer.model[:length], lower_case=True)


def test_settings_are_written_as_json(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_settings.json").read_text(encoding="utf-8"))
    assert settings == {"lower_case": True, "strip_accents": True, "compat": "original"}


@pytest.mark.parametrize("compat", ["original", "huggingface"])
def test_flat_ids_are_those_of_the_texts(tokenizer, compat):
    own = SentencePieceTokenizer(tokenizer.model, lower_case=True, compat=compat)
    texts = [*"The tide is late.", "", "  in  1897,  12,400, Á ", "x" * 50, "1999, 2000,"] * 700
    pieces, lengths = own.encode_flat(texts)
    encoded = own.encode_batch(texts)
    assert lengths.tolist() == [len(ids) for ids in encoded]
    assert pieces.tolist() == [index for ids in encoded for index in ids]
    assert own.encode_flat([])[0].tolist() == []


@given(
    st.lists(st.text(alphabet="aA é\u0301\u00a0\t\nΣ\u00a8\u1e9b\u2028ß ", max_size=9), max_size=4)
)
def test_many_texts_are_preprocessed_like_one(texts):
    expected = [
        "".join(
            char
            for char in unicodedata.normalize("NFKD", " ".join(text.split()))
            if not unicodedata.combining(char)
        ).lower()
        for text in texts
    ]
    assert preprocess_texts(texts, lower_case=True) == expected
