"""The records step: the same bytes however the text lies, nothing lost, nothing leaked."""

import dataclasses
import json
import random
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError
from albert_core.records.compact import token_dtype
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.documents import (
    HELD_OUT_SHARD,
    choose_shard,
    find_held_out_fraction,
)
from albert_core.records.rng import document_key
from albert_core.records.tfrecord import parse_example, read_tfrecords
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.records.size_estimate import SizeEstimate, refuse_full_disk
from components.records.step import make_records
from components.vocab.step import train_vocab
from tests.helpers.tiny_run import write_corpus

CONFIG = RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3)
STATIC = dataclasses.replace(CONFIG, format="static")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    write_corpus(folder / "corpus", num_documents=120)
    corpus = corpus_config(folder)
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    make(folder, folder / "whole")
    return folder


def corpus_config(folder):
    return CorpusConfig(files=(str(folder / "corpus"),))


def make(folder, output, *, config=CONFIG, corpus=None, **options):
    return make_records(
        corpus=corpus or corpus_config(folder),
        vocab=folder / "vocab",
        config=config,
        output=output,
        **options,
    )


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord"))}


def examples_in(folder, pattern="*.tfrecord"):
    return [
        parse_example(record)
        for path in sorted(folder.glob(pattern))
        for record in read_tfrecords(path)
    ]


def pieces_in(folder, pattern="*.tfrecord"):
    examples = examples_in(folder, pattern)
    return [np.frombuffer(example["pieces"][0], token_dtype(60)) for example in examples]


def corpus_documents(folder):
    return (folder / "corpus" / "text.txt").read_text().strip().split("\n\n")


@pytest.mark.parametrize("num_files", [4, 50])
def test_the_bytes_do_not_depend_on_how_the_corpus_is_split_and_ordered(
    folder, tmp_path, num_files
):
    documents = corpus_documents(folder)
    random.Random(5).shuffle(documents)
    numbers = list(range(num_files))
    for number in numbers:
        part = documents[number::num_files]
        (tmp_path / f"{number}.txt").write_text("\r\n\r\n".join(part).replace("\n", "\r\n"))
    random.Random(6).shuffle(numbers)
    corpus = CorpusConfig(files=tuple(str(tmp_path / f"{n}.txt") for n in numbers))
    for config, output in ((CONFIG, "compact"), (STATIC, "static")):
        make(folder, tmp_path / output, config=config, corpus=corpus)
    assert shards(tmp_path / "compact") == shards(folder / "whole")
    make(folder, tmp_path / "static_whole", config=STATIC)
    assert shards(tmp_path / "static") == shards(tmp_path / "static_whole")


@pytest.mark.parametrize("config", [CONFIG, STATIC])
def test_another_seed_gives_other_records(folder, tmp_path, config):
    make(folder, tmp_path / "first", config=config)
    make(folder, tmp_path / "other", config=dataclasses.replace(config, seed=7))
    first, other = shards(tmp_path / "first"), shards(tmp_path / "other")
    assert all(first[name] != other[name] for name in first)


def test_figures_agree_with_the_shards(folder):
    metrics = make(folder, folder / "whole").metrics
    train = pieces_in(folder / "whole", "train-*.tfrecord")
    held_out = pieces_in(folder / "whole", "held_out-*.tfrecord")
    assert metrics["num_train_records"] == len(train)
    assert metrics["num_held_out_records"] == len(held_out)
    counts = np.bincount(np.concatenate(held_out))
    assert metrics["most_frequent_fraction"] == pytest.approx(counts.max() / counts.sum(), abs=1e-4)
    assert metrics["num_documents"] == 120
    unique = len(set(corpus_documents(folder)))
    assert metrics["num_duplicate_documents"] == 120 - unique


def test_statistics_agree_with_static_shards(folder, tmp_path):
    metrics = make(folder, tmp_path / "static", config=STATIC).metrics
    examples = examples_in(tmp_path / "static")
    lengths = [sum(example["input_mask"]) for example in examples]
    num_masked = sum(sum(example["masked_lm_weights"]) for example in examples)
    labels = [example["next_sentence_labels"][0] for example in examples]
    assert metrics["num_records"] == len(examples)
    assert metrics["padding_fraction"] == pytest.approx(1 - np.mean(lengths) / 24, abs=1e-4)
    assert metrics["predicted_fraction"] == pytest.approx(num_masked / sum(lengths), abs=1e-4)
    assert metrics["not_in_order_fraction"] == pytest.approx(np.mean(labels), abs=1e-4)
    names = ("mask_token_fraction", "unchanged_fraction", "random_fraction")
    assert sum(metrics[name] for name in names) == pytest.approx(1, abs=1e-3)
    assert sum(metrics["run_length_fractions"]) == pytest.approx(1, abs=1e-3)


