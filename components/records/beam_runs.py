"""Runs the Beam pipeline where the settings say: on this machine, on a cluster or on Dataflow."""

import contextlib
import functools
from collections.abc import Mapping

from albert_core.corpus import CorpusSplit
from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import hash_json
from albert_core.network.connection_failures import explain_failure
from albert_core.processes.interruptible_calls import call_stoppably
from albert_core.progress import ReportProgress, quiet
from components.records.beam_pipeline import run_beam
from components.records.cluster_jobs import cancel_jobs
from components.records.cluster_options import ENGINES, cluster_options, find_cluster
from components.records.cluster_run import run_on_cluster
from components.records.clusters import Cluster
from components.records.dask_cluster import check_scheduler
from components.records.dataflow_config import is_dataflow
from components.records.dataflow_options import check_dataflow_options
from components.records.dataflow_run import run_on_dataflow
from components.records.job_servers import running_job_server
from components.records.runners import BeamConfig
from components.records.worker_context import WorkerContext


def find_workers(beam: BeamConfig, progress: ReportProgress) -> Cluster | None:
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


def run_where_configured(
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
