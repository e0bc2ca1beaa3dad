"""Near-duplicates in the records step: left out, reported, and the same bytes from every runner."""

import functools
import itertools
import json
import random
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.minhash import MinHasher
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import RecordsConfig
from albert_core.records.documents import HELD_OUT_SHARD, choose_shard, shard_names
from albert_core.records.encoded import write_encoded
from albert_core.records.near_duplicates import PAIR_DTYPE, pair_keys
from albert_core.records.rng import document_key
from albert_core.records.signature_table import SignatureTable
from albert_core.tokenization.config import VocabConfig
from components.records import beam_pipeline, near_duplicates, step
from components.records.runners import BeamConfig
from components.records.worker_context import WorkerContext
from components.vocab.step import train_vocab
from tests.helpers.tiny_run import TOPICS, sentence

CONFIG = RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3)
CLEANING = CleaningConfig(near_duplicate_threshold=0.7, near_duplicate_ngram=3)
MINHASHER = MinHasher(threshold=0.7, ngram=3, num_permutations=128, seed=CONFIG.seed)
NUM_GROUPS, NUM_COPIES = 30, 3

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


def group(rng: random.Random) -> list[list[str]]:
    """Return a document, and copies of it to which a sentence is added."""
    document = [sentence(rng.choice(list(TOPICS)), rng) for _ in range(20)]
    copies = [[*document, f"The ship sails on day {rng.random()}."] for _ in range(NUM_COPIES)]
    return [document, *copies]


