"""Records beside the original's: its recorded instances, and the same distribution as its rules."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from albert_core.corpus import CorpusConfig, read_documents
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.masking import mask_pairs, record_rng_states
from albert_core.records.pairs import SegmentPairs, cut_pairs
from albert_core.records.static import encode_static
from albert_core.records.statistics import Counts, add_counts, count_batch, masking_statistics
from albert_core.records.tfrecord import parse_example
from albert_core.tokenization import Tokenizer, load_tokenizer
from tests.helpers.archives import read_member
from tests.helpers.original_pretraining_data import Instance, Original
from tests.helpers.segment_samples import make_documents, make_segment_pairs

SHARE, RUN_SHARE = 0.01, 0.015  # tolerances

# Of each recording: the settings that make it, in our names.
EXACT = {
    "exact_default_L64": {"dupe_factor": 2},
    "exact_nowwm_longer_L64": {"do_whole_word_mask": False, "favor_shorter_ngram": False},
    "exact_nsp_L64": {"random_next_sentence": True},
    "exact_perm_L64": {"do_permutation": True},
}
RECORDED_SHARES = {
    "default_L512": (512, {}),
    "default_L128": (128, {}),
    "opt_base": (128, {}),
    "opt_ngram1": (128, {"max_ngram": 1}),
    "opt_nowwm": (128, {"whole_word": False}),
    "opt_perm": (128, {"permutation": True}),
}
OF_PAIRS = ("padding_fraction", "not_in_order_fraction")
PAIR_VARIANTS = {
    "default": {},
    "random_next": {"random_next_sentence": True},
    "short": {"short_seq_prob": 0.5},
}
MASK_VARIANTS = {
    "default": {},
    "longer": {"favor_shorter_ngram": False},
    "no_whole_words": {"do_whole_word_mask": False},
    "permutation": {"do_permutation": True},
}


@pytest.fixture(scope="module")
def tokenizer(goldens: Path) -> Tokenizer:
    return load_tokenizer(goldens / "tokenizer" / "2k-clean.model", lower_case=True)


@pytest.fixture(scope="module")
def documents(shared: Path, tokenizer: Tokenizer, tmp_path_factory) -> list[list[list[int]]]:
    """A megabyte and a half of articles in pieces."""
    path = tmp_path_factory.mktemp("corpus") / "wiki"
    path.write_bytes(
        read_member(shared, "corpus_simplewiki", "corpus/simplewiki/AA/wiki_00")[:1_500_000]
    )
    corpus = CorpusConfig(files=(str(path),), format="wikiextractor")
    return [tokenizer.encode_batch(document) for document in read_documents(path, corpus)]


def recorded_documents(goldens: Path, tokenizer: Tokenizer) -> list[list[list[int]]]:
    """Return the text of the exact recordings in pieces."""
    path = goldens / "pretrain_data" / "tiny_input.txt"
    documents = read_documents(path, CorpusConfig(files=(str(path),)))
    return [tokenizer.encode_batch(document) for document in documents]


def original_of(tokenizer: Tokenizer, **settings: object) -> Original:
    starts = dict(zip(tokenizer.pieces, tokenizer.word_starts().tolist(), strict=True))
    return Original(vocabulary=tokenizer.pieces, is_start=starts.__getitem__, **settings)


@pytest.mark.parametrize("name", EXACT)
def test_the_oracle_gives_the_recorded_instances(name, goldens, tokenizer) -> None:
    folder = goldens / "pretrain_data"
    documents = [
        [[tokenizer.pieces[index] for index in sentence] for sentence in document]
        for document in recorded_documents(goldens, tokenizer)
    ]
    oracle = original_of(tokenizer, max_seq_length=64, max_predictions_per_seq=10, **EXACT[name])
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    assert oracle.instances(documents) == [Instance(**json.loads(line)) for line in lines]


def counts_of_original(instances: list[Instance], tokenizer: Tokenizer, length: int) -> Counts:
    ids = {piece: index for index, piece in enumerate(tokenizer.pieces)}
    num_predictions = max(len(instance.masked_lm_positions) for instance in instances)
    batch = {
        "input_ids": np.zeros((len(instances), length), np.int32),
        "input_mask": np.zeros((len(instances), length), np.int32),
        "masked_lm_positions": np.zeros((len(instances), num_predictions), np.int32),
        "masked_lm_ids": np.zeros((len(instances), num_predictions), np.int32),
        "masked_lm_weights": np.zeros((len(instances), num_predictions), np.float32),
        "sentence_order_labels": np.array([int(i.is_random_next) for i in instances]),
    }
    for row, instance in enumerate(instances):
        num_tokens, num_masked = len(instance.tokens), len(instance.masked_lm_positions)
        batch["input_ids"][row, :num_tokens] = [ids[token] for token in instance.tokens]
        batch["input_mask"][row, :num_tokens] = 1
        batch["masked_lm_positions"][row, :num_masked] = instance.masked_lm_positions
        batch["masked_lm_ids"][row, :num_masked] = [ids[i] for i in instance.masked_lm_labels]
        batch["masked_lm_weights"][row, :num_masked] = 1
    return counts_of(batch, tokenizer)


def counts_of(
    batch: dict[str, np.ndarray], tokenizer: Tokenizer, is_unit: np.ndarray | None = None
) -> Counts:
    """Count runs in words, or in units that begin with other pieces."""
    starts = tokenizer.word_starts() if is_unit is None else is_unit
    return count_batch(batch, word_starts=starts, special_ids=tokenizer.special_ids)


def our_pairs(documents, tokenizer: Tokenizer, config: RecordsConfig) -> list[SegmentPairs]:
    rng = np.random.default_rng(5)
    return [
        cut_pairs(
            make_documents(documents),
            rng.integers(2**63, size=len(documents)).astype(np.uint64),
            instance=instance,
            config=config,
            word_starts=tokenizer.word_starts(),
        )
        for instance in range(config.dupe_factor)
    ]


def our_batch(pairs: SegmentPairs, tokenizer: Tokenizer, config: RecordsConfig):
    return mask_pairs(
        pairs,
        config=config.static_masking,
        sequence_length=config.sequence_length,
        word_starts=tokenizer.word_starts(),
        special_ids=tokenizer.special_ids,
    )


def our_counts(
    documents, tokenizer: Tokenizer, config: RecordsConfig, is_unit: np.ndarray | None = None
) -> Counts:
    total: Counts = {}
    for pairs in our_pairs(documents, tokenizer, config):
        add_counts(total, counts_of(our_batch(pairs, tokenizer, config), tokenizer, is_unit))
    return total


def assert_same_masks(ours: Counts, theirs: Counts) -> None:
    own, other = masking_statistics(ours), masking_statistics(theirs)
    for name in own.keys() - {"num_records", "run_length_fractions", *OF_PAIRS}:
        assert own[name] == pytest.approx(other[name], abs=SHARE), name
    runs, other_runs = (counts["run_length_fractions"] for counts in (own, other))
    assert runs == pytest.approx(other_runs, abs=RUN_SHARE)


@pytest.mark.parametrize("name", PAIR_VARIANTS)
def test_pairs_have_the_distribution_of_the_originals_rules(name, documents, tokenizer) -> None:
    """With many copies: a document that is cut short by chance gives many pairs at once."""
    original = original_of(tokenizer, max_seq_length=128, dupe_factor=60, **PAIR_VARIANTS[name])
    theirs = [
        (len(first) + len(second), label) for first, second, label in original.pairs(documents)
    ]
    config = RecordsConfig(
        compat="original",
        sequence_length=128,
        dupe_factor=60,
        random_next_sentence=original.random_next_sentence,
        short_sequence_probability=original.short_seq_prob,
    )
    ours = our_pairs(documents, tokenizer, config)
    length, label = np.mean(theirs, axis=0)
    lengths = np.concatenate([pairs.lengths for pairs in ours])
    assert lengths.sum() == pytest.approx(length * len(theirs), rel=SHARE)
    assert lengths.mean() / 128 == pytest.approx(length / 128, abs=SHARE)
    assert np.concatenate([p.labels for p in ours]).mean() == pytest.approx(label, abs=SHARE)


@pytest.mark.parametrize("name", MASK_VARIANTS)
def test_masks_have_the_distribution_of_the_originals_rules(name, documents, tokenizer) -> None:
    pieces = [
        [[tokenizer.pieces[index] for index in sentence] for sentence in document]
        for document in documents
    ]
    original = original_of(tokenizer, max_seq_length=128, dupe_factor=2, **MASK_VARIANTS[name])
    theirs = counts_of_original(original.instances(pieces), tokenizer, 128)
    config = RecordsConfig(
        format="static",
        compat="original",
        sequence_length=128,
        dupe_factor=4,
        masking=MaskingConfig(
            whole_word=original.do_whole_word_mask,
            favor_shorter_ngram=original.favor_shorter_ngram,
            permutation=original.do_permutation,
        ),
    )
    assert_same_masks(our_counts(documents, tokenizer, config), theirs)


@pytest.mark.parametrize("name", RECORDED_SHARES)
def test_masks_have_the_recorded_statistics(name, tokenizer, goldens) -> None:
    """On the recordings' kind of text; what follows from its documents' lengths is left out."""
    path = goldens / "pretrain_data" / "stats" / f"{name}.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    length, masking = RECORDED_SHARES[name]
    config = RecordsConfig(
        format="static",
        compat="original",
        sequence_length=length,
        dupe_factor=100,
        masking=MaskingConfig(**masking),
    )
    documents = recorded_documents(goldens, tokenizer)
    starts = tokenizer.word_starts()
    is_unit = starts if config.masking.whole_word else np.ones_like(starts)
    ours = masking_statistics(our_counts(documents, tokenizer, config, is_unit))
    assert ours["predicted_fraction"] == pytest.approx(
        recorded["masked_fraction_of_nonpad"], abs=SHARE
    )
    for metric, key in (("mask_token", "mask"), ("unchanged", "keep"), ("random", "random")):
        if name != "opt_perm":  # there the recording's text decides which permuted tokens stay
            expected_fraction = recorded[f"replace_{key}"]
            assert ours[f"{metric}_fraction"] == pytest.approx(expected_fraction, abs=SHARE)
    unit = "words" if config.masking.whole_word else "tokens"
    runs = Counter({int(length): n for length, n in recorded[f"run_len_{unit}"].items()})
    expected = [runs[length] / runs.total() for length in range(1, 10)]
    assert ours["run_length_fractions"][:9] == pytest.approx(expected, abs=RUN_SHARE)


def test_dynamic_masks_of_twenty_epochs_have_the_same_distribution(documents, tokenizer) -> None:
    config = RecordsConfig(sequence_length=128)
    static = our_counts(documents, tokenizer, dataclasses.replace(config, format="static"))
    (pairs,) = our_pairs(documents, tokenizer, config)
    indices, dynamic, inputs = np.arange(len(pairs)), {}, []
    for epoch in range(20):
        rng_states = record_rng_states(1, np.full(len(pairs), epoch), indices)
        batch = our_batch(dataclasses.replace(pairs, rng_states=rng_states), tokenizer, config)
        add_counts(dynamic, counts_of(batch, tokenizer))
        inputs.append(batch["input_ids"])
    assert_same_masks(dynamic, static)
    assert (inputs[0] != inputs[1]).any(axis=1).mean() > 0.99


def test_static_records_have_the_features_of_the_recorded_ones(goldens, tokenizer) -> None:
    import tensorflow as tf

    (path,) = (goldens / "pretrain_data").glob("exact_perm_L64.tfrecord")
    recorded = parse_example(next(iter(tf.data.TFRecordDataset(str(path)))).numpy())
    config = RecordsConfig(
        format="static",
        sequence_length=64,
        masking=MaskingConfig(permutation=True, max_predictions_per_sequence=10),
    )
    pairs = make_segment_pairs([([5, 6, 7], [8, 9], 1)], np.array([7], np.uint64))
    batch = our_batch(pairs, tokenizer, config)
    (record,) = encode_static(
        batch, word_starts=tokenizer.word_starts(), special_ids=tokenizer.special_ids
    )
    ours = parse_example(record)
    assert {name: (len(values), type(values[0])) for name, values in ours.items()} == {
        name: (len(values), type(values[0])) for name, values in recorded.items()
    }
    assert ours["next_sentence_labels"] == [1]
    assert ours["token_boundary"][0] == 1
