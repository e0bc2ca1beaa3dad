"""Turn a corpus into TFRecord shards of segment pairs."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.corpus import CorpusConfig, corpus_fingerprint, find_corpus_files
from albert_core.errors import InputError
from albert_core.records.compact import HELD_OUT_PREFIX, TRAIN_PREFIX, piece_counts
from albert_core.records.config import RecordsConfig
from albert_core.records.pairs import NUM_SPECIAL_PIECES
from albert_core.runs.files import write_json
from albert_core.runs.manifest import Figures, Manifest, read_manifest
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.runs.step import run_step
from albert_core.tokenization import load_tokenizer
from components.records.beam_pipeline import run_beam

COUNTS = (
    "num_train_records",
    "num_held_out_records",
    "num_documents",
    "num_duplicate_documents",
    "num_documents_without_record",
    "num_sentences",
    "num_pieces",
    "num_record_pieces",
)


def make_records(
    *,
    corpus: CorpusConfig,
    vocab: str | Path,
    config: RecordsConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Make the records of a corpus and publish shards and statistics to `output`.

    Args:
        corpus: The text.
        vocab: A folder that `albert vocab` wrote.
        config: How documents become records.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: An input is missing or unusable, or the corpus gives no record.
    """
    vocabulary = read_manifest(vocab, step="vocab")

    def body(results: Path, shard_statistics: Path) -> Figures:
        files = find_corpus_files(corpus)
        progress(0, 0, f"cutting {len(files):,} files into segment pairs")
        run_beam(files, corpus, Path(vocab), config, results, shard_statistics)
        vocab_size = len(load_tokenizer(vocab))
        figures = _figures(shard_statistics, config, vocab_size)
        _refuse_empty(figures, config)
        figures["most_frequent_share"] = _most_frequent_share(results, vocab_size)
        write_json(results / "records_report.json", figures)
        return figures

    return run_step(
        "records",
        config=dataclasses.asdict(config),
        inputs={"corpus": corpus_fingerprint(corpus), "vocab": vocabulary.content_hash},
        output=output,
        work_root=work_root,
        body=body,
    )


def _figures(shard_statistics: Path, config: RecordsConfig, vocab_size: int) -> dict[str, Any]:
    totals = dict.fromkeys(COUNTS, 0)
    for path in sorted(shard_statistics.glob("*.json")):
        prefix = HELD_OUT_PREFIX if path.name.startswith(HELD_OUT_PREFIX) else TRAIN_PREFIX
        for name, count in json.loads(path.read_text(encoding="utf-8")).items():
            key = f"num_{prefix}_records" if name == "num_records" else name
            totals[key] += count
    num_pieces = totals.pop("num_record_pieces")
    num_records = totals["num_train_records"] + totals["num_held_out_records"]
    capacity = num_records * (config.sequence_length - NUM_SPECIAL_PIECES)
    return {
        "vocab_size": vocab_size,
        "sequence_length": config.sequence_length,
        **totals,
        "padding_share": round(1 - num_pieces / capacity, 4) if capacity else 0.0,
    }


def _most_frequent_share(shards: Path, vocab_size: int) -> float:
    """Return the share of the held-out records' most frequent piece: what guessing it scores."""
    shards_counts = [
        piece_counts(path, vocab_size) for path in shards.glob(f"{HELD_OUT_PREFIX}-*.tfrecord")
    ]
    counts = sum(shards_counts, np.zeros(vocab_size, np.int64))
    return round(float(counts.max() / max(1, counts.sum())), 4)


def _refuse_empty(figures: dict[str, Any], config: RecordsConfig) -> None:
    if not figures["num_train_records"]:
        raise InputError(
            f"corpus: {figures['num_documents']} documents gave no training record; expected "
            "documents of two sentences or more"
        )
    if config.held_out_share and not figures["num_held_out_records"]:
        raise InputError(
            f"records.held_out_share: got {config.held_out_share}, which keeps none of the "
            f"{figures['num_documents']} documents; raise it"
        )
