"""When a job on Flink or Spark is submitted again, and whose jobs are cancelled.

The clusters are fakes of their REST APIs.
"""

import contextlib
import functools
from collections.abc import Callable

import grpc
import pytest

from albert_core.errors import InputError, StepFailedError
from components.records import cluster_jobs, cluster_run
from components.records.cluster_failures import find_reason
from components.records.cluster_options import find_cluster
from components.records.cluster_run import run_on_cluster
from components.records.clusters import Cluster
from tests.helpers.fakes.engine_cluster import FakeCluster, flink, quiet, spark
from tests.helpers.fakes.loopback import loopback

LOST = "Pipeline mine-1_2 failed in state FAILED: a.JobException: c\nCaused by: lost\n"
TRACEBACK = (
    "Pipeline mine-1_2 failed in state FAILED: Traceback (most recent call last):\n  File x\n"
)
MAKERS = {"1.19.3": flink, "3.5.7": spark}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(cluster_run, "_SLOTS_FREE_AFTER_S", 0.0)
    monkeypatch.setattr(cluster_jobs, "_POLL_S", 0.01)


def run_job(cluster: FakeCluster, run: Callable[[Cluster, str], None]) -> list[str]:
    """Run jobs of the work `mine` until one succeeds, and return what was told beside the slots."""
    told: list[str] = []
    with loopback(cluster) as running:
        config = MAKERS[cluster.version](running)
        ask = functools.partial(find_cluster, config, quiet)
        run_on_cluster(ask(), "mine", run, lambda *report: told.append(report[2]), ask=ask)
    return told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "org.apache.flink.JobException: Job failed.\n\tat x\nCaused by: java.lang.Exception: "
            "Error received from SDK harness for instruction 4: Traceback (most recent call last):"
            '\n  File "a.py", line 2, in process\n    read()\n\nDuring handling of the above '
            "exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "
            '"b.py", line 1\nOSError: [Errno 5] disk gone [while running '
            "'EncodeSplit-ptransform-12']\n\n\tat org.apache.beam\n",
            "OSError: [Errno 5] disk gone (in EncodeSplit)",
        ),
        (
            "a\nCaused by: b\n\tat y\nCaused by: java.util.concurrent.TimeoutException: no slots\n",
            "java.util.concurrent.TimeoutException: no slots",
        ),
        ("Pipeline failed in state FAILED", "Pipeline failed in state FAILED"),
        ("Pipeline albert-records-1a_2-3 failed in state FAILED: java.lang.E: b", "java.lang.E: b"),
        ("", "RuntimeError"),
        (
            "a\nCaused by: java.lang.E: No container running for id 5f\n\tat y\n",
            "java.lang.E: No container running for id 5f; the container ended "
            "as soon as it was started; what it said is in the log of the worker that started it",
        ),
        (
            'b\nCaused by: java.io.E: Cannot run program "docker": error=2, No such file\n',
            'java.io.E: Cannot run program "docker": error=2, No such file; install '
            "docker on each worker, on the PATH of what runs there, or choose another "
            "beam.environment_type",
        ),
        (
            "c\nCaused by: java.io.E: Received exit code 125. stderr: Unable to find image "
            "'a:1' locally\n",
            "java.io.E: Received exit code 125. stderr: Unable to find image 'a:1' "
            "locally; let each worker's machine pull it, or correct beam.environment_config",
        ),
        (
            "d: Traceback (most recent call last):\n  File\na.E: s3://b/c: there are no "
            "credentials for S3; run `aws configure`\n",
            "a.E: s3://b/c: there are no credentials for S3; run `aws configure`; on the "
            "workers, which do not get this command's credentials",
        ),
    ],
)
def test_the_reason_of_a_failed_job_is_one_line(text, reason):
    assert find_reason(RuntimeError(text)) == reason


@pytest.mark.parametrize("version", MAKERS)
def test_jobs_that_killed_commands_left_are_cancelled_before_slots_are_counted(version):
    cluster = FakeCluster(version, jobs={"a": "mine-1", "b": "other", "c": "mine-2"})
    seen = []
    told = run_job(cluster, lambda *asked: seen.append((*asked, dict(cluster.jobs))))
    assert told == ["jobs of the same work cancelled, as a killed command leaves them: 2"]
    ((asked, name, jobs),) = seen
    assert jobs == {"b": "other"}
    assert asked.num_slots == (2 if version == "1.19.3" else 5)  # Flink's that are free
    assert name.startswith("mine-")


