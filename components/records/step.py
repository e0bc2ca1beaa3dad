"""Turn a corpus into TFRecord shards of segment pairs."""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step, work_fingerprint
from albert_core.corpus import (
    CorpusConfig,
    CorpusSplit,
    corpus_fingerprint,
    corpus_splits,
    hash_corpus,
    list_corpus,
)
from albert_core.corpus.cleaning import CleaningConfig, recorded_cleaning
from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import hash_json, write_json
from albert_core.network.connection_failures import explain_failure
from albert_core.processes.stops import call_stoppably
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.records.config import RecordsConfig, recorded_masking
from albert_core.records.documents import shard_names
from albert_core.storage import fetch_file, join, remove_folder
from albert_core.tokenization import load_tokenizer
from components.records.beam_pipeline import name_splits, run_beam
from components.records.cluster_jobs import cancel_jobs
from components.records.cluster_options import ENGINES, cluster_options, find_cluster
from components.records.cluster_run import run_on_cluster
from components.records.clusters import Cluster
from components.records.dask_cluster import check_scheduler
from components.records.dataflow_config import is_dataflow
from components.records.dataflow_options import check_dataflow_options
from components.records.dataflow_run import run_on_dataflow
from components.records.job_servers import running_job_server
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
        "records": {
            **dataclasses.asdict(config),
            "masking": recorded_masking(dataclasses.asdict(config.masking)),
        },
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
        cluster = _find_workers(beam, progress)
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
        _run_pipeline(
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


def _find_workers(beam: BeamConfig, progress: ReportProgress) -> Cluster | None:
    """Refuse a runner that cannot be reached or used, before any text is read.

    Returns:
        The Flink or Spark cluster that does the work, as it answers; None for other runners.

    Raises:
        InputError: A scheduler or cluster is not reached or cannot be used, settings of Dataflow
            are wrong, or what it needs is not installed.
    """
    if beam.runner == "dask":
        check_scheduler(beam.dask_scheduler, progress)
    if is_dataflow(beam.runner):
        check_dataflow_options(beam.options_for(num_bytes=0, num_splits=0))
    # `quiet`: it is asked again when the job is submitted, and the answer reported then.
    return find_cluster(beam, quiet) if beam.runner in ENGINES else None


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


def _run_pipeline(
    context: WorkerContext,
    splits: Mapping[str, CorpusSplit],
    *,
    beam: BeamConfig,
    cluster: Cluster | None,
    num_bytes: int,
    progress: ReportProgress,
) -> None:
    """Write the shards of all splits with Beam.

    Args:
        context: What every worker needs.
        splits: The corpus, by the names of its splits.
        beam: Where the work is done.
        cluster: The Flink or Spark cluster that does it, if one does.
        num_bytes: Size of the text.
        progress: Called with messages about the work.

    Raises:
        InputError: There is no such runner, what it needs is missing, or a job of a killed command
            does not end.
        StepFailedError: A cluster's or Dataflow's job failed, or a cluster was not reached.
        ServiceError: Dataflow refused a call, or kept failing. Other errors of Beam and of its
            workers pass as they are.
    """
    if cluster:
        _run_on_cluster(context, splits, beam=beam, cluster=cluster, progress=progress)
        return
    options = beam.options_for(num_bytes=num_bytes, num_splits=len(splits))
    if is_dataflow(beam.runner):
        run_on_dataflow(
            lambda options: run_beam(context, splits, options).job_id(),
            options,
            _work_name(context),
            progress,
        )
        return
    try:
        # Beam waits for its workers before it passes an interruption on. Runners of clusters set
        # handlers of signals, which only the main thread can.
        if beam.runner == "local":
            call_stoppably(lambda: run_beam(context, splits, options))
        else:
            run_beam(context, splits, options)
    except Exception as error:
        # Of a cluster's; workers on this machine connect to nothing.
        if failure := explain_failure(error):
            raise StepFailedError(f"beam.runner {beam.runner}: {failure.reason}") from error
        raise


def _run_on_cluster(
    context: WorkerContext,
    splits: Mapping[str, CorpusSplit],
    *,
    beam: BeamConfig,
    cluster: Cluster,
    progress: ReportProgress,
) -> None:
    """Write the shards of all splits on a Flink or Spark cluster.

    Args:
        context: What every worker needs.
        splits: The corpus, by the names of its splits.
        beam: Where the work is done.
        cluster: The cluster, as it answered before the work was prepared.
        progress: Called with messages about the work.

    Raises:
        InputError: What the cluster or the job server needs is missing.
        StepFailedError: The job failed or was cancelled.
    """

    def run(cluster: Cluster, job_name: str) -> None:
        """Start a job server, unless one is named; run the job through it; stop the server.

        Waits for the end of the job. If interrupted, the job is cancelled before the server is
        stopped, as far as the cluster answers.
        """
        options = cluster_options(beam, cluster, job_name=job_name, progress=progress)
        with running_job_server(cluster, options) as with_address:
            try:
                run_beam(context, splits, with_address)
            except KeyboardInterrupt:
                # Before the job server is stopped, which may take all the time there is.
                with contextlib.suppress(InputError):
                    cancel_jobs(cluster, job_name, waits=False)
                raise

    ask = functools.partial(find_cluster, beam, progress)
    run_on_cluster(cluster, _work_name(context), run, progress, ask=ask)


def _work_name(context: WorkerContext) -> str:
    """Return the name of this work in this folder, by which the same command finds its jobs."""
    return f"albert-records-{hash_json([context.work, context.folder])[:12]}"


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
