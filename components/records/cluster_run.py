"""A job on a Flink or Spark cluster: one at a time for the same work, and again after a loss."""

import itertools
import secrets
import time
from collections.abc import Callable

from albert_core.errors import InputError, StepFailedError
from albert_core.progress import ReportProgress, report_message
from components.records.cluster_failures import (
    find_reason,
    is_cancellation,
    is_of_job,
    num_worthwhile_tries,
)
from components.records.cluster_jobs import cancel_jobs, find_running_jobs, was_cancelled
from components.records.clusters import Cluster
from components.records.job_servers import end_left_servers

_SLOTS_FREE_AFTER_S = 1.0
# Before the third try: Kubernetes starts a container anew at once, and again after 10 seconds.
_LONGER_PAUSE = 15


def run_on_cluster(
    cluster: Cluster,
    work_name: str,
    run: Callable[[Cluster, str], None],
    progress: ReportProgress,
    *,
    ask: Callable[[], Cluster],
) -> None:
    """Run a job on a cluster, after the jobs of the same work that are there have been cancelled.

    Such jobs were left by a killed command, as were job servers on this machine, which are ended,
    too. Each try has a job name that no other has, `work_name` and a number, and asks the cluster
    anew for its slots. If `run` fails or is interrupted, its job is cancelled, so that none goes on
    writing, and no other. Then it is tried again, up to three times in all, if a worker or the job
    server was lost, and once again after an error of the Python code that may pass: another job
    takes up the files of the last one. There is a second before the second try, and 15 before the
    third. A job that was cancelled is not submitted again, nor is one whose work another command's
    job has taken over.

    Args:
        cluster: Where it runs.
        work_name: What the names of all jobs of the same work begin with.
        run: Submits a job with this name to the cluster, and waits for its end.
        progress: Called with messages about jobs that were left behind, and about another try.
        ask: Asks the cluster again.

    Raises:
        StepFailedError: The job failed or was cancelled; the message says why, in a line.
        InputError: The cluster does not answer before the job, or a job that was left does not end.
            Errors of `run` that are not the job's, and interruptions, pass as they are.
    """
    _end_left_work(cluster, work_name, progress)
    for num_tries in itertools.count(1):
        job_name = f"{work_name}-{secrets.token_hex(4)}"
        try:
            cluster = ask()
        except InputError:
            if num_tries == 1:
                raise
            # Its only worker may be starting anew, for which the job will wait.
        try:
            run(cluster, job_name)
            return
        except BaseException as error:
            final = _end_failed_job(error, cluster, work_name, job_name)
            if not is_of_job(error):
                raise
            reason = find_reason(error)
            if final or num_tries >= num_worthwhile_tries(error):
                raise StepFailedError(
                    f"beam.runner {cluster.engine}: {final or reason}; see {cluster.page}; the "
                    "same command goes on from what is done"
                ) from error
        report_message(
            progress, f"beam.runner {cluster.engine}: {reason}; trying again, from what is done"
        )
        time.sleep(_SLOTS_FREE_AFTER_S * _LONGER_PAUSE ** (num_tries - 1))


def _end_left_work(cluster: Cluster, work_name: str, progress: ReportProgress) -> None:
    """Cancel the jobs of the same work, and end their job servers on this machine.

    Raises:
        InputError: The cluster does not answer, or a job does not end.
    """
    # Jobs first, so that a command which still watches one hears that it was cancelled, and not
    # that its job server is lost. Such a server may have submitted another one meanwhile.
    num_left = cancel_jobs(cluster, work_name)
    if end_left_servers(work_name):
        num_left += cancel_jobs(cluster, work_name)
    if num_left:
        report_message(
            progress,
            f"jobs of the same work cancelled, as a killed command leaves them: {num_left}",
        )
        time.sleep(_SLOTS_FREE_AFTER_S)


def _end_failed_job(error: BaseException, cluster: Cluster, work_name: str, job_name: str) -> str:
    """Cancel a job after an error, and return why no other may follow; empty if one may.

    None may follow if the job was cancelled by others, if another command does the work now, or if
    the cluster does not answer or the job does not end. Waits for the end of the job, up to a
    minute, unless the error is an interruption.
    """
    is_failure = isinstance(error, Exception)
    try:
        is_cancelled = is_failure and (is_cancellation(error) or was_cancelled(cluster, job_name))
        cancel_jobs(cluster, job_name, waits=is_failure)
        others = find_running_jobs(cluster, work_name) if is_failure else []
    except InputError:  # the cluster is gone; the first error tells more
        return find_reason(error)
    if others:
        return (
            f"{find_reason(error)}; another command does the same work now, as job {others[0]}: "
            "wait for it"
        )
    if is_cancelled:
        return f"job {job_name} was cancelled, by a person or by another command of the same work"
    return ""
