"""Batches of records: the same for the same place, another mask every epoch, any kind of record."""

import dataclasses
import itertools

import numpy as np
import pytest

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.description import describe_records
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.records.step import make_records
from components.vocab.step import train_vocab
from tests.helpers.tiny_run import write_corpus

pytestmark = pytest.mark.backends

LENGTH, BATCH = 24, 8
COMPACT = RecordsConfig(sequence_length=LENGTH, held_out_fraction=0.2, num_shards=3)
KINDS = {
    "compact": COMPACT,
    "static": dataclasses.replace(COMPACT, format="static"),
    "decided": dataclasses.replace(COMPACT, random_next_sentence=True),
    "original": dataclasses.replace(COMPACT, compat="original"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    corpus = CorpusConfig(files=(str(write_corpus(folder / "corpus", num_documents=120)),))
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    for name, config in KINDS.items():
        make_records(corpus=corpus, vocab=folder / "vocab", config=config, output=folder / name)
    return folder


def open_data(folder, name="compact", *, masking=None, seed=1, **settings):
    from albert_core.pretraining.dataset import PretrainingData

    return PretrainingData.from_records(
        describe_records(folder / name),
        masking=masking or MaskingConfig(),
        tokenizer=load_tokenizer(folder / "vocab"),
        seed=seed,
        **settings,
    )


def take(batches, count):
    return [
        {name: np.asarray(tensor) for part in batch for name, tensor in part.items()}
        for batch in itertools.islice(batches, count)
    ]


def assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name])


