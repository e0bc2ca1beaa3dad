"""A job on a Flink or Spark cluster: one at a time for the same work, and why it failed."""

import re
from collections.abc import Callable

from albert_core.errors import InputError, StepFailedError
from albert_core.progress import ReportProgress
from components.records.clusters import Cluster, cancel_jobs
from components.records.job_servers import end_left_servers

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(?P<error>\S.*)")
_CAUSE = re.compile(r"Caused by: (?P<error>.*)")
_TRANSFORM = re.compile(r" \[while running '(?P<name>[^'\]]*?)(-ptransform-\d+)?'\]")
_FAILED = re.compile(r"Pipeline \S+ failed in state [A-Z]+: ")
_LONGEST_REASON = 500
_NUM_TRIES = 3


def run_on_cluster(
    cluster: Cluster, job_name: str, run: Callable[[], None], progress: ReportProgress
) -> None:
    """Run a job on a cluster, after what a killed command left of its name has been ended.

    That is the job itself and, on this machine, the job server. If `run` fails or is interrupted,
    the job is cancelled, so that none goes on writing. An interruption is raised again. After a
    failure it is tried again, up to three times in all: a worker or a job server that is lost ends
    the job, and another takes up the files of the last try. Not so where the Python code on a
    worker raised an error, which would come again, or where the cluster no longer answers.

    Args:
        cluster: Where it runs.
        job_name: Its name there, by which it is found.
        run: Submits the job and waits for its end.
        progress: Told of a job that was left, and of another try.

    Raises:
        StepFailedError: The job failed, with whatever exception `run` raised; the message says
            why, in a line.
        InputError: The cluster does not answer before the job, or a job that was left does not end.
    """
    end_left_servers(job_name)
    if num_left := cancel_jobs(cluster, job_name):
        progress(
            0, 0, f"jobs of the same work cancelled, as a killed command leaves them: {num_left}"
        )
    for tries_left in reversed(range(_NUM_TRIES)):
        try:
            run()
            return
        except BaseException as error:
            is_answered = _cancel_after(error, cluster, job_name)
            if not isinstance(error, Exception):
                raise
            reason = find_reason(error)
            if not tries_left or not is_answered or _TRACEBACK.search(str(error)):
                raise StepFailedError(
                    f"beam.runner {cluster.engine}: {reason}; see {cluster.page}; the same command "
                    "goes on from what is done"
                ) from error
        progress(0, 0, f"beam.runner {cluster.engine}: {reason}; trying again, from what is done")


def _cancel_after(error: BaseException, cluster: Cluster, job_name: str) -> bool:
    """Cancel a job after an error; return whether the cluster answered, and the job ended.

    Waits for the end of the job, up to a minute, unless the error is an interruption; then True
    says only that the cluster answered.
    """
    try:
        cancel_jobs(cluster, job_name, waits=isinstance(error, Exception))
    except InputError:  # the first error tells more
        return False
    return True


def find_reason(error: Exception) -> str:
    """Return in part of a line why a job failed.

    Of an error of the Python code on a worker it is the last line of the traceback, of other errors
    of Java's the innermost cause.
    """
    import grpc

    if isinstance(error, grpc.RpcError):
        details = getattr(error, "details", lambda: "")()
        return f"Beam's job server is gone ({details or type(error).__name__})"
    return shorten_reason(str(error)) or type(error).__name__


def shorten_reason(text: str) -> str:
    """Return in part of a line what a runner tells of a failure.

    Of a traceback of Python it is the last line, of errors of Java the innermost cause; of at most
    500 characters.
    """
    text = _FAILED.sub("", text)
    found = [*_CAUSE.finditer(text)][-1:] + [*_TRACEBACK.finditer(text)][-1:]
    reason = found[-1]["error"] if found else text
    reason = _TRANSFORM.sub(r" (in \g<name>)", " ".join(reason.split()))
    return reason[:_LONGEST_REASON].rstrip()
