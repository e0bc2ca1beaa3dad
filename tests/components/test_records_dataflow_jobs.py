"""What becomes of a job on Dataflow: its end, its messages, and why it failed or is stuck.

Dataflow is a fake of its API on the loopback; Google's client is the real one.
"""

import signal

import pytest

from albert_core.errors import InputError, ServiceError, StepFailedError
from components.records import dataflow_run
from components.records.dataflow_config import DataflowConfig
from components.records.dataflow_jobs import DataflowJobs
from components.records.dataflow_remedies import find_remedy
from components.records.dataflow_run import run_on_dataflow
from components.records.runners import BeamConfig
from components.service_calls import CallConfig
from tests.helpers.fakes.dataflow import PLACE, FakeDataflow
from tests.helpers.fakes.loopback import loopback

CALLS = CallConfig(first_pause_s=0.001, retry_for_s=5.0)
TRACEBACK = """Traceback (most recent call last):
  File "/app/components/records/beam_pipeline.py", line 250, in process
    raise DamageError(path)
albert_core.files.checksums.DamageError: gs://b/work/e: 3 bytes \
[while running 'EncodeSplit-ptransform-5']
"""
COUNTED = (
    "Workflow failed. Causes: The job failed because a work item has failed 4 times. The work item "
    "was attempted on these workers: w-1"
)

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(dataflow_run, "_POLL_S", 0.001)
    monkeypatch.setattr(dataflow_run, "_REASON_WITHIN_S", 0.05)


def run(dataflow: FakeDataflow, submit=lambda _: "job-1", prepare=lambda _: None) -> list[str]:
    """Run a job named `mine`, and return what was told."""
    told: list[str] = []
    with loopback(dataflow) as running:
        prepare(running)
        config = DataflowConfig(
            project="proj-1",
            region="us-central1",
            image="image",
            endpoint=f"http://localhost:{running.port}",
        )
        beam = BeamConfig(runner="dataflow", dataflow=config, shared_folder="gs://bucket/work")
        options = beam.options_for(num_bytes=1, num_splits=1)
        try:
            run_on_dataflow(submit, options, "mine", lambda *report: told.append(report[2]), CALLS)
        except Exception as error:
            error.told, error.running = told, running
            raise
    return told


