"""The report of a records step looks at each file of encoded documents as seldom as it can."""

import collections
import dataclasses
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig, RemovedDocuments
from albert_core.errors import InputError
from albert_core.records.config import RecordsConfig
from albert_core.records.documents import choose_shard, shard_names
from albert_core.records.encoded import encode_document, read_index, write_encoded
from components.records import worker_context
from components.records.report import describe_records
from components.records.worker_context import WorkerContext

SPLITS = ["split0", "split1", "split2"]
MASKED = ("records", "positions", "tokens", "predicted", "mask", "unchanged", "not_in_order")
# Of a shard, as far as a report needs them.
SHARD_COUNTS = {
    "num_duplicate_documents": 0,
    "num_documents_without_record": 0,
    "num_most_frequent_tokens": 1,
    "num_record_tokens": 24,
    "masked": {f"num_{name}": 1 for name in MASKED} | {"num_runs_of_words": [1, 0]},
}


def write_work(tmp_path: Path, held_out_fraction: float) -> WorkerContext:
    """Write what the workers leave of three documents, each in a split of its own."""
    context = WorkerContext(
        corpus=CorpusConfig(files=("text.txt",)),
        cleaning=CleaningConfig(),
        config=RecordsConfig(
            sequence_length=24, held_out_fraction=held_out_fraction, num_shards=20
        ),
        tokenizer=mock.MagicMock(),
        folder=str(tmp_path),
    )
    num_documents = collections.Counter[str]()
    for number, split in enumerate(SPLITS):
        key = bytes([number * 50]) * 16
        shard = choose_shard(key, context.config)
        document = encode_document(key, np.arange(6), np.array([3, 3]), np.dtype("<u2"))
        counts = {"num_kept_documents": 1, "removed": dataclasses.asdict(RemovedDocuments())}
        path = context.encoded_path(split, 0)
        write_encoded(path, {shard: [document]}, counts, scratch=tmp_path / "scratch")
        num_documents[shard] += 1
    for shard in shard_names(context.config):
        held = num_documents[shard]
        counts = {**SHARD_COUNTS, "num_shard_documents": held, "num_records": held}
        context.write_counts(shard, counts)
    return context


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> collections.Counter[str]:
    """How often each index has been read."""
    read = collections.Counter[str]()

    def count_and_read(path, **options):
        read[path] += 1
        return read_index(path, **options)

    monkeypatch.setattr(worker_context, "read_index", count_and_read)
    return read


def test_all_that_is_reported_is_found_by_reading_each_index_once(tmp_path, read):
    context = write_work(tmp_path, held_out_fraction=0.5)
    metrics, cleaning = describe_records(context, SPLITS)
    assert metrics["num_kept_documents"] == 3
    assert metrics["num_train_records"] + metrics["num_held_out_records"] == 3
    assert cleaning["num_removed_documents"] == {}
    assert sorted(read.values()) == [1, 1, 1]


def test_the_way_to_a_refused_fraction_reads_no_index_once_for_each_shard(tmp_path, read):
    context = write_work(tmp_path, held_out_fraction=1e-9)
    with pytest.raises(InputError, match=r"keeps none of the 3 documents of two .* set it to 0"):
        describe_records(context, SPLITS)
    # Once for the counts, and once to find the fraction.
    assert sorted(read.values()) == [2, 2, 2]
