"""Tokenizers inside a TensorFlow graph: the same pieces as in Python, and where they lie."""

import random
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from albert_core.exports.raw_text import GraphTokenizer
from albert_core.tokenization import (
    SentencePieceTokenizer,
    Tokenizer,
    WordPieceTokenizer,
)

# Characters that depend on their neighbours, vanish, decompose, or are in none of the vocabularies.
PECULIAR = [*"ΣςσaAz.,'`\"  \t\n:·ªʰÅİ½中１２▁🙂-(Ǆ가ﬁ", "1,000", "1999,", "```", "''"]
PECULIAR += [chr(code) for code in (0, 0xA0, 0xAD, 0x301, 0x345, 0x5B0, 0x2019, 0x200D, 0x1D6BA)]
MARKED, SORTED = "a\u302e\u1b44", "a\u1b44\u302e"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abz1,.中", "##a", "##b", "##ab", "##1"]
PIECES += [MARKED, SORTED]
# All below the ideographs and the last blocks of the first plane, and a sample of the others.
CODES = [*range(0x3400), *range(0x3400, 0xD800, 97), *range(0xF900, 0x10000)]
CODES += [*range(0x10000, 0x20000, 7), *range(0x20000, sys.maxunicode + 1, 397)]
KINDS = (
    "original",
    "cased",
    "huggingface",
    "wordpiece",
    "cased wordpiece",
    "accents",
    "accents wordpiece",
)


@pytest.fixture(scope="module")
def graph_tokenizers() -> dict[str, tuple[Tokenizer, GraphTokenizer]]:
    return {}


@pytest.fixture(params=KINDS)
def pair(
    request: pytest.FixtureRequest,
    tokenizer: SentencePieceTokenizer,
    graph_tokenizers: dict[str, tuple[Tokenizer, GraphTokenizer]],
) -> tuple[Tokenizer, GraphTokenizer]:
    """A tokenizer of each kind, and the same for a graph."""
    kind = request.param
    if kind not in graph_tokenizers:
        settings = {
            "lower_case": not kind.startswith("cased"),
            "strip_accents": not kind.startswith("accents"),
        }
        own: Tokenizer = WordPieceTokenizer(PIECES, **settings)
        if "wordpiece" not in kind:
            compat = "huggingface" if kind in ("huggingface", "accents") else "original"
            own = SentencePieceTokenizer(tokenizer.model, compat=compat, **settings)
        graph_tokenizers[kind] = own, GraphTokenizer(own, with_offsets=True)
    return graph_tokenizers[kind]


def mixed_texts(count: int, longest: int = 30) -> list[str]:
    rng = random.Random(7)
    anything = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    return [
        "".join(
            rng.choice(PECULIAR if rng.random() < 0.8 else anything)
            for _ in range(rng.randrange(longest))
        )
        for _ in range(count)
    ]


def graph_ids(graph: GraphTokenizer, texts: list[str]) -> list[list[int]]:
    return graph.encode(tf.constant(texts)).to_list()


def test_every_character_is_normalised_alike(pair: tuple[Tokenizer, GraphTokenizer]) -> None:
    own, graph = pair
    texts = [f"a{chr(code)}z" for code in CODES]
    codes, rows, _ = graph._normalized(tf.constant(texts))
    ragged = tf.RaggedTensor.from_value_rowids(codes, rows, nrows=len(texts))
    found = [text.decode() for text in tf.strings.unicode_encode(ragged, "UTF-8").numpy()]
    if isinstance(own, WordPieceTokenizer):
        found = [" ".join(text.split()) for text in found]
    different = [
        (text, normal)
        for text, normal in zip(texts, found, strict=True)
        if normal != own.preprocess(text)
    ]
    assert not different


