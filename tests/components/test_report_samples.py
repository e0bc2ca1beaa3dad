"""Which word of a held-out text is masked, in scripts with and without spaces."""

import numpy as np
import pytest

from albert_core.records.compact import token_dtype
from albert_core.records.example_encoder import encode_examples
from albert_core.records.tfrecord import write_tfrecords
from albert_core.tokenization import WordPieceTokenizer
from components.report.samples import NUM_SAMPLES, _held_out_texts, _masked_texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "ship", "harbour", "sail", "##s"]
WORDS += ["slow", "##ly", ".", "船", "海", "在", "上"]
TEXT = ["the", "ship", "sail", "##s", "the", "harbour", ".", "the", "ship", "."]


@pytest.fixture
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.from_bytes("\n".join(WORDS).encode(), lower_case=True)


def test_the_longest_whole_word_of_the_middle_is_masked(tokenizer):
    ((before, word, after),) = _masked_texts(tokenizer, iter([TEXT]))
    assert (before, word) == ("the ship sails the ", "harbour")
    assert after == " . the ship ."
    # Cut words are none, and short texts say too little.
    assert not list(_masked_texts(tokenizer, iter([["sail", "##s"] * 5, TEXT[:5]])))


def test_any_character_of_a_script_without_spaces_is_a_word(tokenizer):
    ((_, word, _),) = _masked_texts(tokenizer, iter([["船", "在", "海", "上", "船", "在"]]))
    assert word in "在海上船"


def write_held_out(path, tokens, count):
    ids = np.array([WORDS.index(token) for token in tokens], token_dtype(len(WORDS)))
    columns = {
        "pieces": (np.tile(ids, count).view(np.uint8), ids.nbytes * np.arange(1, count + 1)),
        "first_length": np.full((count, 1), 8),
    }
    write_tfrecords(path, encode_examples(columns))


def test_of_several_files_the_first_400_records_are_read(tokenizer, tmp_path):
    later = TEXT[::-1]
    for number, (tokens, count) in enumerate([(TEXT, 300), (TEXT, 100), (later, 200)]):
        write_held_out(tmp_path / f"held_out-{number:05d}-of-00003.tfrecord", tokens, count)
    texts = list(_held_out_texts(tmp_path, tokenizer))
    assert texts == [TEXT[:8]] * (2 * NUM_SAMPLES)


def test_texts_are_held_out_ones_evenly_spread(tokenizer, tmp_path):
    write_held_out(tmp_path / "held_out-00000-of-00001.tfrecord", TEXT, 100)
    texts = list(_held_out_texts(tmp_path, tokenizer))
    assert texts[0] == TEXT[:8]
    assert NUM_SAMPLES <= len(texts) <= 100
    assert len(list(_masked_texts(tokenizer, iter(texts)))) == NUM_SAMPLES


def test_records_with_drawn_masks_give_no_texts(tokenizer, tmp_path):
    static = encode_examples({"input_ids": np.zeros((2, 4), np.int64)})
    write_tfrecords(tmp_path / "held_out-00000-of-00001.tfrecord", static)
    assert not list(_held_out_texts(tmp_path, tokenizer))