def raising(cluster: FakeCluster, error: BaseException, tries: list[str]):
    """Return what submits a job that fails with an error."""

    def run(_, name: str) -> None:
        assert not cluster.jobs
        cluster.jobs["a"] = name
        tries.append(name)
        raise error

    return run


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), InputError("no"), TypeError("no"), RuntimeError("no")]
)
def test_an_error_that_is_not_the_jobs_passes_and_the_job_is_cancelled(error):
    cluster, tries = FakeCluster(), []
    with pytest.raises(type(error)) as caught:
        run_job(cluster, raising(cluster, error, tries))
    assert caught.value is error
    assert len(tries) == 1
    assert not cluster.jobs


def test_a_job_whose_worker_is_lost_is_tried_again():
    """Also where that leaves the cluster without workers for a while."""
    cluster, tries = FakeCluster(), []

    def run(_, name: str) -> None:
        assert not cluster.jobs
        tries.append(name)
        if len(tries) < 3:
            cluster.jobs["a"], cluster.slots = name, ()
            raise RuntimeError(LOST)

    told = run_job(cluster, run)
    assert told == ["beam.runner flink: lost; trying again, from what is done"] * 2
    assert len(set(tries)) == 3


class Refusal(grpc.RpcError):
    """An answer of a job server, or that it is gone."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self.code, self.details = lambda: code, lambda: "why"


@pytest.mark.parametrize(
    ("error", "reason", "num_tries"),
    [
        (RuntimeError(LOST), "lost", 3),
        (Refusal(grpc.StatusCode.UNAVAILABLE), r"Beam's job server is gone \(why\)", 3),
        (Refusal(grpc.StatusCode.INTERNAL), r"Beam's job server refused the job \(why\)", 1),
        (RuntimeError(TRACEBACK + "OSError: gone [while running 'Encode']"), "OSError: gone", 2),
        (RuntimeError(TRACEBACK + "albert_core.errors.ServiceError: away"), r".*: away", 2),
        (RuntimeError(TRACEBACK + "RuntimeError: a.DamageError: gone"), r".*: gone", 2),
        (RuntimeError(TRACEBACK + "albert_core.errors.InputError: gone"), r".*: gone", 1),
        (RuntimeError(TRACEBACK + "ValueError: OSError: gone"), r".*: gone", 1),
    ],
)
def test_a_job_that_fails_again_and_again_is_given_up(error, reason, num_tries):
    """The sooner, the surer it is that another would fail, too."""
    cluster, tries = FakeCluster(), []
    expected = rf"^beam\.runner flink: {reason}.*; see http\S+; the same command goes on from what"
    with pytest.raises(StepFailedError, match=expected):
        run_job(cluster, raising(cluster, error, tries))
    assert len(tries) == num_tries
    assert not cluster.jobs


def test_a_job_is_not_tried_again_where_the_cluster_is_gone():
    tries = []
    with contextlib.ExitStack() as stack:
        config = flink(stack.enter_context(loopback(FakeCluster())))
        ask = functools.partial(find_cluster, config, quiet)

        def run(*_) -> None:
            tries.append(1)
            stack.close()
            raise RuntimeError(LOST)

        with pytest.raises(StepFailedError, match=r"lost; see .*the same command goes on"):
            run_on_cluster(ask(), "mine", run, quiet, ask=ask)
    assert len(tries) == 1


@pytest.mark.parametrize("version", MAKERS)
@pytest.mark.parametrize(
    "text",
    [
        "Pipeline mine-1_2 failed in state CANCELLED: unknown error",
        "Pipeline a failed in state FAILED: x\nCaused by: a.JobCancellationException: Job was canc",
        "Pipeline a failed in state FAILED: Job aborted: Master removed our application: KILLED",
        LOST,
    ],
)
def test_a_job_that_was_cancelled_is_not_submitted_again(version, text):
    """Whether its own error says so, or only the cluster does."""
    cluster, tries = FakeCluster(version), []

    def run(_, name: str) -> None:
        tries.append(name)
        if text == LOST:
            cluster.ended["a"] = (name, "CANCELED" if version == "1.19.3" else "KILLED")
        raise RuntimeError(text)

    with pytest.raises(StepFailedError) as caught:
        run_job(cluster, run)
    (name,) = tries
    said = f"job {name} was cancelled, by a person or by another command of the same work; see "
    assert said in str(caught.value)


@pytest.mark.parametrize("version", MAKERS)
def test_the_job_of_another_command_is_left_alone(version):
    """It has cancelled this one's job, or ended its job server, and does the work now."""
    cluster = FakeCluster(version)

    def run(_, name: str) -> None:
        cluster.jobs |= {"a": name, "b": "mine-other"}
        raise RuntimeError(LOST)

    with pytest.raises(StepFailedError, match="lost; another command does the same work now, as j"):
        run_job(cluster, run)
    assert cluster.jobs == {"b": "mine-other"}
