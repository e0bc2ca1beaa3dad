"""The vocabulary step: the original's pieces, the run-time text, the same bytes each time."""

import itertools
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import sentencepiece

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.sentencepiece_training import usable_sentences
from albert_core.tokenization.text import preprocess_text
from albert_core.tokenization.training_counts import TrainingCounts
from components.vocab.sample import example_sentences
from components.vocab.step import train_vocab

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize(("kind", "size"), [("sentencepiece", 38), ("wordpiece", 55)])
def test_accents_are_kept_when_asked(kind, size, tmp_path):
    (tmp_path / "de.txt").write_text("Die Füße grüßen schöne Straßen.\nÜber dem Fluß.\n" * 20)
    corpus = CorpusConfig(files=(str(tmp_path / "de.txt"),), language="de")
    config = VocabConfig(kind=kind, size=size, character_coverage=1.0, strip_accents=False)
    manifest = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab")
    assert (manifest.config["strip_accents"], manifest.config["language"]) == (False, "de")
    tokenizer = load_tokenizer(tmp_path / "vocab")
    assert "ü" in "".join(tokenizer.pieces)
    assert tokenizer.encode("Füße") != tokenizer.encode("Fuße")
    again = VocabConfig(kind=kind, size=size, source=str(tmp_path / "vocab"))
    with pytest.raises(InputError, match=r"vocab\.strip_accents: got True, expected False, as the"):
        train_vocab(corpus=corpus, config=again, output=tmp_path / "again")


def test_case_is_kept_when_asked(corpus, tmp_path):
    config = VocabConfig(size=220, lower_case=False)
    train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab")
    tokenizer = load_tokenizer(tmp_path / "vocab")
    assert tokenizer.encode("Kalo") != tokenizer.encode("kalo")


def test_sentences_of_the_corpus_are_kept_for_the_proof_of_exports(corpus, tmp_path):
    manifest = train_vocab(corpus=corpus, config=VocabConfig(size=200), output=tmp_path / "vocab")
    kept = (tmp_path / "vocab" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(kept)) == len(kept) == 200
    assert set(kept) <= set(Path(corpus.files[0]).read_text(encoding="utf-8").splitlines())
    assert "sentences.txt" in manifest.files
    assert example_sentences(["b  a", "", "b a", "x" * 2000]) == ["b a", "x" * 1000]


@pytest.mark.parametrize("kind", ["sentencepiece", "wordpiece"])
@pytest.mark.parametrize("memory_gb", [8.0, 0.0006])
def test_the_same_text_gives_the_same_bytes(corpus, tmp_path, kind, memory_gb):
    config = VocabConfig(kind=kind, size=90, memory_gb=memory_gb)
    lines = Path(corpus.files[0]).read_text().splitlines()
    for number, part in enumerate((lines[500:], lines[:200], lines[200:500])):
        (tmp_path / f"{number}.txt").write_text("\n".join(part))
    parts = CorpusConfig(files=(str(tmp_path / "*.txt"),))
    whole = train_vocab(corpus=corpus, config=config, output=tmp_path / "a")
    again = train_vocab(corpus=parts, config=config, output=tmp_path / "b")
    assert whole.content_hash == again.content_hash
    num_sentences = whole.metrics["num_training_sentences"]
    assert num_sentences == 800 if memory_gb == 8 else 200 < num_sentences < 600


def test_wordpiece_gives_the_same_bytes_in_every_process(corpus, tmp_path):
    """The trainer's hash tables differ from process to process."""
    code = (
        "import sys; from albert_core.corpus import CorpusConfig as C; "
        "from albert_core.tokenization.config import VocabConfig as V; "
        "from components.vocab.step import train_vocab; "
        "train_vocab(corpus=C(files=(sys.argv[1],)), config=V(kind='wordpiece', size=120), "
        "output=sys.argv[2])"
    )
    for seed in "123":
        command = [sys.executable, "-c", code, corpus.files[0], str(tmp_path / seed)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed})
    texts = {(tmp_path / seed / "vocab.txt").read_bytes() for seed in "123"}
    assert len(texts) == 1


def test_wordpiece_has_every_character_at_the_beginning_and_inside_of_words(tmp_path):
    (tmp_path / "zh.txt").write_text("我们在unhappy的船上。\n船长说happily走了！\n" * 20)
    corpus = CorpusConfig(files=(str(tmp_path / "zh.txt"),))
    config = VocabConfig(kind="wordpiece", size=36, character_coverage=1.0)
    metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").metrics
    tokenizer = load_tokenizer(tmp_path / "vocab")
    assert tokenizer.pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert metrics["special_ids"] == {p: i for i, p in enumerate(tokenizer.pieces[:5])}
    assert metrics["unknown_fraction"] == 0
    assert metrics["character_coverage"] == 1
    assert tokenizer.tokenize("船上的y")[:3] == ["船", "上", "的"]
    assert tokenizer.tokenize("豚") == ["[UNK]"]


def test_rare_characters_are_left_to_the_unknown_piece(tmp_path):
    (tmp_path / "text.txt").write_text("a few words in a row\n" * 999 + "ж\n")
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    config = VocabConfig(kind="wordpiece", size=30, character_coverage=0.999)
    metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").metrics
    assert 0.999 < metrics["character_coverage"] < 1
    assert 0 < metrics["unknown_fraction"] < 0.001


def test_the_report_describes_the_vocabulary(corpus, tmp_path):
    config = VocabConfig(size=200)
    metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").metrics
    assert metrics["vocab_size"] == 200
    assert metrics["unknown_fraction"] == 0
    assert 1 < metrics["tokens_per_word"] < 6


