"""The vocabulary step: the original's pieces, the run-time text, the same bytes each time."""

import itertools
import random

import pytest
import sentencepiece

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.tokenization import load_tokenizer
from components.vocab.step import VocabConfig, train_vocab

SYLLABLES = ["ka", "lo", "mi", "tu", "re", "sha", "bon", "quer", "st", "é"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = random.Random(3)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(400)]
    lines = [" ".join(rng.choices(words, k=9)).capitalize() + "." for _ in range(800)]
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return CorpusConfig(files=(str(path),))


def test_special_pieces_have_the_ids_of_the_released_models(corpus, tmp_path):
    train_vocab(corpus=corpus, config=VocabConfig(size=200), output=tmp_path / "vocab")
    expected = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", *'()"-.–£€']
    assert load_tokenizer(tmp_path / "vocab").pieces[:13] == expected


def test_a_plain_sentencepiece_processor_reads_the_model(corpus, tmp_path):
    train_vocab(corpus=corpus, config=VocabConfig(size=200), output=tmp_path / "vocab")
    model = str(tmp_path / "vocab" / "spiece.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=model)
    tokenizer = load_tokenizer(tmp_path / "vocab")
    assert len(processor) == 200
    assert processor.encode("kalo mitu") == tokenizer.encode("Kalo  Mitú")


def test_text_is_lower_cased_and_stripped_of_accents_before_training(corpus, tmp_path):
    train_vocab(corpus=corpus, config=VocabConfig(size=200), output=tmp_path / "vocab")
    pieces = load_tokenizer(tmp_path / "vocab").pieces[13:]
    assert not [piece for piece in pieces if piece != piece.lower() or "é" in piece]


def test_case_is_kept_when_asked(corpus, tmp_path):
    config = VocabConfig(size=220, lower_case=False)
    train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab")
    tokenizer = load_tokenizer(tmp_path / "vocab")
    assert tokenizer.encode("Kalo") != tokenizer.encode("kalo")


@pytest.mark.parametrize("max_sentences", [1_000_000, 300])
def test_the_same_corpus_gives_the_same_bytes(corpus, tmp_path, max_sentences):
    config = VocabConfig(size=150, max_sentences=max_sentences)
    first, second = (
        train_vocab(corpus=corpus, config=config, output=tmp_path / name) for name in "ab"
    )
    assert first.content_hash == second.content_hash


def test_the_report_describes_the_vocabulary(corpus, tmp_path):
    config = VocabConfig(size=200)
    figures = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").figures
    assert figures["vocab_size"] == 200
    assert figures["unknown_share"] == 0
    assert 1 < figures["pieces_per_word"] < 6


@pytest.mark.parametrize("size", [100_000, 15])
def test_a_size_the_text_cannot_give_is_refused(corpus, tmp_path, size):
    with pytest.raises(InputError, match=rf"vocab\.size: got {size}, expected "):
        train_vocab(corpus=corpus, config=VocabConfig(size=size), output=tmp_path / "vocab")
    assert not list(itertools.chain(tmp_path.iterdir()))