def test_tensorflow_parses_static_shards_with_the_specification_of_the_original(folder, tmp_path):
    import tensorflow as tf

    masking = MaskingConfig(permutation=True, max_predictions_per_sequence=5)
    config = dataclasses.replace(STATIC, masking=masking)
    make(folder, tmp_path / "static", config=config)
    integers = {
        **dict.fromkeys(("input_ids", "input_mask", "segment_ids", "token_boundary"), 24),
        **dict.fromkeys(("masked_lm_positions", "masked_lm_ids"), 10),
        "next_sentence_labels": 1,
    }
    schema = {name: tf.io.FixedLenFeature([size], tf.int64) for name, size in integers.items()}
    schema["masked_lm_weights"] = tf.io.FixedLenFeature([10], tf.float32)
    for path in sorted((tmp_path / "static").glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)):
            assert tf.io.parse_single_example(record, schema).keys() == schema.keys()
            assert len(tf.train.Example.FromString(record.numpy()).features.feature) == 8


def test_copies_of_a_document_are_cut_differently(folder, tmp_path):
    config = dataclasses.replace(CONFIG, dupe_factor=4, sequence_length=16)
    once = make(
        folder, tmp_path / "once", config=dataclasses.replace(config, dupe_factor=1)
    ).metrics["num_train_records"]
    make(folder, tmp_path / "copies", config=config)
    pairs = {
        (example["pieces"][0], example["first_length"][0])
        for example in examples_in(tmp_path / "copies", "train-*")
    }
    assert len(pairs) > 2.5 * once


def test_every_record_is_text_of_the_corpus(folder):
    tokenizer = load_tokenizer(folder / "vocab")
    texts = [
        " ".join(map(str, (i for line in d.splitlines() for i in tokenizer.encode(line))))
        for d in corpus_documents(folder)
    ]
    for pieces in pieces_in(folder / "whole"):
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


def test_duplicates_stay_when_asked(folder, tmp_path):
    (tmp_path / "twice.txt").write_text("\n\n".join(corpus_documents(folder) * 2) + "\n")
    corpus = CorpusConfig(files=(str(tmp_path / "twice.txt"),))
    once = make(folder, tmp_path / "once", corpus=corpus).metrics
    kept = make(
        folder, tmp_path / "kept", corpus=corpus, cleaning=CleaningConfig(deduplicate=False)
    ).metrics
    assert shards(tmp_path / "once") == shards(folder / "whole")
    assert kept["num_train_records"] > 1.8 * once["num_train_records"]


def test_documents_of_an_evaluation_set_are_removed_and_reported(folder, tmp_path):
    documents = corpus_documents(folder)
    leaked = " ".join(max(documents, key=len).split())
    (tmp_path / "dev.tsv").write_text(f"sentence\tlabel\n{leaked.upper()}\t1\nshort\t0\n")
    cleaning = CleaningConfig(
        evaluation_sets={"sst-2": (str(tmp_path / "dev.tsv"),)}, min_characters=60
    )
    metrics = make(folder, tmp_path / "records", cleaning=cleaning).metrics
    report = json.loads((tmp_path / "records" / "cleaning_report.json").read_text())
    removed = report["num_removed_documents"]
    short = sum(sum(map(len, document.split("\n"))) < 60 for document in documents)
    assert removed["too_short"] == short
    assert removed["overlap:sst-2"] >= 1
    assert metrics["num_removed_documents"] == sum(removed.values())
    assert metrics["num_overlapping_documents"] == removed["overlap:sst-2"]
    assert metrics["num_kept_documents"] == 120 - sum(removed.values())
    assert report["evaluation_sets"]["sst-2"]["num_removed_documents"] == removed["overlap:sst-2"]
    (example, *_) = report["examples"]["overlap:sst-2"]
    assert len(example["evidence"].split()) == 13
    assert example["text"].split()[0] in leaked


