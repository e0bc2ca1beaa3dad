"""Turn a corpus into TFRecord shards of segment pairs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step, work_fingerprint
from albert_core.corpus import (
    CorpusConfig,
    corpus_fingerprint,
    corpus_splits,
    hash_corpus,
    list_corpus,
)
from albert_core.corpus.cleaning import CleaningConfig, recorded_cleaning
from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import write_json
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.records.config import RecordsConfig, recorded_masking
from albert_core.records.documents import shard_names
from albert_core.storage import fetch_file, join, remove_folder
from albert_core.tokenization import load_tokenizer
from components.records.beam_pipeline import name_splits
from components.records.beam_runs import find_workers, run_where_configured
from components.records.report import describe_records
from components.records.runners import BeamConfig
from components.records.size_estimate import estimate_records, refuse_full_disk
from components.records.worker_containers import refuse_local_text
from components.records.worker_context import WorkerContext


def make_records(
    *,
    corpus: CorpusConfig,
    vocab: str | Path,
    config: RecordsConfig,
    output: str | Path,
    cleaning: CleaningConfig | None = None,
    beam: BeamConfig | None = None,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Make the records of a corpus and publish shards and statistics to `output`.

    Continues the same work of a killed process; does nothing if `output` holds its result.

    Args:
        corpus: The text.
        vocab: A folder that `albert vocab` wrote, or any vocabulary `load_tokenizer` knows.
        config: How documents become records.
        output: Folder to make.
        cleaning: Which documents are left out; the defaults of CleaningConfig when None.
        beam: Where the work is done; the records are the same everywhere. On this machine when
            None.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with messages about the work.

    Returns:
        The manifest of `output`, with the metrics of `describe_records`.

    Raises:
        InputError: An input is missing or unusable, the corpus gives no training record or no
            held-out one where some are wanted, the disk has no room for the work, a runner or
            cluster cannot be used or cannot reach the text, or `output` holds something else.
        StepFailedError: The Beam runner lost or repeated documents, a cluster's or Dataflow's job
            failed, or another process has taken over this work.
        ServiceError: A storage or Dataflow failed. Other errors of Beam and of its workers pass as
            they are.
    """
    cleaning, beam = cleaning or CleaningConfig(), beam or BeamConfig()
    refuse_local_text(beam, corpus.files)
    tokenizer = load_tokenizer(input_folder(vocab))
    listed = list_corpus(corpus)
    corpus = dataclasses.replace(corpus, format=listed.format)
    hashes = hash_corpus(corpus)
    settings = {
        "records": _recorded_settings(config),
        "cleaning": recorded_cleaning(dataclasses.asdict(cleaning)),
        "language": corpus.language,
    }
    inputs = {
        "corpus": corpus_fingerprint(corpus, hashes),
        "vocab": tokenizer.content_hash(),
        "evaluation_sets": cleaning.fingerprint(),
    }

    def write_records(results: Path, progress_folder: Path) -> Metrics:
        """Make the records with Beam and bring the shards here; return the metrics.

        What is left out and the estimated size go to `progress` first.

        Raises:
            InputError: There is no such runner or cluster, the disk is too small, or there are no
                training or held-out records.
            StepFailedError: The workers failed, or the shards do not hold what was read.
            ServiceError: A storage or Dataflow failed.
        """
        cluster = find_workers(beam, progress)
        context = WorkerContext(
            corpus=corpus,
            cleaning=cleaning,
            config=config,
            tokenizer=tokenizer,
            folder=_workers_folder(beam, progress_folder),
            work=work_fingerprint("records", settings, inputs),
        )
        for note in filter(None, (listed.format_note, listed.left_out_note)):
            report_message(progress, note)
        splits = name_splits(corpus_splits(corpus), hashes)
        context.write_overlap_index()
        estimate = estimate_records(context, list(splits.values()))
        report_message(progress, estimate.text)
        refuse_full_disk(estimate, progress_folder, shared_folder=beam.shared_folder)
        run_where_configured(
            context,
            splits,
            beam=beam,
            cluster=cluster,
            num_bytes=estimate.num_text_bytes,
            progress=progress,
        )
        metrics = _collect_results(context, list(splits), results)
        # `run_step` removes its own work folder, but not one that the user named.
        if beam.shared_folder:
            remove_folder(context.folder)
        return metrics

    return run_step(
        "records",
        config=settings,
        inputs=inputs,
        output=output,
        work_root=work_root,
        body=write_records,
    )


def _recorded_settings(config: RecordsConfig) -> dict[str, Any]:
    """Return the settings, by name, for the manifest and the fingerprint of the work.

    Of the settings of the masks, `recorded_masking` leaves some out.
    """
    settings = dataclasses.asdict(config)
    return {**settings, "masking": recorded_masking(settings["masking"])}


def _collect_results(context: WorkerContext, splits: Sequence[str], results: Path) -> Metrics:
    """Bring the shards that the workers wrote into `results`; return the metrics.

    Beside the shards are cleaning_report.json, what cleaning left out, and records_report.json, the
    metrics. Removes the workers' folder if what they made is refused.

    Args:
        context: What every worker needed.
        splits: Names of the splits of the corpus.
        results: Folder that exists.

    Raises:
        InputError: There are no training or held-out records, or a file of the workers is missing.
        StepFailedError: The shards do not hold what was read.
        DamageError: A file of the workers is damaged; their folder stays then.
        ServiceError: The storage failed; the folder stays then, too.
    """
    try:
        metrics, cleaning_report = describe_records(context, splits)
    except (InputError, StepFailedError):
        # Another try would find these files, believe them and fail in the same way.
        remove_folder(context.folder)
        raise
    write_json(results / "cleaning_report.json", cleaning_report)
    for shard in shard_names(context.config):
        fetch_file(context.shard_path(shard), results / f"{shard}.tfrecord")
    write_json(results / "records_report.json", metrics)
    return metrics


def _workers_folder(beam: BeamConfig, progress_folder: Path) -> str:
    """Return the address of the folder for the workers' files; make nothing.

    Without `beam.shared_folder` it is the step's own `progress_folder`, as an absolute path.
    Otherwise it is a folder in `beam.shared_folder`, with the name of the step's work folder.

    Args:
        beam: Where the work is done.
        progress_folder: Folder `progress`, in the step's work folder.
    """
    if not beam.shared_folder:
        return str(progress_folder.absolute())
    # Named after the fingerprint of the work, so that the same work finds its files again and
    # different work in the same shared folder does not.
    return join(beam.shared_folder, progress_folder.absolute().parent.name)