def test_peculiar_texts_have_the_same_ids(pair: tuple[Tokenizer, GraphTokenizer]) -> None:
    """But for the order of equally likely pieces, which is what the module says."""
    own, graph = pair
    texts = ["", " ", "▁", "ab" * 100, "ab" * 101, "я" * 200, *mixed_texts(1500)]
    expected, found = own.encode_batch(texts), graph_ids(graph, texts)
    different = [
        (text, ours, theirs)
        for text, ours, theirs in zip(texts, expected, found, strict=True)
        if ours != theirs
    ]
    assert len(different) <= len(texts) // 500
    for text, ours, theirs in different:
        assert not isinstance(own, WordPieceTokenizer), text
        assert Counter(ours) == Counter(theirs), text


def test_pieces_lie_where_their_characters_are(pair: tuple[Tokenizer, GraphTokenizer]) -> None:
    own, graph = pair
    text = "  bab  Ab,\u00a0ＡＢ ábz "
    pieces = graph.encode_with_offsets(tf.constant(["", text]))
    assert pieces.ids.numpy().tolist() == own.encode(text)
    assert pieces.row_splits.numpy().tolist() == [0, 0, len(pieces.ids)]
    places = zip(pieces.begins.numpy(), pieces.ends.numpy(), strict=True)
    shown = [text[begin:end] for begin, end in places]
    assert all(shown)
    for surface, part in zip(own.surfaces([own.pieces[i] for i in pieces.ids]), shown, strict=True):
        if surface.strip() and own.token_ids([surface])[0] != own.special_ids.unknown:
            # The model itself decomposes what is not decomposed before, where accents are kept.
            normal = unicodedata.normalize("NFKC", own.preprocess(part))
            assert surface.split() == normal.split()


def test_the_comma_of_a_number_has_its_own_place(tokenizer: SentencePieceTokenizer) -> None:
    short = next(piece for piece in tokenizer.pieces if len(piece) == 2 and piece.isascii())
    model = tokenizer.model.replace(b"\x02" + short.encode(), b"\x021,", 1)
    own = SentencePieceTokenizer(model, lower_case=True)
    assert own.split_ids
    pieces = GraphTokenizer(own, with_offsets=True).encode_with_offsets(tf.constant(["no 1, is"]))
    assert pieces.ids.numpy().tolist() == own.encode("no 1, is")
    places = zip(pieces.ids.numpy(), pieces.begins.numpy(), pieces.ends.numpy(), strict=True)
    assert (own.pieces.index(","), 4, 5) in list(places)


def test_bytes_that_are_no_utf_8_are_unknown_characters(
    pair: tuple[Tokenizer, GraphTokenizer],
) -> None:
    own, graph = pair
    ids = graph.encode(tf.constant([b"a\xff\xfez", b"\xe4\xb8"])).to_list()
    assert ids == own.encode_batch(["a\ufffd\ufffdz", "\ufffd"])


def test_spacing_marks_with_classes_keep_their_order(
    pair: tuple[Tokenizer, GraphTokenizer],
) -> None:
    """Python sorts them, where it drops accents for WordPiece: here 224 behind 9."""
    own, graph = pair
    if isinstance(own, WordPieceTokenizer) and not own.keeps_accents:
        assert graph_ids(graph, [MARKED]) == [own.token_ids([MARKED])]
        assert own.encode(MARKED) == own.token_ids([SORTED])
    else:
        assert graph_ids(graph, [MARKED]) == [own.encode(MARKED)]


def test_places_of_characters_survive_folding(
    pair: tuple[Tokenizer, GraphTokenizer],
) -> None:
    own, graph = pair
    if isinstance(own, WordPieceTokenizer):
        pytest.skip("white space is dropped with the words, not folded")
    codes, rows, places = graph._normalized(tf.constant([" ½  ﬁx\n", "", "\u0301σ"]))
    if own.keeps_accents:
        assert "".join(map(chr, codes.numpy())) == "½ ﬁx\u0301σ"
        np.testing.assert_array_equal(places, [1, 2, 4, 5, 0, 1])
        np.testing.assert_array_equal(rows, [0, 0, 0, 0, 2, 2])
        return
    assert "".join(map(chr, codes.numpy())) == "1⁄2 fixσ"
    np.testing.assert_array_equal(places, [1, 1, 1, 2, 4, 4, 5, 1])
    np.testing.assert_array_equal(rows, [0, 0, 0, 0, 0, 0, 0, 2])
