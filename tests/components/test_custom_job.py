"""Pretraining on TPUs as a custom job of Vertex AI, on loopback."""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from google.cloud.aiplatform_v1.types import Scheduling

from albert_core.errors import InputError, ServiceError, StepFailedError, StoppedError
from components import custom_job
from components.custom_job import run_custom_job
from components.vertex import job_client
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.vertex import Vertex
from tests.helpers.golden_files import check_golden
from tests.helpers.platforms import CALLS

GOLDEN = Path(__file__).parents[1] / "pipeline/remote/goldens/requests/vertex_custom_job.json"
SUCCEEDED = {"state": "JOB_STATE_SUCCEEDED"}
RUNNING = {"state": "JOB_STATE_RUNNING"}


@pytest.fixture
def server():
    with loopback(Vertex()) as started:
        yield started


def run(server, *changes, **settings):
    """Run the job, which reads as `changes` say, one after another."""
    server.service.changes = [dict(change) for change in changes]
    run_custom_job(
        project="proj",
        location="us-central1",
        display_name="albert pretrain",
        image="us-docker.pkg.dev/proj/albert/albert-python-tpu:src-0123456789ab",
        command=["albert", "pretrain", "--config", "gs://bucket/albert/pretrain.yaml"],
        machine_type="ct5lp-hightpu-4t",
        tpu_topology="4x4",
        service_account="runner@proj.iam.gserviceaccount.com",
        network="projects/1234/global/networks/albert",
        encryption_key="projects/proj/locations/us-central1/keyRings/albert/cryptoKeys/runs",
        labels={"team": "language"},
        staging_bucket="gs://bucket/albert/staging",
        timeout_s=86_400,
        endpoint=server.address,
        **{"calls": CALLS, **settings},
    )


def test_the_job_asks_for_the_slice_and_is_watched_to_its_end(server):
    lines = []
    run(server, RUNNING, RUNNING, SUCCEEDED, progress=lambda done, total, text: lines.append(text))
    assert lines == ["albert pretrain: running", "albert pretrain: succeeded"]
    (sent,) = server.sent("POST")
    check_golden(GOLDEN, {"method": sent.method, "path": sent.path, "body": sent.body})
    (pool,) = sent.body["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "ct5lp-hightpu-4t", "tpuTopology": "4x4"}


def test_a_spot_job_differs_in_its_scheduling_alone(server):
    run(server, SUCCEEDED)
    run(server, SUCCEEDED, is_spot=True)
    plain, spot = (dict(call.body["jobSpec"]) for call in server.sent("POST"))
    assert plain.pop("scheduling") == {"timeout": "86400s"}
    assert spot.pop("scheduling") == {
        "timeout": "86400s",
        "strategy": Scheduling.Strategy.SPOT,
    }
    assert spot == plain


def test_a_job_that_fails_says_why(server):
    failed = {"state": "JOB_STATE_FAILED", "error": {"code": 9, "message": "out of TPUs"}}
    with pytest.raises(StepFailedError, match=r"customJobs/1 ended as failed: out of TPUs"):
        run(server, RUNNING, failed)


def test_a_retried_component_waits_for_the_job_at_work(server):
    server.fail("GET", "/customJobs/1", *[403])
    with pytest.raises(ServiceError, match="answered 403"):
        run(server)
    run(server, RUNNING, SUCCEEDED)
    assert len(server.sent("POST")) == 1


def test_a_job_that_ended_is_not_taken_for_the_new_one(server):
    run(server, SUCCEEDED)
    run(server, SUCCEEDED)
    assert len(server.sent("POST")) == 2


@pytest.mark.parametrize("failure", [429, 500, "hang", "drop before", "drop after"])
def test_a_call_that_fails_once_makes_one_job(server, failure):
    server.fail("POST", "/customJobs", failure)
    run(server, SUCCEEDED)
    assert len(server.service.resources) == 1


def test_a_platform_that_fails_for_a_moment_while_the_job_runs(server):
    server.fail("GET", "/customJobs/1", 503, "drop before")
    run(server, RUNNING, SUCCEEDED)


def test_a_signal_between_two_calls_is_answered_at_once(server, monkeypatch):
    monkeypatch.setattr(custom_job, "_MAX_PAUSE_S", 60.0)
    calls = dataclasses.replace(CALLS, first_pause_s=60.0)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(StoppedError, match="as SIGINT came"):
        run(server, RUNNING, RUNNING, calls=calls)
    assert time.monotonic() - began < 10
    timer.join()


def test_a_signal_cancels_the_job(server):
    server.send_signal(signal.SIGTERM, "GET", "/customJobs/1", nth=3)
    with pytest.raises(StepFailedError, match=r"cancelled .*customJobs/1, as SIGTERM came"):
        run(server, *[RUNNING] * 100)
    (job,) = server.service.resources.values()
    assert job["state"] == "JOB_STATE_CANCELLED"


def test_a_job_that_is_made_while_a_signal_comes_is_cancelled(server):
    server.send_signal(signal.SIGINT, "POST", "/customJobs", nth=1)
    with pytest.raises(StoppedError, match="as SIGINT came"):
        run(server, *[RUNNING] * 100)
    (job,) = server.service.resources.values()
    assert job["state"] == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize("endpoint", ["http://example.org", "http://localhost.org", "http://[::1"])
def test_credentials_go_nowhere_in_the_clear(endpoint):
    with pytest.raises(InputError, match="expected https, or a server on this machine"):
        job_client("us-central1", endpoint)  # the last is half an address of IPv6