@pytest.mark.parametrize("name", KINDS)
def test_a_resumed_run_reads_on_where_it_stopped(folder, name):
    offsets = {"position_offset_probability": 0.5, "max_position_offset": 9}
    data = open_data(folder, name, **offsets)
    steps = 3 + 2 * data.records.num_train_records // BATCH
    whole = take(data.train_batches(BATCH), steps)
    for start in (1, steps // 2, steps - 2):
        resumed = open_data(folder, name, **offsets).train_batches(BATCH, start_step=start)
        assert_equal(whole[start:], take(resumed, steps - start))


def test_offsets_are_drawn_for_half_of_the_sequences_and_change_nothing_else(folder):
    data = open_data(folder, position_offset_probability=0.5, max_position_offset=9)
    batches = take(data.train_batches(BATCH), 60)
    offsets = np.concatenate([batch.pop("position_offsets") for batch in batches])
    assert offsets.shape == (60 * BATCH,)
    counts = np.bincount(offsets)
    # 0 is one of the ten that are drawn, too.
    assert counts / len(offsets) == pytest.approx([0.55] + 9 * [0.05], abs=0.07)
    assert_equal(batches, take(open_data(folder).train_batches(BATCH), 60))
    (held_out,) = take(data.held_out_batches(BATCH), 1)
    assert "position_offsets" not in held_out


@pytest.mark.parametrize("name", ["compact", "static"])
def test_replacement_draws_follow_the_record_s_place_alone(folder, name):
    """Epochs differ; a resumed run and several processes draw the same; masks stay as they are."""
    data = open_data(folder, name, replaces_tokens=True)
    steps = 3 + data.records.num_train_records // BATCH
    whole = take(data.train_batches(BATCH), steps)
    again = take(data.train_batches(BATCH, start_step=steps - 2), 2)
    assert_equal(whole[-2:], again)
    half = dataclasses.replace(data, process_index=1, num_processes=2)
    (rows,) = take(half.train_batches(BATCH), 1)
    for key, values in rows.items():
        np.testing.assert_array_equal(values, whole[0][key][BATCH // 2 :])
    without = take(open_data(folder, name).train_batches(BATCH), steps)
    draws = np.concatenate([batch.pop("replacement_draws") for batch in whole])
    assert_equal(whole, without)
    assert draws.min() >= 0
    assert draws.max() < 2**24
    assert len(np.unique(draws)) > 0.99 * draws.size
    assert (draws / 2**24).mean() == pytest.approx(0.5, abs=0.02)
    held_out = data.held_out_batches(BATCH)
    assert_equal(take(held_out, 2), take(held_out, 2))


def test_every_epoch_has_each_record_once_with_another_mask(folder):
    data = open_data(folder)
    steps = data.records.num_train_records // BATCH

    def texts(batches):
        restored = []
        for batch in batches:
            ids = batch["input_ids"].copy()
            rows, slots = np.nonzero(batch["masked_lm_weights"])
            positions = batch["masked_lm_positions"][rows, slots]
            ids[rows, positions] = batch["masked_lm_ids"][rows, slots]
            restored += [tuple(sorted(row.tolist())) for row in ids]
        return restored

    batches = take(data.train_batches(BATCH), 2 * steps)
    first, second = texts(batches[:steps]), texts(batches[steps:])
    assert len(set(first)) > 0.9 * len(first)
    common = set(first) & set(second)
    assert len(common) > 0.8 * len(set(first))
    shown = [{tuple(row) for b in half for row in b["input_ids"].tolist()} for half in
             (batches[:steps], batches[steps:])]  # fmt: skip
    assert len(shown[0] & shown[1]) < 0.2 * len(shown[0])


def test_held_out_batches_are_always_the_same_and_other_seeds_are_not(folder):
    once, again = (take(open_data(folder).held_out_batches(BATCH), 99) for _ in range(2))
    assert_equal(once, again)
    assert len(once) == open_data(folder).records.num_held_out_records // BATCH
    (first,) = take(open_data(folder).train_batches(BATCH), 1)
    (other,) = take(open_data(folder, seed=2).train_batches(BATCH), 1)
    assert (first["input_ids"] != other["input_ids"]).any()


def test_static_records_come_as_they_are(folder):
    from albert_core.records.tfrecord import parse_example, read_tfrecords

    stored = {
        tuple(example["input_ids"]): example
        for path in (folder / "static").glob("train-*.tfrecord")
        for example in map(parse_example, read_tfrecords(path))
    }
    for batch in take(open_data(folder, "static").train_batches(BATCH), 5):
        for row in range(BATCH):
            example = stored[tuple(batch["input_ids"][row].tolist())]
            assert batch["masked_lm_ids"][row].tolist() == example["masked_lm_ids"]
            label = [batch["sentence_order_labels"][row].tolist()]
            assert label == example["next_sentence_labels"]


def test_decided_orders_are_not_drawn_again(folder):
    batches = take(open_data(folder, "decided").train_batches(BATCH), 40)
    share = np.mean([batch["sentence_order_labels"] for batch in batches])
    assert 0.3 < share < 0.7


def test_permutation_doubles_the_predictions(folder):
    (batch,) = take(
        open_data(folder, masking=MaskingConfig(permutation=True)).train_batches(BATCH), 1
    )
    num_masked = MaskingConfig().max_masked(LENGTH)
    assert batch["masked_lm_ids"].shape == (BATCH, 2 * num_masked)


def test_masks_cannot_be_asked_of_static_records(folder):
    with pytest.raises(InputError, match=r"pretraining\.masking: got settings for static records"):
        open_data(folder, "static", masking=MaskingConfig(max_ngram=1))


def test_records_of_the_original_are_described(goldens):
    described = describe_records(goldens / "pretrain_data" / "exact_perm_L64.tfrecord")
    assert (described.format, described.sequence_length) == ("static", 64)
    assert (described.max_predictions, described.num_train_records) == (20, 58)
    assert described.vocabulary is None


def test_other_files_are_no_records(tmp_path, goldens):
    with pytest.raises(InputError, match="no records there"):
        describe_records(tmp_path)
    (tmp_path / "a.tfrecord").write_bytes(b"")
    with pytest.raises(InputError, match="1 files without a record"):
        describe_records(tmp_path)
    (tmp_path / "a.tfrecord").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"corrupt record at byte 0"):
        describe_records(tmp_path)
