"""Turn a corpus into TFRecord shards of segment pairs."""

import dataclasses
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step
from albert_core.corpus import CorpusConfig, corpus_fingerprint, corpus_splits
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.files import write_json
from albert_core.progress import ReportProgress, quiet
from albert_core.records.config import RecordsConfig
from albert_core.records.documents import shard_names
from albert_core.storage import fetch_file, join, remove_folder
from albert_core.tokenization import load_tokenizer
from components.records.beam_pipeline import RecordsJob, name_splits, run_beam
from components.records.report import describe_cleaning, describe_shards
from components.records.runners import BeamConfig
from components.records.time_estimate import forecast_records, refuse_full_disk


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

    Args:
        corpus: The text.
        vocab: A folder that `albert vocab` wrote, or any vocabulary `load_tokenizer` knows.
        config: How documents become records.
        output: Folder to make.
        cleaning: Which documents are left out.
        beam: Where the work is done; the same bytes come of it everywhere.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: An input is missing or unusable, or the corpus gives no record.
        StepFailedError: The Beam runner lost documents or repeated some.
    """
    cleaning, beam = cleaning or CleaningConfig(), beam or BeamConfig()
    tokenizer = load_tokenizer(input_folder(vocab))

    def body(results: Path, work: Path) -> Metrics:
        job = RecordsJob(
            corpus=corpus,
            cleaning=cleaning,
            config=config,
            tokenizer=tokenizer,
            folder=_work_folder(beam, work),
        )
        splits = name_splits(corpus_splits(corpus))
        job.prepare()
        forecast = forecast_records(job, list(splits.values()))
        progress(0, 0, forecast.text)
        refuse_full_disk(forecast, work)
        options = beam.options_for(num_bytes=forecast.num_text_bytes, num_splits=len(splits))
        run_beam(job, splits, options)
        try:
            figures = describe_shards(job, splits)
        except (InputError, StepFailedError):
            remove_folder(job.folder)  # of no use to another try
            raise
        write_json(results / "cleaning_report.json", describe_cleaning(job, splits))
        for shard in shard_names(config):
            fetch_file(job.shard_path(shard), results / f"{shard}.tfrecord")
        write_json(results / "records_report.json", figures)
        if beam.shared_folder:
            remove_folder(job.folder)
        return figures

    return run_step(
        "records",
        config={
            "records": dataclasses.asdict(config),
            "cleaning": dataclasses.asdict(cleaning),
        },
        inputs={
            "corpus": corpus_fingerprint(corpus),
            "vocab": tokenizer.content_hash(),
            "evaluation_sets": cleaning.fingerprint(),
        },
        output=output,
        work_root=work_root,
        body=body,
    )


def _work_folder(beam: BeamConfig, work: Path) -> str:
    """Return where workers leave what they make: named after the work, to be found again."""
    if not beam.shared_folder:
        return str(work.absolute())
    return join(beam.shared_folder, work.absolute().parent.name)