def failure(dataflow: FakeDataflow, error: type[Exception] = StepFailedError, **options) -> str:
    with pytest.raises(error) as caught:
        run(dataflow, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_job_that_succeeds_tells_its_page_its_states_and_warnings():
    dataflow = FakeDataflow(
        messages=[
            ("BASIC", "Workers have started successfully."),
            ("WARNING", "A bucket is in another region."),
            ("WARNING", "A bucket is public."),
        ]
    )
    told = run(dataflow)
    assert told == [
        "Dataflow job job-1: https://console.cloud.google.com/dataflow/jobs/us-central1/job-1"
        "?project=proj-1",
        "Dataflow job job-1: pending",
        "Dataflow warning: A bucket is in another region.",
        "Dataflow warning: A bucket is public.",
        "Dataflow job job-1: running",
    ]


def test_a_failed_job_names_the_error_of_the_python_code_where_and_what_to_do():
    dataflow = FakeDataflow(
        states=("RUNNING", "FAILED"), messages=[("ERROR", TRACEBACK), ("ERROR", COUNTED)]
    )
    assert failure(dataflow) == (
        "beam.runner dataflow: job job-1 failed: albert_core.files.checksums.DamageError: "
        "gs://b/work/e: 3 bytes (in EncodeSplit); see "
        "https://console.cloud.google.com/dataflow/jobs/us-central1/job-1?project=proj-1; "
        "the same command goes on from what is done"
    )


def test_the_remedy_is_that_of_any_error_of_the_job():
    quota = "Startup of the worker pool failed: QUOTA_EXCEEDED: Quota CPUS exceeded. Limit: 24.0"
    dataflow = FakeDataflow(
        states=("FAILED",), messages=[("ERROR", quota), ("ERROR", "Workflow failed.")]
    )
    assert "; ask for more of that quota, or lower beam.dataflow.max_workers" in failure(dataflow)


def test_a_failure_without_a_message_and_one_whose_message_comes_late(monkeypatch):
    assert "job job-1 failed: without a message; see https" in failure(
        FakeDataflow(states=("FAILED",))
    )
    monkeypatch.setattr(dataflow_run, "_REASON_WITHIN_S", 20.0)
    late = FakeDataflow(states=("FAILED",))

    class Late:
        calls = 0

        def __call__(self, call):
            self.calls += 1
            if self.calls > 5:
                late.messages = [("ERROR", "the reason")]
            return late(call)

    assert "failed: the reason; see" in failure(Late())


def test_a_message_that_is_listed_late_is_told():
    dataflow = FakeDataflow(states=("RUNNING",) * 4 + ("DONE",))
    dataflow.messages = [("WARNING", "first", "12:01:00"), ("WARNING", "later", "12:03:00")]

    def list_late(call):
        if dataflow.asked == 3 and len(dataflow.messages) == 2:
            dataflow.messages.insert(1, ("WARNING", "late", "12:02:00"))
        return dataflow(call)

    told = [line for line in run(list_late) if "warning" in line]
    assert told == [f"Dataflow warning: {text}" for text in ("first", "later", "late")]


def test_a_job_that_cannot_be_watched_is_named():
    dataflow = FakeDataflow(states=("RUNNING",))
    message = failure(dataflow, ServiceError, prepare=lambda it: it.fail("GET", "/job-1", 403))
    assert "watch job job-1: Dataflow in us-central1 answered 403" in message
    assert "; job job-1 goes on without being watched, see https://console.cloud." in message


def test_a_job_that_somebody_cancels():
    assert "job job-1 was cancelled; see https" in failure(
        FakeDataflow(states=("RUNNING", "CANCELLED"))
    )


def test_workers_that_do_not_start_are_told_once_with_where_to_look(monkeypatch):
    monkeypatch.setattr(dataflow_run, "_STARTED_WITHIN_S", 0.0)
    told = run(FakeDataflow(states=("RUNNING",) * 5 + ("DONE",)))
    (line,) = [line for line in told if "no worker has started" in line]
    assert 'gcloud logging read \'resource.labels.job_id="job-1" AND' in line
    assert "worker-startup" in line
    started = FakeDataflow(states=("RUNNING",) * 5 + ("DONE",))
    started.messages = [("BASIC", "Workers have started successfully.")]
    assert not [line for line in run(started) if "no worker" in line]


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Some Cloud APIs need to be enabled for your project", "gcloud services enable dataflow"),
        (
            "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on KMS",
            "cryptoKeyEncrypter",
        ),
        ("Error syncing pod: ImagePullBackOff: failed to pull image x", "artifactregistry.reader"),
        ("Workers have no external IP; check Private Google Access", "enable-private-ip-google"),
        ("The network default has no rules that open TCP ports 12345-12346", "12345 and 12346"),
        ("Invalid value for field 'subnetwork': not found", "check beam.dataflow.network"),
        (
            "ZONE_RESOURCE_POOL_EXHAUSTED: no resources in us-central1-a",
            "no such machines are free",
        ),
        ("Project proj-1 has insufficient quota(s) to execute this", "ask for more of that quota"),
        ("Current user cannot act as: iam.serviceAccounts.actAs", "roles that docs/operations.md"),
        ("The worker ran out of memory", "more memory for each core"),
        ("write: no space left on device", "raise beam.dataflow.disk_size_gb"),
        ("The Dataflow job appears to be stuck because no worker activity", "while they started"),
        ("failed to bring up any of the desired 4 workers", "while they started"),
        ("HttpError 403 for https://dataflow.googleapis.com", "roles that docs/operations.md"),
        ("Container sdk-0 was OOMKilled", "more memory for each core"),
    ],
)
def test_a_message_that_is_known_is_told_with_what_to_do(message, remedy):
    assert remedy in find_remedy(message)
    (told,) = [line for line in run(FakeDataflow(messages=[("ERROR", message)])) if remedy in line]
    assert told.startswith("Dataflow error: ")
    assert message[:40] in told


@pytest.mark.parametrize(
    "message",
    [
        "Executing operation SpreadSplits",
        "ValueError: 'room' and 'zoom' are no quotations",
        "gs://bucket/kms/permission/forbidden.txt: 403 bytes, expected 512",
        "DamageError: /mnt/quota/OOM/network.txt: 3 bytes",
        "There is no room to export 403 documents from a firewalled folder",
    ],
)
def test_other_messages_have_no_remedy(message):
    assert find_remedy(message) == ""


