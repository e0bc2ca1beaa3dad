"""The exported tokenizer.json gives the ids of this program, with and without masks."""

import json
import random

import pytest
import tokenizers
from conftest import SENTENCES

from albert_core.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from albert_core.tokenization.masked import MASK, encode_masked

MASKED = (
    "text [MASK]. more", "[MASK]. more", "[MASK]", " [MASK] ", "[MASK][MASK]", "[MASK] [MASK].",
    "the [MASK], and [MASK]; end", "a[MASK]b", "un[MASK]able", "[MASK]ing the", "(see [MASK])",
    '"[MASK]" he said', "``[MASK]'' so", "''[MASK]``", "£[MASK] or €[MASK]", "1,[MASK],000",
    "[MASK],000", "[MASK]'s dog", "it's [MASK]!", "what [MASK]...", "[MASK]-based", "non-[MASK]",
    "e.g. [MASK].com", "über [MASK]ä", "Москва [MASK]. Да", "北京[MASK]大学。", "北京 [MASK]。",
    "نص [MASK]، آخر", "हिन्दी [MASK]। नमस्ते", "한국[MASK]은", "ไทย[MASK]ครับ", "ΟΔΟΣ[MASK]ΑΣ",
    "x\u00a0[MASK]\u00a0y", "x\t[MASK]\n.", "x [MASK]\u3000.", "x [MASK]\u200b.",
    "x [MASK]\u200by", "x [MASK]\u0301e", "▁[MASK]▁a", "[MASK]ﬁne", "½[MASK]½", "😀[MASK]😀",
    "  lead [MASK]  trail  ",
)  # fmt: skip
UNMASKED = (
    *SENTENCES, "", " ", "  two  spaces ", "``Quoted'' and ''so''", "'''", "\u0301stray", "\ufeffx",
    "\u00adsoft", "\x01control", "[mask] is text", "\ufdd0 is none",
)  # fmt: skip
PARTS = (
    "the", "bread", "12,400", ".", ",", " ", "  ", "(", "-", MASK, MASK, "é", "北", "ing", "'",
    "''", "``", "\u0301", "\u200b", "▁", "и", "!",
)  # fmt: skip


@pytest.fixture(params=[True, False])
def ours(
    request: pytest.FixtureRequest, tokenizer: SentencePieceTokenizer
) -> SentencePieceTokenizer:
    """The rules of transformers, for lower-cased and for cased text."""
    return SentencePieceTokenizer(tokenizer.model, lower_case=request.param, compat="huggingface")


@pytest.fixture
def theirs(ours: SentencePieceTokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(ours.hugging_face_json()))


def made_up_texts(count: int) -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices(PARTS, k=rng.randint(1, 9))) for _ in range(count)]


def test_texts_with_masks_have_the_same_ids(
    ours: SentencePieceTokenizer, theirs: tokenizers.Tokenizer
) -> None:
    for text in (*MASKED, *UNMASKED, *made_up_texts(500)):
        found = theirs.encode(text, add_special_tokens=False)
        assert found.ids == encode_masked(ours, text), text
        assert found.tokens.count(MASK) == text.count(MASK)


def test_texts_without_masks_have_the_ids_of_the_tokenizer(
    ours: SentencePieceTokenizer, theirs: tokenizers.Tokenizer
) -> None:
    for text in UNMASKED:
        assert theirs.encode(text, add_special_tokens=False).ids == ours.encode(text), text


def test_pairs_and_their_text(theirs: tokenizers.Tokenizer, ours: SentencePieceTokenizer) -> None:
    found = theirs.encode("the [MASK]. dogs", "apples")
    cls, sep, mask = (getattr(ours.special_ids, name) for name in ("cls", "sep", "mask"))
    first, end = ours.encode("the"), ours.encode_continuation(". dogs")
    second = ours.encode("apples")
    assert found.ids == [cls, *first, mask, *end, sep, *second, sep]
    assert found.type_ids == [0] * (len(first) + len(end) + 3) + [1] * (len(second) + 1)
    text = theirs.decode(found.ids, skip_special_tokens=False)
    assert text == "[CLS] the[MASK]. dogs[SEP] apples[SEP]"
    assert theirs.id_to_token(mask) == MASK


def test_what_follows_a_mask_is_as_in_pretraining(tokenizer: SentencePieceTokenizer) -> None:
    """A mask stands for the last token of a word; what comes next stays as it was."""
    stop = tokenizer.encode("door.")[len(tokenizer.encode("door")) :]
    mask = tokenizer.special_ids.mask
    assert tokenizer.tokenize("door.")[-1] == "."
    assert encode_masked(tokenizer, "the [MASK].") == [*tokenizer.encode("the"), mask, *stop]


def test_a_continuation_has_no_mark_unless_it_begins_with_white_space(
    tokenizer: SentencePieceTokenizer,
) -> None:
    for text in ("the", "ing", ".", "", "12,400 crates"):
        ids = tokenizer.encode_continuation(text)
        surface = "".join(tokenizer.pieces[index] for index in ids)
        assert surface == text.replace(" ", "▁")
        for space in (" ", "\u00a0", "\u200b", "\u0301 "):
            assert tokenizer.encode_continuation(space + text) == tokenizer.encode(text)


def test_words_of_word_pieces_have_the_same_ids_behind_a_mask() -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "天", "气", "un", "##able", "able", "."]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    ours = WordPieceTokenizer(pieces, lower_case=True)
    theirs = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=True)
    for text in ("天[MASK]气.", "un[MASK]able", "[MASK]ABLE", "[MASK] [MASK].", "unable[MASK]."):
        found = theirs.encode(text, add_special_tokens=False).ids
        assert found == encode_masked(ours, text), text
