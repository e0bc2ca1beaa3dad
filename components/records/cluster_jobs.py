"""The jobs on a Flink or Spark cluster, by the REST API: which run, and how they are cancelled."""

import time
from collections.abc import Callable

from albert_core.errors import InputError
from components.records.clusters import TIMEOUT_S, Cluster, Engine, describe_error, get_json

# Not UNKNOWN: a master of Spark that was started again says so until the driver has reported, whose
# application may still work.
_ENDED_STATES = ("FINISHED", "CANCELED", "FAILED", "KILLED")
_CANCELLED_STATES = ("CANCELLING", "CANCELED", "KILLED")
_CANCEL_WITHIN_S = 60.0
_POLL_S = 0.5


def find_running_jobs(cluster: Cluster, name: str) -> list[str]:
    """Return the ids of the jobs that have not ended; in Spark these are applications.

    Args:
        cluster: Where they run.
        name: The beginning of their names.

    Raises:
        InputError: The cluster does not answer.
    """
    return [job for job, state in _states(cluster, name) if state not in _ENDED_STATES]


def was_cancelled(cluster: Cluster, name: str) -> bool:
    """Return whether any job of a name was cancelled, or is being cancelled, by whomever.

    Spark calls it killed; an application whose driver is lost counts as finished there. False for
    jobs that the cluster does not list any more.

    Args:
        cluster: Where they ran.
        name: The beginning of their names.

    Raises:
        InputError: The cluster does not answer.
    """
    return any(state in _CANCELLED_STATES for _, state in _states(cluster, name))


def cancel_jobs(cluster: Cluster, name: str, *, waits: bool = True) -> int:
    """Cancel the jobs that have not ended; return their number.

    A cluster that answers a request to cancel with an error is noticed by waiting only.

    Args:
        cluster: Where they run.
        name: The beginning of their names.
        waits: Whether to wait for their end.

    Raises:
        InputError: The cluster does not answer, or a job has not ended after a minute.
    """
    import requests

    jobs = find_running_jobs(cluster, name)
    for job in jobs:
        try:
            _CANCEL[cluster.engine](cluster, job)
        except requests.RequestException as error:
            raise InputError(f"{cluster.setting}: {describe_error(error)}; run again") from error
    deadline = time.monotonic() + _CANCEL_WITHIN_S
    while waits and (left := find_running_jobs(cluster, name)):
        if time.monotonic() > deadline:
            raise InputError(
                f"{cluster.setting}: its job {left[0]} ({name}) has not ended a minute after it "
                f"was cancelled; end it on {cluster.page}, then run again"
            )
        time.sleep(_POLL_S)
    return len(jobs)


def _states(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """Return id and state of each job whose name begins so, also of jobs that have ended.

    Raises:
        InputError: The cluster does not answer.
    """
    if cluster.engine == "flink":
        jobs = get_json(cluster.page, "/jobs/overview", cluster.setting, "run again")["jobs"]
        return [(job["jid"], job["state"]) for job in jobs if job["name"].startswith(name)]
    state = get_json(cluster.page, "/json/", cluster.setting, "run again")
    jobs = [*state["activeapps"], *state.get("completedapps", [])]
    return [(job["id"], job["state"]) for job in jobs if job["name"].startswith(name)]


def _cancel_flink_job(cluster: Cluster, job: str) -> None:
    """Ask Flink to cancel a job; an answer with an error is not noticed.

    Raises:
        requests.RequestException: Flink does not answer.
    """
    import requests

    requests.patch(f"{cluster.page}/jobs/{job}", timeout=TIMEOUT_S)


def _cancel_spark_job(cluster: Cluster, job: str) -> None:
    """Ask Spark's master to end an application, as the button on its page does.

    An answer with an error is not noticed.

    Raises:
        requests.RequestException: The master does not answer.
    """
    import requests

    form = {"id": job, "terminate": "true"}
    # The answer is a redirection to the master's page, which need not be fetched.
    requests.post(f"{cluster.page}/app/kill/", data=form, timeout=TIMEOUT_S, allow_redirects=False)


_CANCEL: dict[Engine, Callable[[Cluster, str], None]] = {
    "flink": _cancel_flink_job,
    "spark": _cancel_spark_job,
}
