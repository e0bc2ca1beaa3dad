"""The records step: the same bytes however the text lies, nothing lost, nothing leaked."""

import random

import numpy as np
import pytest
from tiny_run import write_corpus

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.records.compact import piece_dtype
from albert_core.records.config import RecordsConfig
from albert_core.records.tfrecord import parse_example, read_tfrecords
from albert_core.tokenization import load_tokenizer
from components.records.step import make_records
from components.vocab.config import VocabConfig
from components.vocab.step import train_vocab

CONFIG = RecordsConfig(sequence_length=24, held_out_share=0.2, num_shards=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    write_corpus(folder / "corpus", num_documents=120)
    corpus = corpus_of(folder)
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    make_records(corpus=corpus, vocab=folder / "vocab", config=CONFIG, output=folder / "whole")
    return folder


def corpus_of(folder):
    return CorpusConfig(files=(str(folder / "corpus"),))


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord"))}


def pieces_in(folder, pattern):
    return [
        np.frombuffer(parse_example(record)["pieces"][0], piece_dtype(60))
        for path in sorted(folder.glob(pattern))
        for record in read_tfrecords(path)
    ]


def test_the_bytes_do_not_depend_on_how_the_corpus_is_split_and_ordered(folder, tmp_path):
    documents = (folder / "corpus" / "text.txt").read_text().split("\n\n")
    random.Random(5).shuffle(documents)
    for number in range(4):
        part = documents[number::4]
        (tmp_path / f"{number}.txt").write_text("\r\n\r\n".join(part).replace("\n", "\r\n"))
    corpus = CorpusConfig(files=tuple(str(tmp_path / f"{n}.txt") for n in (2, 0, 3, 1)))
    output = tmp_path / "records"
    make_records(corpus=corpus, vocab=folder / "vocab", config=CONFIG, output=output)
    assert shards(output) == shards(folder / "whole")


def test_another_seed_gives_other_records(folder, tmp_path):
    config = RecordsConfig(sequence_length=24, held_out_share=0.2, num_shards=3, seed=7)
    make_records(
        corpus=corpus_of(folder), vocab=folder / "vocab", config=config, output=tmp_path / "other"
    )
    assert shards(tmp_path / "other") != shards(folder / "whole")


def test_figures_agree_with_the_shards(folder, tmp_path):
    manifest = make_records(
        corpus=corpus_of(folder), vocab=folder / "vocab", config=CONFIG, output=folder / "whole"
    )
    train = pieces_in(folder / "whole", "train-*.tfrecord")
    held_out = pieces_in(folder / "whole", "held_out-*.tfrecord")
    figures = manifest.figures
    assert figures["num_train_records"] == len(train)
    assert figures["num_held_out_records"] == len(held_out)
    counts = np.bincount(np.concatenate(held_out))
    assert figures["most_frequent_share"] == pytest.approx(counts.max() / counts.sum(), abs=1e-4)
    assert figures["num_documents"] + figures["num_duplicate_documents"] == 120


def test_every_record_is_text_of_the_corpus(folder):
    tokenizer = load_tokenizer(folder / "vocab")
    sentences = (folder / "corpus" / "text.txt").read_text().split("\n\n")
    texts = [
        " ".join(map(str, (i for line in d.splitlines() for i in tokenizer.encode(line))))
        for d in sentences
    ]
    for pieces in pieces_in(folder / "whole", "*.tfrecord"):
        assert len(pieces) <= 21
        record = " ".join(map(str, pieces))
        assert any(is_in_two_stretches(record, text) for text in texts)


def is_in_two_stretches(record, text):
    """Truncation may drop pieces between the segments: both stretches must be the document's."""
    words = record.split()
    cuts = (len(words), *range(1, len(words)))
    return any(
        f" {' '.join(words[:cut])} " in f" {text} " and f" {' '.join(words[cut:])}" in f" {text}"
        for cut in cuts
    )


def test_documents_too_short_for_a_pair_are_refused_when_there_are_no_others(folder, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("ship\n\nwave\n")
    corpus = CorpusConfig(files=(str(path),))
    with pytest.raises(InputError, match="2 documents gave no training record"):
        make_records(
            corpus=corpus, vocab=folder / "vocab", config=CONFIG, output=tmp_path / "records"
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["words.txt"]