def documents() -> list[list[str]]:
    """Return the documents of all groups in a random order, and the first one once more."""
    rng = random.Random(7)
    listed = [document for _ in range(NUM_GROUPS) for document in group(rng)]
    rng.shuffle(listed)
    return [*listed, listed[0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("near")
    (folder / "corpus").mkdir()
    text = "\n\n".join(map("\n".join, documents()))
    (folder / "corpus" / "text.txt").write_text(text + "\n")
    train_vocab(corpus=corpus_config(folder), config=VocabConfig(size=70), output=folder / "vocab")
    make(folder, folder / "whole")
    return folder


@pytest.fixture
def small_splits(monkeypatch) -> None:
    monkeypatch.setattr(step, "corpus_splits", functools.partial(corpus_splits, target_bytes=4_000))


def corpus_config(folder: Path) -> CorpusConfig:
    return CorpusConfig(files=(str(folder / "corpus"),))


def make(folder: Path, output: Path, *, cleaning=CLEANING, config=CONFIG, **options):
    return step.make_records(
        corpus=corpus_config(folder),
        vocab=folder / "vocab",
        config=config,
        cleaning=cleaning,
        output=output,
        **options,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file but the manifest, which tells the time."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"
    }


def test_of_each_group_the_document_of_the_smallest_hash_is_kept_alone(folder, tmp_path):
    kept = [min(group, key=document_key) for group in groups()]
    # The one kept is to train on and others of its group are held out, and the reverse.
    assert {(True, False), (False, True)} <= {
        (is_held_out(document_key(document)), is_held_out(key))
        for document, group in zip(kept, groups(), strict=True)
        for key in keys_of(group)
    }
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "text.txt").write_text("\n\n".join(map("\n".join, kept)) + "\n")
    (tmp_path / "vocab").symlink_to(folder / "vocab")
    make(tmp_path, tmp_path / "records", cleaning=CleaningConfig())
    shards = {name: data for name, data in contents(folder / "whole").items() if "tfrec" in name}
    assert f"{HELD_OUT_SHARD}.tfrecord" in shards
    assert shards == {name: contents(tmp_path / "records")[name] for name in shards}


def is_held_out(key: bytes) -> bool:
    return choose_shard(key, CONFIG) == HELD_OUT_SHARD


def groups() -> list[list[list[str]]]:
    rng = random.Random(7)
    return [group(rng) for _ in range(NUM_GROUPS)]


def test_what_is_left_out_is_counted_and_shown(folder):
    metrics = make(folder, folder / "whole").metrics
    report = json.loads((folder / "whole" / "cleaning_report.json").read_text())["near_duplicates"]
    assert metrics["num_documents"] == metrics["num_kept_documents"] == 121
    assert metrics["num_duplicate_documents"] == 1
    assert metrics["num_near_duplicate_documents"] == NUM_GROUPS * NUM_COPIES
    assert report["num_removed_documents"] == NUM_GROUPS * NUM_COPIES
    assert report["largest_bucket"] == 1 + NUM_COPIES
    assert report["num_comparisons"] < 3 * 121 * report["num_bands"]
    texts = {document_key(document).hex(): " ".join(document) for document in documents()}
    smallest = {
        key.hex(): min(keys).hex() for keys in map(keys_of, groups()) for key in keys - {min(keys)}
    }
    assert [example["key"] for example in report["examples"]] == sorted(smallest)[:5]
    for example in report["examples"]:
        assert example["similar_to"] == smallest[example["key"]]
        assert 0.7 <= example["similarity"] <= 1
        for key, text in (("key", "text"), ("similar_to", "similar_text")):
            beginning = example[text][:20].replace(" .", ".")
            assert texts[example[key]].lower().startswith(beginning)


def keys_of(members: list[list[str]]) -> set[bytes]:
    return set(map(document_key, members))


@pytest.mark.usefixtures("small_splits")
@pytest.mark.parametrize(
    ("mode", "num_workers"),
    [("in_memory", 1), ("multi_threading", 2), ("multi_processing", 2)],
)
def test_local_workers_of_every_kind_give_the_same_bytes(folder, tmp_path, mode, num_workers):
    assert len(step.corpus_splits(corpus_config(folder))) > 5
    make(folder, tmp_path / "records", beam=BeamConfig(mode=mode, num_workers=num_workers))
    assert contents(tmp_path / "records") == contents(folder / "whole")


def test_many_short_documents_are_signed_in_several_files(folder, tmp_path, monkeypatch):
    """So that a worker need not sort the signatures of a whole split at once."""
    num_parts = itertools.count()
    write = beam_pipeline.write_encoded

    def count_and_write(*arguments, **options):
        next(num_parts)
        write(*arguments, **options)

    monkeypatch.setattr(beam_pipeline, "write_encoded", count_and_write)
    monkeypatch.setattr(beam_pipeline, "_PART_SIGNATURES", 50 * MINHASHER.num_bands)
    make(folder, tmp_path / "records", beam=BeamConfig(mode="in_memory"))
    assert next(num_parts) == 3
    assert contents(tmp_path / "records") == contents(folder / "whole")


@pytest.mark.parametrize("harm", ["missing", "changed", "shorter"])
def test_a_split_is_encoded_again_where_its_signatures_are_damaged(tmp_path, harm, capsys):
    context = WorkerContext(
        corpus=CorpusConfig(files=("text.txt",)),
        cleaning=CLEANING,
        config=CONFIG,
        tokenizer=mock.Mock(),
        folder=str(tmp_path),
    )
    path = context.encoded_path("split", 0)
    table = SignatureTable(MINHASHER)
    table.add(bytes(16), ["Some words."])
    index = table.write(context.signatures_path(path), 3, scratch=tmp_path / "scratch")
    context.write_signatures_index(path, index)
    write_encoded(path, {}, {}, scratch=tmp_path / "scratch")
    assert len(context.whole_parts("split")) == 1
    signatures = Path(context.signatures_path(path))
    description = Path(f"{signatures}.json")
    if harm == "missing":
        description.unlink()
    elif harm == "changed":
        description.write_text(description.read_text().replace('"0"', '"1"'))
    else:
        signatures.write_bytes(signatures.read_bytes()[:-1])
    assert context.whole_parts("split") == []
    said = capsys.readouterr().err
    assert ("this split is encoded again" in said) == (harm != "missing")


def test_pairs_are_given_to_their_shards_in_little_memory():
    pairs = np.zeros(40_000, PAIR_DTYPE)
    rng = np.random.default_rng(2)
    for name in ("key_high", "key_low"):
        pairs[name] = rng.integers(0, 2**64, len(pairs), np.uint64)
    search = near_duplicates.FindNearDuplicates(SimpleNamespace(config=CONFIG))
    tracemalloc.start()
    try:
        shards = {name: np.concatenate(blocks) for name, blocks in search._by_shard(pairs)}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = {name: [] for name in shard_names(CONFIG)}
    for key in pair_keys(pairs):
        expected[choose_shard(key, CONFIG)].append(key)
    assert {name: pair_keys(rows) for name, rows in shards.items()} == expected
    assert peak < 150 * len(pairs)
    assert list(search._by_shard(pairs[:0])) == []


def test_a_corpus_of_near_duplicates_alone_names_the_threshold(folder, tmp_path):
    (tmp_path / "corpus").mkdir()
    text = "\n\n".join(map("\n".join, groups()[0]))
    (tmp_path / "corpus" / "text.txt").write_text(text + "\n")
    (tmp_path / "vocab").symlink_to(folder / "vocab")
    said = (
        r"cleaning\.near_duplicate_threshold: got 0\.7, which keeps 1 of the 4 documents .*; set it"
    )
    with pytest.raises(InputError, match=said):
        make(tmp_path, tmp_path / "records", beam=BeamConfig(mode="in_memory"))


def test_without_the_threshold_nothing_is_compared_or_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(near_duplicates, "find_near_duplicates", None)
    manifest = make(folder, tmp_path / "records", cleaning=CleaningConfig())
    assert not any("near" in name or "minhash" in name for name in manifest.config["cleaning"])
    assert "num_near_duplicate_documents" not in manifest.metrics
    report = json.loads((tmp_path / "records" / "cleaning_report.json").read_text())
    assert set(report) == {"num_removed_documents", "evaluation_sets", "examples"}


def test_signatures_that_are_lost_are_noticed(folder, tmp_path, monkeypatch):
    """What a runner drops on the way to the search must not be published."""
    search = near_duplicates.find_near_duplicates
    monkeypatch.setattr(
        near_duplicates,
        "find_near_duplicates",
        lambda sections, minhasher: search(dict(list(sections.items())[1:]), minhasher),
    )
    with pytest.raises(StepFailedError, match=r"signatures were written and 0 searched"):
        make(folder, tmp_path / "records", beam=BeamConfig(mode="in_memory"))
    assert not (tmp_path / "records").exists()