@pytest.mark.parametrize("kind", ["sentencepiece", "wordpiece"])
@pytest.mark.parametrize("size", [100_000, 15])
def test_a_size_the_text_cannot_give_is_refused(corpus, tmp_path, kind, size):
    config = VocabConfig(kind=kind, size=size)
    with pytest.raises(
        InputError, match=rf"vocab\.size: got {size}, expected at (most|least)|more"
    ):
        train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab")
    assert not list(itertools.chain(tmp_path.iterdir()))


LONG = {
    "spaced": "the sea rises and falls twice a day " * 150,
    "thai": "\u0e01\u0e32\u0e23\u0e40\u0e23\u0e35\u0e22\u0e19\u0e23\u0e39\u0e49" * 500,
    "korean": "\ud55c\uad6d\uc5b4\ub97c\uacf5\ubd80\ud569\ub2c8\ub2e4" * 400,
    "hindi": "\u0939\u093f\u0928\u094d\u0926\u0940" * 500,
}


@pytest.mark.parametrize("name", LONG)
def test_sentences_that_the_trainer_would_drop_are_cut_and_counted(tmp_path, name):
    (tmp_path / "text.txt").write_text(f"{LONG[name]}\n{LONG[name]}\n", encoding="utf-8")
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    size = 14 + len(set(LONG[name]))
    metrics = train_vocab(
        corpus=corpus, config=VocabConfig(size=size), output=tmp_path / "vocab"
    ).metrics
    assert metrics["irregularities"]["num_divided_sentences"] == 2
    assert metrics["unknown_fraction"] == 0
    assert metrics["character_coverage"] == 1


@pytest.mark.parametrize("name", LONG)
def test_parts_of_a_long_sentence_are_the_sentence_and_split_no_character(name):
    counts = TrainingCounts()
    text = preprocess_text(LONG[name], lower_case=True)
    parts = list(usable_sentences([text, "", "short"], counts))
    assert counts.num_divided_sentences == 1
    assert "".join(parts).replace(" ", "") == text.replace(" ", "") + "short"
    assert max(len(part.encode()) for part in parts) <= 4192
    assert all(part == part.strip() for part in parts)
    for part in parts[1:]:
        assert not unicodedata.combining(part[0])
        assert not "\u1160" <= part[0] <= "\u11ff"


def test_a_sign_that_the_trainer_reserves_costs_no_sentence(corpus, tmp_path):
    lines = Path(corpus.files[0]).read_text().splitlines()
    (tmp_path / "text.txt").write_text("\n".join(f"{line} \u2585" for line in lines))
    marked = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    config = VocabConfig(size=200)
    metrics = train_vocab(corpus=marked, config=config, output=tmp_path / "marked").metrics
    assert metrics["irregularities"] == {"num_replaced_characters": 800}
    train_vocab(corpus=corpus, config=config, output=tmp_path / "plain")
    pieces = [set(load_tokenizer(tmp_path / name).pieces) for name in ("marked", "plain")]
    assert len(pieces[0] & pieces[1]) > 150


def test_coverage_is_that_of_the_text_as_it_is_encoded(tmp_path):
    text = "\ud55c\uad6d\uc5b4\ub97c \uacf5\ubd80\ud569\ub2c8\ub2e4.\n"
    (tmp_path / "text.txt").write_text(text * 50, encoding="utf-8")
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    for kind in ("sentencepiece", "wordpiece"):
        config = VocabConfig(kind=kind, size=23 if kind == "sentencepiece" else 44)
        metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / kind).metrics
        assert metrics["unknown_fraction"] == 0
        assert metrics["character_coverage"] == 1


def test_coverage_counts_the_letters_of_unknown_words(tmp_path):
    (tmp_path / "text.txt").write_text("abcd efgh\n" * 50 + f"{'a' * 300} abcd\n" * 50)
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    config = VocabConfig(kind="wordpiece", size=24)
    metrics = train_vocab(corpus=corpus, config=config, output=tmp_path / "vocab").metrics
    assert metrics["character_coverage"] == pytest.approx(12 / 312, abs=1e-6)


def test_what_is_left_out_is_counted_and_said(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("a few words in a row\n" * 999 + "\u0436 \0x\n")
    (tmp_path / "text/b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    corpus = CorpusConfig(files=(str(tmp_path / "text"),))
    config = VocabConfig(kind="wordpiece", size=30, character_coverage=0.999, memory_gb=5e-4)
    said: list[str] = []
    metrics = train_vocab(
        corpus=corpus,
        config=config,
        output=tmp_path / "vocab",
        progress=lambda _, __, text: said.append(text),
    ).metrics
    assert metrics["irregularities"] == {
        "num_left_out_files": 1,
        "num_sentences_not_sampled": 1000 - metrics["num_training_sentences"],
        "num_control_characters": 1,
    } | ({"num_uncovered_words": 2} if "num_uncovered_words" in metrics["irregularities"] else {})
    assert any("left out 1 files that are no text" in text for text in said)
    assert any("1 control characters removed" in text for text in said)


def test_a_trainer_that_fails_says_so_in_a_line(tmp_path):
    (tmp_path / "text.txt").write_text("\u2585\n" * 9)
    corpus = CorpusConfig(files=(str(tmp_path / "text.txt"),))
    for kind in ("sentencepiece", "wordpiece"):
        with pytest.raises(InputError) as refusal:
            train_vocab(
                corpus=corpus, config=VocabConfig(kind=kind, size=60), output=tmp_path / "vocab"
            )
        assert "vocab" in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_the_coverage_of_a_vocabulary_that_is_not_trained_is_refused():
    with pytest.raises(InputError, match=r"character_coverage: got 0\.99 with vocab\.source"):
        VocabConfig(source="vocab", character_coverage=0.99)