def test_a_job_that_a_killed_command_left_is_cancelled_first():
    dataflow = FakeDataflow(jobs={"old": "mine", "other": "not mine"})
    told = run(dataflow)
    assert told[0] == "Dataflow job old of the same work, as a killed command leaves it: ends"
    assert dataflow.jobs == {"other": "not mine"}


def test_a_job_that_does_not_end_is_named(monkeypatch):
    monkeypatch.setattr(dataflow_run, "_CANCELLED_WITHIN_S", 0.05)

    class Stubborn(FakeDataflow):
        def __call__(self, call):
            answer = super().__call__(call)
            self.jobs = {"old": "mine"}
            return answer

    message = failure(Stubborn(jobs={"old": "mine"}), InputError)
    assert "job old of the same work (mine) has not ended 15 minutes after it was" in message


def test_ctrl_c_cancels_the_job():
    dataflow = FakeDataflow(states=("RUNNING",))

    def submit(_) -> str:
        dataflow.jobs["job-1"] = "mine"
        return "job-1"

    def interrupt(running) -> None:
        running.send_signal(signal.SIGINT, "GET", "/job-1", 3)

    with pytest.raises(KeyboardInterrupt):
        run(dataflow, submit, interrupt)
    assert not dataflow.jobs


def test_ctrl_c_does_not_cancel_the_job_of_another_command():
    """That command has cancelled this one's job, and submitted its own."""
    dataflow = FakeDataflow(states=("RUNNING",))

    def submit(_) -> str:
        dataflow.jobs |= {"job-1": "mine", "job-2": "mine"}
        return "job-1"

    with pytest.raises(KeyboardInterrupt):
        run(dataflow, submit, lambda it: it.send_signal(signal.SIGINT, "GET", "/job-1", 3))
    assert dataflow.jobs == {"job-2": "mine"}


def test_ctrl_c_cancels_a_job_whose_id_did_not_come_back():
    dataflow = FakeDataflow()

    def submit(_) -> str:
        dataflow.jobs["job-1"] = "mine"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataflow, submit)
    assert not dataflow.jobs


def test_a_call_that_fails_for_a_while_is_repeated(capsys):
    dataflow = FakeDataflow()
    told = run(dataflow, prepare=lambda running: running.fail("GET", "/job-1", 503, "drop before"))
    assert told[-1].endswith("running")
    assert "trying again" in capsys.readouterr().err


def test_a_submission_that_is_refused_says_why():
    from google.api_core.exceptions import Forbidden

    def refuse(_):
        raise Forbidden("dataflow.jobs.create denied")

    message = failure(FakeDataflow(), ServiceError, submit=refuse)
    assert "submit the job: Dataflow in us-central1 answered 403, permission denied" in message
    assert "the roles that docs/operations.md lists" in message

    def cannot_stage(_):
        raise OSError("Could not upload to GCS path gs://b/temp: 404.\nPlease verify")

    message = failure(FakeDataflow(), InputError, submit=cannot_stage)
    assert message.startswith("beam.runner dataflow: Could not upload to GCS path gs://b/temp: 404")


def test_credentials_are_not_sent_in_the_clear():
    config = DataflowConfig(
        project="proj-1", region="us-central1", image="image", endpoint="http://example.org"
    )
    beam = BeamConfig(runner="dataflow", dataflow=config, shared_folder="gs://bucket/work")
    with pytest.raises(InputError, match=r"beam\.dataflow\.endpoint: got http://example\.org, exp"):
        run_on_dataflow(str, beam.options_for(num_bytes=1, num_splits=1), "mine", print)


def test_missing_credentials_are_told_before_anything_is_sent(monkeypatch):
    monkeypatch.setattr("components.google_clients.find_credentials", lambda _: None)
    with pytest.raises(InputError, match=r"^Dataflow in us-central1: no Google credentials; run"):
        DataflowJobs("proj-1", "us-central1", "https://dataflow.googleapis.com")


def test_the_calls_are_those_of_the_project_and_the_region():
    with pytest.raises(StepFailedError) as caught:
        run(FakeDataflow(states=("FAILED",)))
    assert {call.path.startswith(PLACE) for call in caught.value.running.calls} == {True}
