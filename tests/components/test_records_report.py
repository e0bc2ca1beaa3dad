"""The report of a records step looks at each file of encoded documents as seldom as it can."""

import collections
import dataclasses
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
from components.records.report import describe_shards
from components.records.worker_context import WorkerContext


def test_the_way_to_a_refused_fraction_reads_no_index_once_for_each_shard(tmp_path, monkeypatch):
    context = WorkerContext(
        corpus=CorpusConfig(files=("text.txt",)),
        cleaning=CleaningConfig(),
        config=RecordsConfig(sequence_length=24, held_out_fraction=1e-9, num_shards=20),
        tokenizer=mock.Mock(),
        folder=str(tmp_path),
    )
    num_documents = collections.Counter[str]()
    for number in range(3):
        key = bytes([number * 50]) * 16
        shard = choose_shard(key, context.config)
        document = encode_document(key, np.arange(6), np.array([3, 3]), np.dtype("<u2"))
        counts = {"num_kept_documents": 1, "removed": dataclasses.asdict(RemovedDocuments())}
        path = context.encoded_path(f"split{number}", 0)
        write_encoded(path, {shard: [document]}, counts, scratch=tmp_path / "scratch")
        num_documents[shard] += 1
    for shard in shard_names(context.config):
        held = num_documents[shard]
        context.write_counts(shard, {"num_shard_documents": held, "num_records": held})
    read = collections.Counter[str]()

    def count_and_read(path, **options):
        read[path] += 1
        return read_index(path, **options)

    monkeypatch.setattr(worker_context, "read_index", count_and_read)
    with pytest.raises(InputError, match=r"keeps none of the 3 documents of two .* set it to 0"):
        describe_shards(context, ["split0", "split1", "split2"])
    # Once for the counts, and once to find the fraction.
    assert sorted(read.values()) == [2, 2, 2]