def test_a_disk_needs_no_room_for_work_that_is_in_a_shared_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000_000))
    sizes = {"num_text_bytes": 200_000_000, "num_records": 9, "num_record_bytes": 90_000_000}
    estimate = SizeEstimate(**sizes, num_work_bytes=20_000_000)
    with pytest.raises(
        InputError, match=r"100\.0 MB are free there, expected about 110\.0 MB for "
    ):
        refuse_full_disk(estimate, tmp_path)
    refuse_full_disk(estimate, tmp_path, shared_folder="gs://bucket/work")


def test_a_local_shared_folder_needs_room_for_the_work(tmp_path, monkeypatch):
    shared = tmp_path / "mnt" / "share"
    shared.parent.mkdir()
    free = {tmp_path: 100_000_000, shared.parent: 105_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    sizes = {"num_text_bytes": 200_000_000, "num_records": 9, "num_record_bytes": 90_000_000}
    refuse_full_disk(
        SizeEstimate(**sizes, num_work_bytes=15_000_000), tmp_path, shared_folder=str(shared)
    )
    with pytest.raises(InputError, match=rf"{shared}: 105\.0 MB are free there, expected .* 106"):
        refuse_full_disk(
            SizeEstimate(**sizes, num_work_bytes=16_000_000), tmp_path, shared_folder=str(shared)
        )


def test_the_estimate_is_about_right(folder, tmp_path):
    told = []
    metrics = make(
        folder, tmp_path / "records", progress=lambda _done, _all, text: told.append(text)
    ).metrics
    estimate = next(text for text in told if text.startswith("estimate"))
    num_records = int(estimate.split("about ")[1].split(" records")[0].replace(",", ""))
    expected = metrics["num_train_records"] + metrics["num_held_out_records"]
    assert num_records == pytest.approx(expected, rel=0.2)


def test_documents_too_short_for_a_pair_are_refused_when_there_are_no_others(folder, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("ship\n\nwave\n")
    with pytest.raises(InputError, match="2 documents gave no training record"):
        make(folder, tmp_path / "records", corpus=CorpusConfig(files=(str(path),)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["words.txt"]


def test_documents_without_text_for_the_vocabulary_do_no_harm(folder, tmp_path):
    text = "\n\n".join(["\u0301", *corpus_documents(folder), "\u200d"])
    (tmp_path / "odd.txt").write_text(text, encoding="utf-8")
    corpus = CorpusConfig(files=(str(tmp_path / "odd.txt"),))
    config = dataclasses.replace(CONFIG, random_next_sentence=True)
    metrics = make(folder, tmp_path / "records", corpus=corpus, config=config).metrics
    assert metrics["num_documents"] == 122


def corpus_of(tmp_path, *documents):
    (tmp_path / "text.txt").write_text("\n\n".join(documents) + "\n")
    return CorpusConfig(files=(str(tmp_path / "text.txt"),))


def test_one_document_is_told_with_what_makes_several(folder, tmp_path):
    corpus = corpus_of(tmp_path, "The ship sails.\nThe wave sinks.\nThe tram rings.")
    for fraction in (0.01, 0.99):
        config = dataclasses.replace(CONFIG, held_out_fraction=fraction)
        with pytest.raises(InputError, match=r"one document of two .* put a blank line behind"):
            make(folder, tmp_path / "records", config=config, corpus=corpus)


def test_a_fraction_that_keeps_none_or_all_is_told_with_one_that_does_not(folder, tmp_path):
    texts = ["The ship sails.\nThe wave sinks.", "The cow grazes.\nThe barn stands."]
    keys = [document_key(text.split("\n")) for text in texts]
    fraction = find_held_out_fraction(keys, CONFIG)
    assert {
        choose_shard(key, dataclasses.replace(CONFIG, held_out_fraction=fraction)) == HELD_OUT_SHARD
        for key in keys
    } == {True, False}
    corpus = corpus_of(tmp_path, *texts)
    for wrong, effect in ((1e-9, "keeps none of the 2"), (1 - 1e-9, "leaves none of the 2")):
        config = dataclasses.replace(CONFIG, held_out_fraction=wrong)
        with pytest.raises(InputError, match=rf"{effect} documents .* set it to {fraction}$"):
            make(folder, tmp_path / "records", config=config, corpus=corpus)


def test_fractions_have_as_few_digits_as_they_can():
    fractions = [
        find_held_out_fraction([bytes([number]) * 16, bytes([number + 1]) * 16], CONFIG)
        for number in range(50)
    ]
    assert all(len(repr(fraction)) <= 6 for fraction in fractions)
    assert find_held_out_fraction([b"a" * 16, b"a" * 16], CONFIG) is None
